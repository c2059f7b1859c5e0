"""Text of a mail (EML), as Markdown."""

from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage

from knowledge.ingest.errors import IngestError

_SHOWN = ("From", "To", "Cc", "Date")
_ENCRYPTED = frozenset({"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})


def read_mail(data: bytes, html: Callable[[str], str]) -> str:
    """Subject as heading, who wrote to whom and when, the text, and the names of what was attached.

    :param html: turns a body that is HTML alone into text
    """
    try:
        return _text(message_from_bytes(data, EmailMessage, policy=policy.default), html)
    except (RecursionError, LookupError, ValueError, AttributeError, TypeError) as fault:
        # The standard library's own reader raises any of these on headers and encodings that nobody should write.
        raise _damaged() from fault


def _text(mail: EmailMessage, html: Callable[[str], str]) -> str:
    if mail.get_content_type() in _ENCRYPTED and mail.get_param("smime-type") != "signed-data":
        raise IngestError("This mail is encrypted. Save its text as a file and upload that.", "encrypted")
    body = mail.get_body(preferencelist=("plain", "html"))
    if not mail.keys() or (body is None and not mail.is_multipart()):
        raise _damaged()
    text = ""
    if isinstance(body, EmailMessage):
        text = body.get_content()
        text = html(text) if body.get_content_type() == "text/html" else text
    blocks = []
    if subject := _line(mail, "Subject"):
        blocks.append(f"# {subject}")
    blocks.append("\n".join(f"{name}: {value}" for name in _SHOWN if (value := _line(mail, name))))
    blocks.append(text)
    # They are documents of their own, with kinds and limits of their own.
    if names := [name for part in mail.iter_attachments() if (name := part.get_filename())]:
        blocks.append("Attachments: " + ", ".join(names))
    return "\n\n".join(block for block in blocks if block.strip())


def _line(mail: EmailMessage, name: str) -> str:
    return " ".join(str(mail.get(name, "")).split())


def _damaged() -> IngestError:
    return IngestError(
        "This mail is damaged or is none. Open it in your mail program, save it again and upload the new file.",
        "damaged",
    )
