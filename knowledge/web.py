"""Web pages that people attach: fetched once, and from then on a document like any other."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from django.utils.translation import gettext as _

from knowledge.config import RagConfig
from owui.lib.errors import UserError
from owui.lib.outside import Unreachable, fetch

#: content types that can be read as documents, and the ending that says so
TYPES = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/csv": "csv",
    "application/pdf": "pdf",
}
#: megabytes where the administrator sets no limit for files
LARGEST, SECONDS = 20, 20.0
NAME_CHARS = 100
VIDEOS = ("youtube.com", "youtu.be")
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Page:
    """What was behind an address."""

    url: str
    body: bytes
    content_type: str
    filename: str


async def fetch_page(url: str, config: RagConfig) -> Page:
    """The page, or document, at an address outside.

    :raises UserError: 400 no address, not allowed, not reached, or nothing that can be read
    """
    url = url.strip()
    host = _host(url)
    if _is_at(host, VIDEOS):
        text = _("Videos are not read here. Paste the transcript, or attach it as a file.")
        raise UserError(text, code="video")
    check_host(host, config.web_fetch_filter_list)
    try:
        body, kind = await fetch(
            url,
            types=TYPES,
            largest=(config.file_max_size or LARGEST) * 1024 * 1024,
            timeout=SECONDS,
            private_hosts=[host] if config.enable_local_web_fetch else (),
        )
    except Unreachable as error:
        text = _(
            "The page “%(host)s” could not be fetched. It must open without signing in, be text or PDF, not lead on to "
            "another address, and not lie inside this network."
        )
        raise UserError(text % {"host": host}, code="web_unreachable") from error
    return Page(url, body, kind, _filename(url, body, kind))


def check_host(host: str, rules: list[str]) -> None:
    """400 for hosts that the administrator shuts out: `!name` is one, and where there are plain names only these are
    allowed. A name stands for what is below it, too."""
    entries = [entry.strip().lower() for entry in rules if entry.strip()]
    allowed = tuple(entry for entry in entries if not entry.startswith("!"))
    blocked = tuple(entry[1:].strip() for entry in entries if entry.startswith("!"))
    if _is_at(host, blocked) or (allowed and not _is_at(host, allowed)):
        text = _("Your administrator does not allow pages of “%(host)s”.")
        raise UserError(text % {"host": host}, code="web_host")


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https"):
        raise UserError(_("This is no address of a web page. It begins with https://."), code="web_address")
    return host


def _is_at(host: str, names: tuple[str, ...]) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in names)


def _filename(url: str, body: bytes, kind: str) -> str:
    """The title of the page, else the end of its address."""
    ending, parts = TYPES[kind], urlsplit(url)
    found = _TITLE.search(body[:100_000]) if ending == "html" else None
    title = html.unescape(found[1].decode(errors="replace")) if found else ""
    if not title.strip():
        title = unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.netloc
        title = title.removesuffix(f".{ending}")
    clean = "".join(sign if sign.isprintable() and sign not in "/\\" else " " for sign in title)
    return f"{' '.join(clean.split())[:NAME_CHARS].strip('. ') or parts.netloc}.{ending}"
