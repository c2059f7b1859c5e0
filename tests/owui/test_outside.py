"""What claims lead to is fetched from outside only, small, of a wanted type, and without being led on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from owui.lib.outside import Unreachable, fetch, is_public

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = 302 if self.path == "/led-on" else 200
            body = PNG * 1000 if self.path == "/large" else PNG
            self.send_response(status)
            self.send_header("location", "/picture")
            self.send_header("content-type", "text/html" if self.path == "/page" else "image/png")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running.server_port
        running.shutdown()
        thread.join()


async def get(url: str, **options: object) -> bytes:
    body, _kind = await fetch(url, types=("image/png",), largest=10_000, timeout=3, **options)  # type: ignore[arg-type]
    return body


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"],
)
async def test_nothing_inside_is_reached_however_it_is_spelt(server: int, host: str) -> None:
    with pytest.raises(Unreachable):
        await get(f"http://{host}:{server}/picture")


async def test_a_host_in_the_house_is_reached_where_it_is_named(server: int) -> None:
    assert await get(f"http://127.0.0.1:{server}/picture", private_hosts=["127.0.0.1"]) == PNG
    assert await get(f"http://localhost:{server}/picture", private_hosts=["LOCALHOST"]) == PNG
    with pytest.raises(Unreachable):
        await get(f"http://localhost:{server}/picture", private_hosts=["127.0.0.1"])


@pytest.mark.parametrize(
    ("path", "why"), [("led-on", "the answer is 302"), ("large", "larger than"), ("page", "is not wanted")]
)
async def test_nobody_leads_us_on_or_fills_our_memory(server: int, path: str, why: str) -> None:
    with pytest.raises(Unreachable, match=why):
        await get(f"http://127.0.0.1:{server}/{path}", private_hosts=["127.0.0.1"])


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://x/y", "//x/y", "http://a:b@127.0.0.1/", "http://[x", "http://"]
)
async def test_only_addresses_of_web_servers_are_asked(url: str) -> None:
    with pytest.raises(Unreachable):
        await get(url, private_hosts=["127.0.0.1"])


def test_what_lies_inside_is_known_in_every_wrapper() -> None:
    inside = "10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 224.0.0.1 fe80::1%eth0 fd00::1 2002:7f00:1::"
    assert not any(map(is_public, [*inside.split(), "64:ff9b::7f00:1", "::ffff:10.0.0.1"]))
    assert all(map(is_public, ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"]))
