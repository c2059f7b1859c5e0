"""Sending requests to model servers, and turning every fault into a `ProviderError` that people can act on."""

import asyncio
import base64
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

import httpx
import orjson

from inference.providers.base import ConnectionInfo, PassthroughResponse
from inference.providers.errors import (
    ConnectionMisconfigured,
    ProviderError,
    ServerRejected,
    ServerTimeout,
    ServerUnreachable,
    SignInNeeded,
)
from inference.providers.pace import Pace
from inference.providers.said import (
    USER_INFO,
    bad_answer,
    cut_off,
    error_text,
    raise_in_band,
    raise_upstream,
    redact,
    shown_url,
    unsendable,
)
from owui.lib import http

#: a connection that a server had closed while it was kept breaks this soon; its request is sent once more
AT_ONCE = 0.5
DRAIN_SECONDS = 0.5
WHOLE_LIMIT = 128 * 1024 * 1024  # bytes of an answer that is not streamed

#: sign-in types that send the caller's own token: `inference.forwarding` puts it in
OF_CALLERS = ("session", "system_oauth")
#: what `inference.forwarding` makes of `system_oauth` for somebody who has no tokens of a provider here
NO_PROVIDER_SESSION = "no_provider_session"
#: what a connection's headers may say of the caller and the call
PERSONAL = re.compile(
    r"\{\{(USER_ID|USER_NAME|USER_EMAIL|USER_ROLE|USER_GROUPS|USER_GROUP_IDS|CHAT_ID|MESSAGE_ID|USER_MESSAGE_ID|"
    r"USER_MESSAGE_PARENT_ID|MODEL_ID|TASK|FILE_ID|FILE_NAME|FILE_CONTENT_TYPE|USER_AGENT|AUTH_TYPE)\}\}"
)


class Answer:
    """An open answer, read in network-sized pieces within the connection's limits."""

    def __init__(self, connection: ConnectionInfo, response: httpx.Response, deadline: float | None) -> None:
        self.response = response
        self._connection = connection
        self._read = http.body_reader(response)
        self._deadline = deadline
        self._idle = connection.idle_timeout
        self._now: Callable[[], float] = asyncio.get_running_loop().time
        self.pace = Pace(http.end_of(response), http.transport_of(response))

    async def read(self) -> bytes:
        """Await the next bytes, `b""` at the end; raises `ServerTimeout` or `StreamCutOff`."""
        try:
            if self._deadline is None:
                return await self._read()
            # A timer for each token is dear; while the total limit is further off than the idle one, the idle one
            # (which the transport keeps) is the first to strike.
            left = self._deadline - self._now()
            if self._idle is not None and left > self._idle:
                return await self._read()
            if left <= 0:  # no timer strikes while bytes are at hand
                raise_fault(self._connection, TimeoutError(), self._deadline, during_answer=True)
            async with asyncio.timeout_at(self._deadline):
                return await self._read()
        except http.FAULTS as error:
            if rest := http.unread(self.response):
                return rest  # the next read meets the fault again
            raise_fault(self._connection, error, self._deadline, during_answer=True)

    async def read_on(self) -> bytes:
        """`read` for what follows the first words: no sooner than the pace of all open answers allows."""
        await self.pace.rest()
        piece = await self.read()
        self.pace.looked()
        return piece

    async def read_all(self) -> bytes:
        """Read the rest of the body; raises `BadAnswer` for one that does not end."""
        parts, size = [], 0
        while part := await self.read():
            parts.append(part)
            size += len(part)
            if size > WHOLE_LIMIT:
                raise bad_answer(self._connection, f"more than {WHOLE_LIMIT // 2**20} MB in one piece")
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
    idle = connection.idle_timeout
    timeout = {"connect": connect, "pool": connect, "read": idle, "write": idle}
    try:
        send = partial(
            http.send, method, url_of(connection, path), headers=headers_of(connection), content=body, timeout=timeout
        )
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout_at(deadline):
            try:
                response = await send()
            except http.FAULTS as error:
                if not http.was_closed_unasked(error) or asyncio.get_running_loop().time() > began + AT_ONCE:
                    raise
                response = await send()
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
        with answer.pace:
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
    address = USER_INFO.sub(r"\1", connection.base_url.strip())
    return address.rstrip("/") + path


def headers_of(connection: ConnectionInfo) -> dict[str, str]:
    """Build the headers of a request: credentials, then the administrator's, then this call's own."""
    # compressed streams arrive in lumps and cost decoding for nothing on a local network
    headers = httpx.Headers({"Accept-Encoding": "identity", "Content-Type": "application/json"})
    auth_type = connection.config.get("auth_type") or "bearer"
    if auth_type == "bearer":
        user_info = USER_INFO.match(connection.base_url.strip())
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


async def _raise_for_status(connection: ConnectionInfo, answer: Answer) -> None:
    status = answer.response.status_code
    if 300 <= status < 400:
        target = answer.response.headers.get("location", "another address").partition("?")[0]
        raise ServerRejected(
            f"The model server at {shown_url(connection)} redirects to {redact(connection, target)}. Redirects are "
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
        said = orjson.loads(body)
        text = error_text(said)
    except orjson.JSONDecodeError:
        said = None
        text = "" if b"<html" in body[:500].lower() else body.decode("utf-8", "replace")
    raise_upstream(connection, status, text, said=said, retry_after=answer.response.headers.get("retry-after", ""))


def _to_json(payload: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(payload, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError as error:
        raise unsendable() from error
