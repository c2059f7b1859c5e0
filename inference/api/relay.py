"""Requests that pass through to a model server, and its answer on the way back, byte for byte."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from accounts.middleware import known_of
from accounts.models import User
from accounts.tokens import INVALID_TOKEN, Identity, still_valid
from inference.catalogue import NOT_FOUND, Resolved, still_usable
from inference.forwarding import About, for_person
from inference.media import refuse_links
from inference.providers import get_provider
from inference.providers.base import ConnectionInfo, PassthroughResponse
from inference.providers.errors import ProviderError, SignInNeeded
from inference.providers.params import allowed
from owui.lib.aio import begun
from owui.lib.errors import UserError
from owui.lib.guards import AsyncGuard
from rbac.watch import Known, Lost, while_allowed

aadmin = AsyncGuard("admin")
UPSTREAM_DOWN = 502
_SSE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Right:
    """Who asked for a stream and with which model: both are asked again while it runs."""

    identity: Identity
    model_id: str
    known: Known | None = None

    def lost(self) -> str:
        """Why the stream may not go on, empty while it may. For a thread."""
        user = still_valid(self.identity)
        if user is None:
            return INVALID_TOKEN
        return "" if still_usable(user, self.model_id) else NOT_FOUND


def right_of(request: HttpRequest, resolved: Resolved) -> Right:
    known = known_of(request, resolved.rights_end)
    return Right(request._identity, resolved.model_id, known)  # type: ignore[attr-defined]


def json_body(request: HttpRequest) -> dict[str, Any]:
    """The body as an object; a proxy must not know all its fields."""
    try:
        body = orjson.loads(request.body or b"{}")
    except RequestDataTooBig as error:
        raise UserError("The request is too large.", status=413, code="too_large") from error
    except orjson.JSONDecodeError as error:
        raise UserError("The body of the request is not valid JSON.") from error
    if not isinstance(body, dict):
        raise UserError("The body of the request must be a JSON object.")
    return body


def model_of(body: Mapping[str, Any], *names: str) -> str:
    """The model a body asks for, under the first of the names it has."""
    for name in names or ("model",):
        value = body.get(name)
        if isinstance(value, str) and value:
            return value
    raise UserError("The request does not name a model.", code="model_missing")


async def relay(
    connection: ConnectionInfo,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    stream: bool = False,
    right: Right | None = None,
    user: User | None = None,
) -> HttpResponseBase:
    """Sends the request on and gives the answer back: as it comes with `stream`, else whole.

    An answer ends when its `right` goes, whole or streamed. Links to media are refused: see `inference.media`.

    :param user: who asks, where no right is kept

    Closing our answer closes the server's. A server's own error keeps its status, and loses our key if it repeats it.
    """
    if body is not None:
        refuse_links(*(body.get(name) for name in ("messages", "input", "prompt")))
    payload = None if body is None else orjson.dumps(allowed(body))
    person = right.identity.user if right is not None else user
    called = await for_person(connection, person, _about(right, body or {}))
    answer = await _asked(get_provider(connection.kind).passthrough(called, method, path, payload, stream), right)
    if 300 <= answer.status < 400:
        await answer.aclose()
        text = "The model server redirects to another address. Its final address must be entered in the connection."
        raise UserError(text, status=UPSTREAM_DOWN, code="upstream")
    if stream and answer.status < 400:
        pieces = await begun(_allowed(answer, right))
        response = StreamingHttpResponse(pieces, status=answer.status, content_type=answer.content_type)
        response["X-Accel-Buffering"] = "no"
        response["Cache-Control"] = "no-cache"
        return response
    data = await _whole(answer)
    if answer.status >= 400:
        data = _without_secrets(connection, data)
        if called.api_key != connection.api_key and called.api_key:
            data = data.replace(called.api_key.encode(), "…".encode())
    return HttpResponse(data, status=answer.status, content_type=answer.content_type)


async def _asked(call: Coroutine[Any, Any, PassthroughResponse], right: Right | None) -> PassthroughResponse:
    """The server's answer, whose connection closes at once when the right goes while it is waited for."""

    async def answers() -> AsyncGenerator[PassthroughResponse, None]:
        yield await call

    coming = answers()
    if right is not None:
        coming = while_allowed(coming, [right.identity.user.id], right.lost, ("model",), known=right.known)
    try:
        async with aclosing(coming):
            return await anext(coming)
    except ProviderError as error:
        raise unavailable(error) from error
    except Lost as gone:
        raise UserError(str(gone), status=403, code="lost") from gone


async def ask(
    connection: ConnectionInfo,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    user: User | None = None,
) -> dict[str, Any]:
    """The answer as an object, for operations that read it; 502 when there is none."""
    response = await relay(connection, method, path, body, user=user)
    assert isinstance(response, HttpResponse)
    if response.status_code != 200:
        raise UserError(f"The model server answered with status {response.status_code}.", status=UPSTREAM_DOWN)
    try:
        data = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        data = None
    if not isinstance(data, dict):
        raise UserError(
            "The server at this address does not speak the protocol of a model server.", status=UPSTREAM_DOWN
        )
    return data


def unavailable(error: ProviderError) -> UserError:
    """A server that cannot be reached, as REST says it."""
    if isinstance(error, SignInNeeded):
        return UserError(error.message, status=403, code="sign_in_needed")
    return UserError(error.message, status=UPSTREAM_DOWN, code="upstream")


def _about(right: Right | None, said: Mapping[str, Any]) -> About:
    """What is known of the call; clients of the field say in the body which chat it belongs to."""
    texts = {name: value for name in ("chat_id", "message_id") if isinstance(value := said.get(name), str)}
    return About(model_id=right.model_id if right is not None else "", **texts)


async def _allowed(answer: PassthroughResponse, right: Right | None) -> AsyncGenerator[bytes, None]:
    pieces = _pieces(answer)
    if right is not None:
        pieces = while_allowed(pieces, [right.identity.user.id], right.lost, ("model",), known=right.known)
    try:
        yield b""  # begun: see `begun`
        async with aclosing(pieces):
            try:
                async for piece in pieces:
                    yield piece
            except Lost as gone:
                yield _said(answer, str(gone))
    finally:
        await answer.aclose()


def _said(answer: PassthroughResponse, message: str) -> bytes:
    """The status is long sent; both protocols have a way to say a fault inside the stream."""
    said = orjson.dumps({"error": {"message": message} if _SSE in answer.content_type else message})
    return b"\n\ndata: " + said + b"\n\n" if _SSE in answer.content_type else b"\n" + said + b"\n"


async def _pieces(answer: PassthroughResponse) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in answer.aiter_bytes():
            yield piece
    except ProviderError as error:
        yield _said(answer, error.message)
    finally:
        await answer.aclose()


async def _whole(answer: PassthroughResponse) -> bytes:
    try:
        return b"".join([piece async for piece in answer.aiter_bytes()])
    except ProviderError as error:
        raise unavailable(error) from error
    finally:
        await answer.aclose()


def _without_secrets(connection: ConnectionInfo, data: bytes) -> bytes:
    headers = connection.config.get("headers") or {}
    for secret in (connection.api_key, *map(str, headers.values())):
        if len(secret) >= 4:
            data = data.replace(secret.encode(), "…".encode())
    return data
