"""`python -m owui.serve`: uvicorn, with an end that loses nothing.

Asked to end (SIGTERM), a node stops to listen at once, in the parent too, which holds the port open for its workers:
a proxy goes to other nodes then instead of waiting for this one. Requests that are under way on open connections are
still answered, and their connections closed after them. Then pages' sockets are closed, so that they go on elsewhere
from where they are, and what is being written is written to its end, for SHUTDOWN_DRAIN_SECONDS at most. SIGHUP renews
the workers one after the other without letting go of the port.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.supervisors import Multiprocess, multiprocess

from owui.env import Serving

#: seconds in which requests that are on their way over open connections still arrive
GRACE = 1.0
#: seconds in which a page must have answered that its socket is closed
FAREWELL = 3.0
#: frames that pages send are a hundred bytes; uvicorn's default is 16 MB for each of them
LONGEST_FRAME = 65536


class Server(uvicorn.Server):
    """One worker."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        from owui.lifespan import begin_drain  # Django is there by now

        begin_drain()
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        if not self.force_exit:
            await asyncio.sleep(GRACE)
        farewell = asyncio.create_task(self._drop_sockets(), name="farewell")
        try:
            await super().shutdown(sockets)
        finally:
            farewell.cancel()

    async def _drop_sockets(self) -> None:
        """Nobody who does not read may hold up the end."""
        await asyncio.sleep(FAREWELL)
        for connection in list(self.server_state.connections):
            if isinstance(connection, WebSocketsSansIOProtocol):
                connection.transport.abort()


class Worker(multiprocess.Process):
    """A worker as the parent sees it."""

    @property
    def server(self) -> uvicorn.Server:
        if self._server is None:
            self._server = Server(config=self.config)
        return self._server


class Node(Multiprocess):
    """The parent of the workers."""

    def handle_term(self) -> None:
        for listening in self.sockets:
            listening.close()
        super().handle_term()

    handle_int = handle_term


def config_of(serving: Serving) -> uvicorn.Config:
    return uvicorn.Config(
        "owui.asgi:application",
        host=serving.host,
        port=serving.port,
        workers=serving.uvicorn_workers,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=LONGEST_FRAME,
        ws_per_message_deflate=serving.uvicorn_ws_per_message_deflate,
        timeout_graceful_shutdown=serving.shutdown_drain_seconds,
        access_log=False,
        server_header=False,
        log_level=serving.global_log_level.lower(),
        forwarded_allow_ips=serving.forwarded_allow_ips,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m owui.serve", description=(__doc__ or "").splitlines()[0])
    serving = Serving.load()
    parser.add_argument("--host", default=serving.host)
    parser.add_argument("--port", type=int, default=serving.port)
    parser.add_argument("--workers", type=int, default=serving.uvicorn_workers)
    given = parser.parse_args(arguments)
    changes: dict[str, Any] = {"host": given.host, "port": given.port, "uvicorn_workers": max(1, given.workers)}
    config = config_of(serving.model_copy(update=changes))
    # uvicorn makes its workers of this class by its module's name for it.
    multiprocess.Process = Worker  # type: ignore[misc]
    if config.workers == 1:
        Server(config).run()
    else:
        Node(config, sockets=[config.bind_socket()]).run()


if __name__ == "__main__":
    # Not the classes of `__main__`: workers are told by name which ones to use.
    from owui import serve

    serve.main()
