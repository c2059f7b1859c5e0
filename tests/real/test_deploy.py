"""What `deploy/` gives to operators: nginx takes the site file and does with it what it promises; the units start what
there is."""

from __future__ import annotations

import configparser
import importlib.util
import re
import shutil
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from owui.env import Serving
from tests.ports import free_ports
from tests.processes.server import until
from tests.real.servers import HERE, environ, needs

DEPLOY = HERE.parents[1] / "deploy"
PATH = f"{environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


class Proxy:
    """nginx with the site file as it is, but for addresses, name and certificate."""

    def __init__(self, directory: Path, ports: list[int]) -> None:
        self.directory, self.port = directory, free_ports(2)
        subprocess.run([HERE / "tls" / "make_ca.sh", directory / "tls"], check=True, capture_output=True)
        site = (DEPLOY / "nginx.conf").read_text()
        for old, new in (
            ("10.0.0.21:8080", f"127.0.0.1:{ports[0]}"),
            ("10.0.0.22:8080", f"127.0.0.1:{ports[1]}"),
            ("listen 80", f"listen 127.0.0.1:{self.port + 1}"),
            ("listen 443", f"listen 127.0.0.1:{self.port}"),
            ("owui.example.org", "localhost"),
            ("/etc/ssl/owui/chain.pem", f"{directory}/tls/chain.pem"),
            ("/etc/ssl/owui/key.pem", f"{directory}/tls/server.key"),
        ):
            assert old in site, old
            site = site.replace(old, new)
        (directory / "site.conf").write_text(site)
        temporary = "".join(f"{kind}_temp_path {directory}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
        (directory / "nginx.conf").write_text(
            f"daemon off; pid {directory}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; client_body_temp_path {directory}/body; {temporary} include site.conf; }}"
        )

    @property
    def command(self) -> list[str]:
        nginx = shutil.which("nginx", path=PATH)
        assert nginx
        return [nginx, "-p", str(self.directory), "-c", str(self.directory / "nginx.conf")]

    @contextmanager
    def running(self) -> Iterator[httpx.Client]:
        tls = ssl.create_default_context(cafile=self.directory / "tls" / "ca.pem")
        client = httpx.Client(base_url=f"https://localhost:{self.port}", verify=tls)
        process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL)
        try:
            until(lambda: _answers(client), 20, "nginx")
            yield client
        finally:
            client.close()
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def _answers(client: httpx.Client) -> bool:
    try:
        return bool(client.get("/").status_code)
    except httpx.TransportError:
        return False


@contextmanager
def node(port: int) -> Iterator[list[str]]:
    """A node that only says that it is there; the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            for name in ("X-Forwarded-For", "X-Forwarded-Email"):
                self.send_header(f"Got-{name}", self.headers.get(name, "nothing"))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.process
@needs("nginx")
def test_nginx_takes_the_site_file(tmp_path: Path) -> None:
    done = subprocess.run([*Proxy(tmp_path, [1, 2]).command, "-t"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "successful" in done.stderr, done.stderr


@pytest.mark.process
@needs("nginx")
def test_a_node_that_refuses_is_passed_over_and_taken_again_as_soon_as_it_is_back(tmp_path: Path) -> None:
    ports = [free_ports(), free_ports()]
    with Proxy(tmp_path, ports).running() as client:
        assert client.get("/").status_code == 502, "no node is there"
        with node(ports[0]) as asked:
            # Neither the refusals before nor those of the other node count.
            statuses = [client.post("/c/new/messages", content=b"a question").status_code for _ in range(20)]
            assert statuses == [200] * 20
            assert asked == ["/c/new/messages"] * 20, "each was asked once"
        assert client.get("/").status_code == 502
        with node(ports[1]):
            answer = client.get("/", headers={"X-Forwarded-For": "10.9.9.9", "X-Forwarded-Email": "dana@example.org"})
        assert answer.status_code == 200
        assert answer.headers["got-x-forwarded-for"] == "127.0.0.1"
        assert answer.headers["got-x-forwarded-email"] == "nothing"


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit's service, with every value of those that come more than once."""
    found: dict[str, list[str]] = {}
    text = (DEPLOY / name).read_text()
    configparser.RawConfigParser(strict=False).read_string(text)  # it has the shape of a unit
    for key, value in re.findall(r"^(\w+)=(.*)$", text.partition("[Service]")[2], re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(("name", "module"), [("owui.service", "owui.serve"), ("owui-worker.service", "celery")])
def test_a_unit_starts_a_module_that_there_is_and_asks_its_parent_to_end(name: str, module: str) -> None:
    service = unit(name)
    assert service["ExecStart"][0].startswith(f"/opt/owui/.venv/bin/python -m {module}")
    assert importlib.util.find_spec(module)
    assert (service["KillMode"], service["KillSignal"]) == (["mixed"], ["SIGTERM"])


def test_the_web_unit_leaves_time_for_what_is_being_written_and_may_be_reloaded() -> None:
    service = unit("owui.service")
    variables = dict(value.split("=", 1) for value in service["Environment"])
    drain = Serving.model_fields["shutdown_drain_seconds"].default
    assert int(variables["SHUTDOWN_DRAIN_SECONDS"]) == drain
    assert int(service["TimeoutStopSec"][0]) >= drain + 8
    # One worker has no parent that would renew it: SIGHUP would end the node.
    assert int(variables["UVICORN_WORKERS"]) >= 2
