"""What the socket sends, as server-sent events: for pages behind a proxy that lets no socket through."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from accounts.middleware import identity_of
from accounts.tokens import still_valid
from accounts.web import asigned_in
from chat.consumers import MAX_SEQ, ChatConsumer
from owui.lib import ending
from owui.lib.aio import in_thread
from rbac.watch import watch

#: seconds of silence after which a comment is sent, so that no proxy takes the connection for dead
SILENCE = 15
MOST_TURNS = 50


@require_GET
@asigned_in
async def stream(request: HttpRequest) -> HttpResponseBase:
    """`?turn=<id>.<seq>` for each answer to be followed, from the number on that the page is at. The frames are those
    of the socket, and end with the right to them as a socket does."""
    identity, mark = identity_of(request), watch.mark()
    user = await in_thread(still_valid)(identity) if identity is not None else None
    if identity is None or user is None:
        return HttpResponse(status=401)
    scope = {"type": "websocket", "path": request.path, "identity": replace(identity, user=user), "rights_mark": mark}
    response = StreamingHttpResponse(_Events(scope, _asked(request)), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # nginx would keep it until it is over
    return response


def _asked(request: HttpRequest) -> list[dict[str, Any]]:
    """What a page would say on a socket; what cannot be read is left out."""
    frames = []
    for text in request.GET.getlist("turn")[:MOST_TURNS]:
        key, _dot, seq = text.partition(".")
        with suppress(ValueError):
            frames.append({"type": "attach", "turn": str(uuid.UUID(key)), "seq": min(int(seq or 0), MAX_SEQ)})
    return frames


class _Events:
    """A socket's consumer with this connection for a peer. Ends with the process, so that the page asks another one."""

    def __init__(self, scope: dict[str, Any], asked: list[dict[str, Any]]) -> None:
        said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        said.put_nowait({"type": "websocket.connect"})
        for frame in asked:
            said.put_nowait({"type": "websocket.receive", "text": orjson.dumps(frame).decode()})
        # One at a time: nothing is piled up for a reader that takes nothing.
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1)
        self._loop = asyncio.get_running_loop()
        self._consumer = asyncio.create_task(ChatConsumer()(scope, said.get, self._heard.put), name="event-stream")

    def close(self) -> None:
        """With the response, in whatever thread that is."""
        self._loop.call_soon_threadsafe(self._consumer.cancel)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        silent = 0
        while not ending.is_asked() and not (self._consumer.done() and self._heard.empty()):
            try:
                message = await asyncio.wait_for(self._heard.get(), 1)
            except TimeoutError:
                silent = (silent + 1) % SILENCE
                if not silent:
                    yield b":\n\n"
                continue
            silent = 0
            if message["type"] == "websocket.accept":
                yield b"event: ready\ndata: 1\n\n"
            elif message["type"] == "websocket.send":
                yield f"data: {message['text']}\n\n".encode()
            else:
                yield f"event: over\ndata: {message.get('code', 1000)}\n\n".encode()
                return
