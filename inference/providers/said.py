"""What a model server says when it cannot answer, in words for people and as values for programs."""

import re
from typing import Any, NoReturn

from inference.providers.base import ConnectionInfo
from inference.providers.errors import BadAnswer, ServerFailed, ServerRejected, StreamCutOff

ERROR_TEXT_LIMIT = 1000  # characters of a server's own words shown to people
#: what servers say when a conversation is too long, their memory is full, their engine gone
_TOO_LONG = re.compile(
    r"context[_ -]?(length|size|window)|maximum (model )?(context|input) length|prompt is too long|too many tokens",
    re.I,
)
_NO_MEMORY = re.compile(r"out of memory|outofmemory|more system memory|cudaMalloc failed|insufficient memory", re.I)
_ENGINE_DEAD = re.compile(
    r"engine ?dead|engine ?core|engine process|background loop has errored|dead engine|runner process has terminated",
    re.I,
)
_RETRY_AFTER = re.compile(r"\d{1,9}|[A-Za-z0-9 ,:+-]{20,40}")
USER_INFO = re.compile(r"^(\w+://)([^/@]*)@")


def shown_url(connection: ConnectionInfo) -> str:
    """Give the base address without user, password and query, fit for an error message."""
    address = USER_INFO.sub(r"\1", connection.base_url.strip()).rstrip("/")
    return re.split(r"[?#]", address)[0]


def bad_answer(connection: ConnectionInfo, detail: str = "") -> BadAnswer:
    """Make the error for an answer that is not the protocol."""
    protocol = "Ollama" if connection.kind == "ollama" else "OpenAI"
    return BadAnswer(
        f"The model server at {shown_url(connection)} sent something that is not an answer of the {protocol} API"
        f"{': ' + detail if detail else ''}. Check that the connection's address and kind are right."
    )


def unsendable() -> ServerRejected:
    """Make the error for a request that no body can be made of: a part of an unknown shape, a number or a sign that
    JSON does not carry."""
    return ServerRejected(
        "A message or a parameter of this request has a form that cannot be sent to a model server. Check parts of "
        "messages, calls of tools, custom parameters, very large numbers and characters that are no text.",
        400,
    )


def cut_off(connection: ConnectionInfo) -> StreamCutOff:
    """Make the error for an answer without an end."""
    return StreamCutOff(
        f"The model server at {shown_url(connection)} closed the connection before the answer was complete. "
        "Try again; if it happens often, look at the server's log."
    )


def raise_in_band(connection: ConnectionInfo, error: Any) -> NoReturn:
    """Raise for an `error` member that came with status 200, in the middle of an answer perhaps."""
    code = str(error.get("code")) if isinstance(error, dict) else ""
    status = int(code) if re.fullmatch(r"[45]\d\d", code, re.ASCII) else None
    raise_upstream(connection, status, error_text({"error": error}), said={"error": error})


def raise_upstream(
    connection: ConnectionInfo, status: int | None, text: str, *, said: Any = None, retry_after: str = ""
) -> NoReturn:
    """Raise for a refusal or failure that the server itself has put into words."""
    # No database stores a NUL, and the words are kept with the answer.
    text = redact(connection, " ".join(text.replace("\x00", " ").split()))[:ERROR_TEXT_LIMIT]
    server = f"The model server at {shown_url(connection)}"
    what = _in_words(server, status, text, retry_after) + (f" It said: {text}" if text else "")
    error: ServerFailed | ServerRejected
    if status is None or status >= 500:
        error = ServerFailed(what, status, upstream=text)
    else:
        error = ServerRejected(what, status, retryable=status in (408, 425, 429), upstream=text)
    error.body = _error_object(connection, said)
    error.retry_after = retry_after if _RETRY_AFTER.fullmatch(retry_after) else ""
    raise error


def _in_words(server: str, status: int | None, text: str, retry_after: str) -> str:
    """What happened and what to do; the server's own words follow."""
    if status != 429 and _TOO_LONG.search(text):
        return "This conversation is longer than the model can take in. Begin a new chat, or send less at once."
    if _NO_MEMORY.search(text):
        return f"{server} ran out of memory. Try again in a while, or choose a smaller model."
    if _ENGINE_DEAD.search(text):
        return f"{server} has lost its engine. It must be started again: tell your administrator."
    if status is None or status >= 500:
        shown = "failed" if status is None else f"failed (status {status})"
        return f"{server} {shown}. Try again, or look at its log."
    if status == 401:
        return f"{server} refused the key. Check the key of this connection."
    if status == 403:
        return f"{server} does not allow this. Check what the key of this connection may do."
    if status == 404:
        return f"{server} does not know this model or path. Check the model and the connection's address."
    if status == 429:
        wait = f"{retry_after} seconds" if retry_after.isdecimal() and len(retry_after) < 7 else "a little"
        return f"{server} takes no more requests for now. Wait {wait} and try again."
    return f"{server} refused the request (status {status})."


def _error_object(connection: ConnectionInfo, said: Any) -> dict[str, Any]:
    """The plain values of a server's error object, as programs look for them: message, type, code, sizes."""
    found = said.get("error", said) if isinstance(said, dict) else None
    if not isinstance(found, dict):
        return {}
    kept = {str(k): v for k, v in list(found.items())[:20] if isinstance(v, (str, int, float, bool))}
    return {k: redact(connection, v)[:ERROR_TEXT_LIMIT] if isinstance(v, str) else v for k, v in kept.items()}


def error_text(data: Any) -> str:
    """Find the words for people in the many shapes of error bodies."""
    for _ in range(4):
        if isinstance(data, list) and data:
            data = data[0]
        elif isinstance(data, dict):
            data = next((data[key] for key in ("error", "message", "detail", "msg") if data.get(key)), "")
        else:
            break
    return data if isinstance(data, str) else ""


def redact(connection: ConnectionInfo, text: str) -> str:
    secrets = [connection.api_key, *map(str, (connection.config.get("headers") or {}).values())]
    secrets += map(str, connection.headers.values())
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "…")
    return text
