"""The one HTTP client: shared in a loop, gone with it, and deaf to the environment."""

import asyncio
import gc
import ssl
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import certifi
import httpx
import pytest

from owui.lib import http
from tests.fakes.model_server import FakeModelServer


@pytest.fixture(scope="module")
def server() -> Iterator[FakeModelServer]:
    with FakeModelServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _restore_options() -> Iterator[None]:
    yield
    http.configure()


async def test_one_client_in_a_loop() -> None:
    assert http.client() is http.client()


async def test_a_closed_client_is_replaced() -> None:
    first = http.client()
    await http.close_client()
    assert first.is_closed
    assert http.client() is not first
    await http.close_client()
    await http.close_client()  # closing twice is nothing


def test_no_client_outside_a_loop() -> None:
    with pytest.raises(RuntimeError):
        http.client()


def test_loops_have_clients_of_their_own_that_end_with_them(server: FakeModelServer) -> None:
    seen: list[httpx.AsyncClient] = []

    async def use() -> None:
        seen.append(http.client())
        assert (await http.client().get(f"{server.openai_url}/models")).status_code == 200

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(use())
        thread = threading.Thread(target=lambda: asyncio.run(use()))
        thread.start()
        thread.join()
        gc.collect()
    assert len({id(client) for client in seen}) == 2
    assert all(client.is_closed for client in seen)
    assert not http._held
    assert not caught


def test_nothing_complains_when_a_loop_ends_in_the_middle_of_streams(server: FakeModelServer) -> None:
    code = (
        "import asyncio, sys\n"
        "from inference.providers import get_provider\n"
        "from inference.providers.base import ChatRequest, ConnectionInfo\n"
        "request = ChatRequest('m', [{'role': 'user', 'content': '[[n=1000 tps=20]]'}])\n"
        "def stream(): return get_provider('openai').stream_chat(ConnectionInfo('openai', sys.argv[1]), request)\n"
        "async def read():\n"
        "    async for event in stream(): pass\n"
        "async def main():\n"
        # Development mode also tells of slow steps, which a busy machine has.
        "    asyncio.get_running_loop().slow_callback_duration = 60\n"
        "    task = asyncio.create_task(read())\n"
        "    abandoned = stream()\n"
        "    await anext(abandoned)\n"
        "    await asyncio.sleep(0.1)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", code, server.openai_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, "")


def test_an_abandoned_loop_is_forgotten() -> None:
    loop = asyncio.new_event_loop()

    async def use() -> None:
        http.client()

    loop.run_until_complete(use())
    loop.close()  # without shutting down its async generators
    asyncio.run(use())
    assert loop not in http._held


async def test_redirects_are_not_followed_and_cookies_not_kept(server: FakeModelServer) -> None:
    response = await http.client().get(f"{server.url}/redirect")
    assert response.status_code == 307
    await http.client().get(f"{server.openai_url}/models")
    await http.client().get(f"{server.openai_url}/models")
    assert "cookie" not in server.requests[-1].headers
    assert not http.client().cookies


async def test_proxies_of_the_environment_are_ignored(
    server: FakeModelServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    await http.close_client()
    response = await http.client().get(f"{server.openai_url}/models")
    assert response.status_code == 200
    assert "authorization" not in server.requests[-1].headers


async def test_options(server: FakeModelServer) -> None:
    http.configure(user_agent="somebody/1")
    await http.client().get(f"{server.openai_url}/models")
    assert server.requests[-1].headers["user-agent"] == "somebody/1"


def test_certificates_are_verified_unless_switched_off(tmp_path: Path) -> None:
    http.configure(ca_file=certifi.where())
    context = http._tls(certifi.where(), True)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert http._tls(None, False).verify_mode is ssl.CERT_NONE
    with pytest.raises(OSError, match="No such file"):
        http.configure(ca_file=str(tmp_path / "missing.pem"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    files = [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(folder / "key.pem"),
        "-out",
        str(folder / "c.pem"),
    ]
    try:
        subprocess.run([*command.split(), *files], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl")
    return folder


async def test_tls_against_a_server(certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "c.pem", certificate / "key.pem")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readline():
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                await writer.drain()
        finally:
            writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"
    try:
        with pytest.raises(http.FAULTS) as caught:
            await http.client().get(url)
        assert http.fault_of(caught.value) is http.Fault.TLS
        for options in ({"ca_file": str(certificate / "c.pem")}, {"verify": False}):
            await http.close_client()
            http.configure(**options)
            assert (await http.client().get(url)).text == "ok"
    finally:
        await http.close_client()
        listener.close()
        await listener.wait_closed()


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://127.0.0.1:9/", http.Fault.UNREACHABLE),
        ("http://no-such-host.invalid/", http.Fault.UNREACHABLE),
        ("ftp://127.0.0.1/", http.Fault.ADDRESS),
        ("nonsense", http.Fault.ADDRESS),
        ("http://[::1/", http.Fault.ADDRESS),
    ],
)
async def test_faults_have_names(url: str, fault: http.Fault) -> None:
    with pytest.raises(http.FAULTS) as caught:
        await http.client().get(url)
    assert http.fault_of(caught.value) is fault


async def test_silence_is_a_timeout(server: FakeModelServer) -> None:
    body = {"messages": [{"role": "user", "content": "[[ttft=3000]]"}]}
    with pytest.raises(http.FAULTS) as caught:
        await http.client().post(f"{server.openai_url}/chat/completions", json=body, timeout=0.1)
    assert http.fault_of(caught.value) is http.Fault.TIMEOUT


async def test_compressed_bodies_are_read_too() -> None:
    import gzip

    packed = gzip.compress(b"hello")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        writer.write(head % len(packed) + packed)
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"
    async with listener, http.client().stream("GET", url) as response:
        read = http.body_reader(response)
        assert (await read(), await read()) == (b"hello", b"")
