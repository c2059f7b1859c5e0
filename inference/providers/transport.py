"""Sending requests to model servers, and turning every fault into a `ProviderError` that people can act on."""

import asyncio
import base64
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

import httpx
import orjson

from inference.providers.base import ConnectionInfo, PassthroughResponse
from inference.providers.errors import (
    BadAnswer,
    ConnectionMisconfigured,
    ProviderError,
    ServerFailed,
    ServerRejected,
    ServerTimeout,
    ServerUnreachable,
    SignInNeeded,
    StreamCutOff,
)
from owui.lib import http

ERROR_TEXT_LIMIT = 1000  # characters of a server's own words shown to people
DRAIN_SECONDS = 0.5

#: sign-in types that send the caller's own token: `inference.forwarding` puts it in
OF_CALLERS = ("session", "system_oauth")
#: what `inference.forwarding` makes of `system_oauth` for somebody who has no tokens of a provider here
NO_PROVIDER_SESSION = "no_provider_session"
#: what a connection's headers may say of the caller and the call
PERSONAL = re.compile(
    r"\{\{(USER_ID|USER_NAME|USER_EMAIL|USER_ROLE|USER_GROUPS|USER_GROUP_IDS|CHAT_ID|MESSAGE_ID|USER_MESSAGE_ID|"
    r"USER_MESSAGE_PARENT_ID|MODEL_ID|TASK|FILE_ID|FILE_NAME|FILE_CONTENT_TYPE|USER_AGENT|AUTH_TYPE)\}\}"
)
_USER_INFO = re.compile(r"^(\w+://)([^/@]*)@")


class Answer:
    """An open answer, read in network-sized pieces within the connection's limits."""

    def __init__(self, connection: ConnectionInfo, response: httpx.Response, deadline: float | None) -> None:
        self.response = response
        self._connection = connection
        self._read = http.body_reader(response)
        self._deadline = deadline
        self._idle = connection.idle_timeout
        self._now: Callable[[], float] = asyncio.get_running_loop().time

    async def read(self) -> bytes:
        """Await the next bytes, `b""` at the end; raises `ServerTimeout` or `StreamCutOff`."""
        try:
            if self._deadline is None:
                return await self._read()
            # A timer for each token is dear; while the total limit is further off than the idle one, the idle one
            # (which the transport keeps) is the first to strike.
            if self._idle is not None and self._deadline - self._now() > self._idle:
                return await self._read()
            async with asyncio.timeout_at(self._deadline):
                return await self._read()
        except http.FAULTS as error:
            raise_fault(self._connection, error, self._deadline, during_answer=True)

    async def read_all(self) -> bytes:
        """Read the rest of the body."""
        parts = []
        while part := await self.read():
            parts.append(part)
        return b"".join(parts)

    async def drain(self) -> None:
        """Read on to the end of the body if it is at hand, so that the connection can be used again."""
        with suppress(ProviderError, TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while await self.read():
                    pass


async def open_answer(
    connection: ConnectionInfo,
    method: str,
    path: str,
    payload: Mapping[str, Any] | bytes | None = None,
    *,
    total: float | None = None,
) -> Answer:
    """Send a request and return once the status is known, whatever it is; the caller must close `.response`.

    `total` seconds replace the connection's total limit. Raises only for faults of the network or the settings.
    """
    limit = connection.total_timeout if total is None else total
    deadline = None if limit is None else asyncio.get_running_loop().time() + limit
    body = payload if payload is None or isinstance(payload, bytes) else _to_json(payload)
    connect = connection.connect_timeout
    timeout = httpx.Timeout(connect=connect, pool=connect, read=connection.idle_timeout, write=connection.idle_timeout)
    try:
        client = http.client()
        request = client.build_request(
            method, url_of(connection, path), content=body, headers=headers_of(connection), timeout=timeout
        )
        async with asyncio.timeout_at(deadline):
            response = await client.send(request, stream=True)
    except http.FAULTS as error:
        raise_fault(connection, error, deadline)
    except ValueError:  # a header or address with characters that cannot be sent
        raise ConnectionMisconfigured(
            f"The settings of the connection to {shown_url(connection)} cannot be sent. Check its address, key and "
            "headers for line breaks and characters outside plain ASCII."
        ) from None  # the original would carry the key into logs
    return Answer(connection, response, deadline)


@asynccontextmanager
async def answer_to(
    connection: ConnectionInfo,
    method: str,
    path: str,
    payload: Mapping[str, Any] | bytes | None = None,
    *,
    total: float | None = None,
) -> AsyncIterator[Answer]:
    """Like `open_answer`, closed on leaving; raises `ServerRejected` or `ServerFailed` for statuses of errors."""
    answer = await open_answer(connection, method, path, payload, total=total)
    try:
        if answer.response.status_code != 200:
            await _raise_for_status(connection, answer)
        yield answer
    finally:
        await answer.response.aclose()


async def request_json(
    connection: ConnectionInfo,
    method: str,
    path: str,
    payload: Mapping[str, Any] | None = None,
    *,
    total: float | None = None,
) -> dict[str, Any]:
    """Send a request and give its answer as a JSON object."""
    async with answer_to(connection, method, path, payload, total=total) as answer:
        body = await answer.read_all()
    data = parse_object(connection, body)
    if data.get("error"):
        raise_in_band(connection, data["error"])
    return data


async def passthrough(
    connection: ConnectionInfo, method: str, path: str, body: bytes | None, stream: bool
) -> PassthroughResponse:
    """Do what `Provider.passthrough` promises; it is the same for all wire formats."""
    answer = await open_answer(connection, method, path, body)
    response = answer.response
    content_type = response.headers.get("content-type", "application/octet-stream")
    if not stream:
        try:
            whole = await answer.read_all()
        finally:
            await response.aclose()

        async def once() -> AsyncIterator[bytes]:
            yield whole

        return PassthroughResponse(response.status_code, content_type, once, response.aclose)

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while piece := await answer.read():
                yield piece
        finally:
            await response.aclose()

    return PassthroughResponse(response.status_code, content_type, pieces, response.aclose)


def url_of(connection: ConnectionInfo, path: str) -> str:
    """Join a path to the base address; a path that would leave it raises `ConnectionMisconfigured`."""
    plain = path.partition("?")[0]
    if not path.startswith("/") or path.startswith("//") or "\\" in plain or ".." in re.split(r"/|%2[fF]", plain):
        raise ConnectionMisconfigured(f"{path!r} is not a path below the server's address.")
    address = _USER_INFO.sub(r"\1", connection.base_url.strip())
    return address.rstrip("/") + path


def headers_of(connection: ConnectionInfo) -> dict[str, str]:
    """Build the headers of a request: credentials, then the administrator's, then this call's own."""
    # compressed streams arrive in lumps and cost decoding for nothing on a local network
    headers = httpx.Headers({"Accept-Encoding": "identity", "Content-Type": "application/json"})
    auth_type = connection.config.get("auth_type") or "bearer"
    if auth_type == "bearer":
        user_info = _USER_INFO.match(connection.base_url.strip())
        if connection.api_key:
            headers["Authorization"] = f"Bearer {connection.api_key}"
        elif user_info:  # http://user:password@host, which the transport does not take beside a header
            pair = base64.b64encode(unquote_to_bytes(user_info[2])).decode()
            headers["Authorization"] = f"Basic {pair}"
    elif auth_type == NO_PROVIDER_SESSION:
        raise SignInNeeded(
            f"The model server at {shown_url(connection)} is asked with your own sign-in at your organisation's "
            "provider, and there is none here, or it has ended. Sign out, and sign in again by the provider.",
            403,
        )
    elif auth_type not in ("none", *OF_CALLERS):
        raise ConnectionMisconfigured(
            f"The connection to {shown_url(connection)} uses the sign-in type “{auth_type}”, which is not supported. "
            "Choose bearer, none, session or system_oauth."
        )
    own = connection.config.get("headers") or {}
    # A header that is to say who asks is not sent where nobody does.
    headers.update({name: value for name, value in own.items() if not PERSONAL.search(str(value))})
    headers.update(dict(connection.headers))
    return dict(headers)


def shown_url(connection: ConnectionInfo) -> str:
    """Give the base address without user, password and query, fit for an error message."""
    address = _USER_INFO.sub(r"\1", connection.base_url.strip()).rstrip("/")
    return re.split(r"[?#]", address)[0]


def parse_object(connection: ConnectionInfo, body: bytes) -> dict[str, Any]:
    """Parse a JSON object; raises `BadAnswer`. Broken UTF-8 inside it is replaced, not refused."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            data = orjson.loads(body.decode("utf-8", "replace"))
        except orjson.JSONDecodeError as error:
            raise bad_answer(connection) from error
    if not isinstance(data, dict):
        raise bad_answer(connection)
    return data


def check_vectors(connection: ConnectionInfo, vectors: Any, count: int) -> list[list[float]]:
    """Give `vectors` if they are `count` lists of finite numbers of one length; raises `BadAnswer` otherwise."""
    if not isinstance(vectors, list) or len(vectors) != count:
        got = len(vectors) if isinstance(vectors, list) else "no"
        raise bad_answer(connection, f"{got} vectors for {count} texts")
    for vector in vectors:
        if not isinstance(vector, list) or not vector or len(vector) != len(vectors[0]):
            raise bad_answer(connection, "vectors of different lengths")
        try:
            finite = all(map(math.isfinite, vector))
        except TypeError:
            finite = False
        if not finite:
            raise bad_answer(connection, "a vector that does not consist of numbers")
    return vectors


def bad_answer(connection: ConnectionInfo, detail: str = "") -> BadAnswer:
    """Make the error for an answer that is not the protocol."""
    protocol = "Ollama" if connection.kind == "ollama" else "OpenAI"
    return BadAnswer(
        f"The model server at {shown_url(connection)} sent something that is not an answer of the {protocol} API"
        f"{': ' + detail if detail else ''}. Check that the connection's address and kind are right."
    )


def raise_in_band(connection: ConnectionInfo, error: Any) -> NoReturn:
    """Raise for an `error` member that came with status 200, in the middle of an answer perhaps."""
    code = error.get("code") if isinstance(error, dict) else None
    if not isinstance(code, int) or not 400 <= code <= 599:
        code = None
    _raise_upstream(connection, code, _error_text({"error": error}))


def raise_fault(
    connection: ConnectionInfo, error: Exception, deadline: float | None, *, during_answer: bool = False
) -> NoReturn:
    """Raise the `ProviderError` for one of `http.FAULTS`."""
    server = f"The model server at {shown_url(connection)}"
    fault = http.fault_of(error)
    if fault is http.Fault.TIMEOUT and deadline is not None and asyncio.get_running_loop().time() >= deadline:
        raise ServerTimeout(
            f"{server} did not finish within the time allowed. Ask for a shorter answer, or raise the connection's "
            "total time limit."
        ) from error
    match fault:
        case http.Fault.ADDRESS:
            raise ConnectionMisconfigured(
                f"“{shown_url(connection)}” is not an address of a model server. It must start with http:// or "
                "https:// and name a host."
            ) from error
        case http.Fault.TLS:
            raise ConnectionMisconfigured(
                f"{server} has a certificate that is not trusted. Give the certificate authority to this "
                "installation, or correct the server's certificate."
            ) from error
        case http.Fault.UNREACHABLE:
            raise ServerUnreachable(
                f"{server} does not answer. Check that it runs and that this machine can reach it."
            ) from error
        case http.Fault.TIMEOUT:
            raise ServerTimeout(
                f"{server} was silent for too long. It may be overloaded or still loading the model: try again, or "
                "raise the connection's time limits."
            ) from error
        case http.Fault.CUT if during_answer:
            raise cut_off(connection) from error
        case http.Fault.CUT:
            raise ServerUnreachable(
                f"{server} closed the connection without answering. Check that it speaks HTTP at this address, and "
                "its log for a crash."
            ) from error


def cut_off(connection: ConnectionInfo) -> StreamCutOff:
    """Make the error for an answer without an end."""
    return StreamCutOff(
        f"The model server at {shown_url(connection)} closed the connection before the answer was complete. "
        "Try again; if it happens often, look at the server's log."
    )


async def _raise_for_status(connection: ConnectionInfo, answer: Answer) -> None:
    status = answer.response.status_code
    if 300 <= status < 400:
        target = answer.response.headers.get("location", "another address").partition("?")[0]
        raise ServerRejected(
            f"The model server at {shown_url(connection)} redirects to {_redact(connection, target)}. Redirects are "
            "not followed: enter the final address.",
            status,
        )
    if 200 <= status < 300:
        return
    body = b""
    with suppress(ProviderError):  # the status says enough if the text does not arrive
        while len(body) < 65536 and (part := await answer.read()):
            body += part
    try:
        text = _error_text(orjson.loads(body))
    except orjson.JSONDecodeError:
        text = "" if b"<html" in body[:500].lower() else body.decode("utf-8", "replace")
    _raise_upstream(connection, status, text)


def _raise_upstream(connection: ConnectionInfo, status: int | None, text: str) -> NoReturn:
    text = _redact(connection, " ".join(text.split()))[:ERROR_TEXT_LIMIT]
    server = f"The model server at {shown_url(connection)}"
    said = f" It said: {text}" if text else ""
    if status is None or status >= 500:
        what = "failed" if status is None else f"failed (status {status})"
        raise ServerFailed(f"{server} {what}. Try again, or look at its log.{said}", status, upstream=text)
    if status == 401:
        message = f"{server} refused the key. Check the key of this connection.{said}"
    elif status == 403:
        message = f"{server} does not allow this. Check what the key of this connection may do.{said}"
    elif status == 404:
        message = f"{server} does not know this model or path. Check the model and the connection's address.{said}"
    elif status == 429:
        message = f"{server} takes no more requests for now. Wait a little and try again.{said}"
    else:
        message = f"{server} refused the request (status {status}).{said}"
    raise ServerRejected(message, status, retryable=status in (408, 425, 429), upstream=text)


def _error_text(data: Any) -> str:
    """Find the words for people in the many shapes of error bodies."""
    for _ in range(4):
        if isinstance(data, list) and data:
            data = data[0]
        elif isinstance(data, dict):
            data = next((data[key] for key in ("error", "message", "detail", "msg") if data.get(key)), "")
        else:
            break
    return data if isinstance(data, str) else ""


def _redact(connection: ConnectionInfo, text: str) -> str:
    secrets = [connection.api_key, *map(str, (connection.config.get("headers") or {}).values())]
    secrets += map(str, connection.headers.values())
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "…")
    return text


def _to_json(payload: Mapping[str, Any]) -> bytes:
    return orjson.dumps(payload, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)
