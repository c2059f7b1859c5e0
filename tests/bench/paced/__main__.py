"""`python -m tests.bench.paced`: the server, or how fast it is."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import selectors
import signal
import socket
import time

import orjson
import uvloop

import tests.bench.paced as package
from tests.bench.paced.connection import Connection


async def serve(host: str, port: int, models: list[str], defaults: dict[str, str], told: int = 1) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(models, defaults), host, port, backlog=4096)
    os.write(told, b"%d\n" % server.sockets[0].getsockname()[1])
    await server.serve_forever()


def self_test(models: list[str], defaults: dict[str, str]) -> None:
    """Forks a server, drains it with trivial socket readers, prints tokens per CPU-second."""
    for streams, tps in ((1, 0), (50, 0), (200, 100), (500, 30)):
        ready, told = os.pipe()
        child = os.fork()
        if child == 0:
            uvloop.run(serve("127.0.0.1", 0, models, defaults, told))
        port, n = int(os.read(ready, 32)), 300 if tps else 200_000 // streams
        wall = _drain(port, streams, n, tps)
        os.kill(child, signal.SIGTERM)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        os.waitpid(child, 0)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        total, pace = n * streams, f"{tps} tok/s each" if tps else "unpaced"
        print(
            f"{streams:4d} streams, {pace}: {total} tokens in {wall:.2f} s = {total / wall:,.0f} tok/s; "
            f"{cpu:.2f} CPU-s = {total / cpu:,.0f} tok per CPU-second"
        )


def _drain(port: int, streams: int, n: int, tps: int) -> float:
    message = {"role": "user", "content": f"[[n={n} tps={tps} ttft=0]]"}
    body = orjson.dumps({"model": "m", "stream": True, "messages": [message]})
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    waiting, began = selectors.DefaultSelector(), time.monotonic()
    for _ in range(streams):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(head + body)
        waiting.register(connection, selectors.EVENT_READ, connection)
    left = streams
    while left:
        for key, _events in waiting.select():
            data = key.data.recv(1 << 20)
            if not data or data.endswith(b"0\r\n\r\n"):
                waiting.unregister(key.data)
                key.data.close()
                left -= 1
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=package.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="tests.bench.paced"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument("--models", default="mock-small,mock-large", help="names, or a number of models")
    parser.add_argument("--n", default="100", help="tokens per reply")
    parser.add_argument("--tps", default="30", help="tokens per second per stream; 0: unpaced")
    parser.add_argument("--ttft", default="50", help="ms before the first token")
    parser.add_argument("--self-test", action="store_true")
    given = parser.parse_args()
    models = [f"mock-{i:05d}" for i in range(int(given.models))] if given.models.isdigit() else given.models.split(",")
    defaults = {"n": given.n, "tps": given.tps, "ttft": given.ttft}
    if given.self_test:
        self_test(models, defaults)
        return
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(given.host, given.port, models, defaults))


if __name__ == "__main__":
    main()
