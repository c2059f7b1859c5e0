"""The whole product as people meet it: two web workers, a task worker, the real embedding model, scripted answers.

It has a database of its own in the test run's PostgreSQL and a key prefix of its own in its Valkey, so that several
runs do not see each other.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import sql

from owui.embedded.children import spawn
from tests.fakes.model_server import FakeModelServer

ROOT = Path(__file__).resolve().parents[2]
EMBEDDING_KEY = "key-of-the-embedding-server"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as response:
        return bool(response.status == 200)
    return False


class Site:
    """`with Site() as site:` starts everything and gives it away again; `site.url` is its address."""

    def __init__(self, **variables: str) -> None:
        self.models = FakeModelServer(models=["fake-small", "fake-large"])
        self._directory = tempfile.TemporaryDirectory(prefix="owui-site-", ignore_cleanup_errors=True)
        self.home = Path(self._directory.name)
        self._database = f"site_{uuid.uuid4().hex[:12]}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._variables = variables
        parts = urlsplit(os.environ["DATABASE_URL"])
        # The options of the test run (what it may truncate) are none of the product's.
        query = [(name, value) for name, value in parse_qsl(parts.query) if name != "options"]
        self._server = urlunsplit(parts._replace(query=urlencode(query)))
        self.url = f"http://127.0.0.1:{free_port()}"

    def __enter__(self) -> Self:
        self.models.__enter__()
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes.values():
            # Nothing is worth a graceful end here.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        self.models.__exit__(None, None, None)
        self._statement("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._directory.cleanup()

    def _start(self) -> None:
        self._statement("CREATE DATABASE {}")
        embedding = free_port()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "DJANGO_"))}
        self.env = inherited | {
            "OWUI_HOME": str(self.home),
            "DATA_DIR": str(self.home / "data"),
            "DATABASE_URL": urlunsplit(urlsplit(self._server)._replace(path=f"/{self._database}")),
            "DATABASE_POOL_SIZE": "8",
            "REDIS_KEY_PREFIX": self._database,
            "WEBUI_SECRET_KEY": uuid.uuid4().hex * 2,
            "ENABLE_OLLAMA_API": "False",
            "OPENAI_API_BASE_URLS": self.models.openai_url,
            "OPENAI_API_KEYS": "none",
            "RAG_EMBEDDING_ENGINE": "openai",
            "RAG_EMBEDDING_MODEL": "all-MiniLM-L6-v2",
            "RAG_OPENAI_API_BASE_URL": f"http://127.0.0.1:{embedding}/v1",
            "RAG_OPENAI_API_KEY": EMBEDDING_KEY,
            "EMBEDDING_SERVER_PORT": str(embedding),
            "EMBEDDING_SERVER_KEY": EMBEDDING_KEY,
            "ENABLE_API_KEYS": "True",
            "USER_PERMISSIONS_FEATURES_API_KEYS": "True",
            **self._variables,
        }
        (self.home / "data").mkdir()
        self._spawn("embedding", "-m", "owui.embedded.embedding_server")
        preparing = [
            self._spawn("migrate", "manage.py", "migrate", "--noinput", "--skip-checks"),
            self._spawn("collectstatic", "manage.py", "collectstatic", "--noinput", "--skip-checks"),
        ]
        for process in preparing:
            if process.wait(90):
                raise AssertionError(self.log())
        self._spawn(
            "web",
            *("-m", "uvicorn", "owui.asgi:application", "--port", str(urlsplit(self.url).port), "--workers", "2"),
            *("--ws", "websockets-sansio", "--no-access-log", "--timeout-graceful-shutdown", "3"),
        )
        self._spawn(
            "worker",
            *("-m", "celery", "--app", "owui.celery", "worker", "--beat", "--concurrency", "1", "--loglevel", "WARNING"),
            *("--schedule", str(self.home / "beat"), "--without-gossip", "--without-mingle"),
        )
        self.wait_ready()

    def wait_ready(self, seconds: float = 60) -> None:
        """Waits until pages come."""
        deadline = time.monotonic() + seconds
        while not answers(f"{self.url}/health"):
            assert time.monotonic() < deadline and self._processes["web"].poll() is None, self.log()
            time.sleep(0.1)

    def kill_web_workers(self) -> None:
        """What running out of memory does to them; the server starts new ones."""
        for child in psutil.Process(self._processes["web"].pid).children():
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()

    def log(self) -> str:
        """The last lines of everything, for a failed test."""
        texts = [f"== {path.stem}\n{path.read_text(errors='replace')[-4000:]}" for path in self.home.glob("*.log")]
        return "\n".join(sorted(texts))

    def _spawn(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with open(self.home / f"{name}.log", "ab") as log:
            process = spawn([sys.executable, *arguments], env=self.env, log=log, cwd=ROOT)
        self._processes[name] = process
        return process

    def _statement(self, statement: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(self._database)))


if __name__ == "__main__":
    # A site to look at: `python -m tests.browser.site`, ended by Ctrl-C.
    with Site() as site, contextlib.suppress(KeyboardInterrupt):
        print(site.url, flush=True)
        signal.pause()
