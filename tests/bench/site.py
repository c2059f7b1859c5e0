"""A site of the bench's own: embedded database and broker, a paced model server, web nodes as operators run them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from owui.embedded.plan import AFTER_ANSWERS
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]


def wait_for(url: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{url} did not answer within {seconds:.0f} s.")


@dataclass
class Node:
    """One uvicorn with its workers."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid


class BenchSite:
    """`with BenchSite() as site: site.node(workers=2)`; leaving the block ends everything that was started."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="owui-bench-")
        self.home = Path(self._directory.name)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.nodes: list[Node] = []
        self.upstream = f"http://127.0.0.1:{free_ports()}"

    def __enter__(self) -> BenchSite:
        try:
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        for process in reversed(self.processes):
            self.end(process)
        self._directory.cleanup()

    def _prepare(self) -> None:
        self.models = self.run("-m", "tests.bench.paced", "--port", self.upstream.rsplit(":", 1)[1])
        command = ("-m", "owui.embedded", "services", "--home", str(self.home), "--no-models")
        services = self.run(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert services.stdout is not None
        self.env = os.environ | json.loads(services.stdout.readline())
        self.env |= {"OPENAI_API_BASE_URLS": f"{self.upstream}/v1", "ENABLE_OLLAMA_API": "False"}
        # Titles, tags and follow-up questions are answers of their own; the figures we compare with are without them too.
        self.env |= dict.fromkeys(AFTER_ANSWERS, "False")
        self.manage("migrate", "--verbosity", "0")
        self.manage("collectstatic", "--noinput", "--verbosity", "0")

    # ------------------------------------------------------------------------------------------------------ processes
    def run(self, *command: str, env: dict[str, str] | None = None, **more: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=env, **more)
        self.processes.append(process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Ends one process; one that hangs is killed with its children."""
        family = children_of(process.pid)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        if process in self.processes:
            self.processes.remove(process)

    def manage(self, *command: str) -> None:
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=self.env, check=True)

    def seed(self, module: str, *arguments: str) -> None:
        subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, env=self.env, check=True)

    def node(self, name: str = "web", *, workers: int = 2, port: int = 0, env: dict[str, str] | None = None) -> Node:
        """Starts a node and waits until each of its workers runs turns."""
        port = port or free_ports()
        alive = len(self.runners())
        log = (self.home / f"{name}.log").open("ab")
        command = ("-m", "owui.serve", "--port", str(port), "--workers", str(workers))
        process = self.run(*command, env=self.env | (env or {}), stdout=log, stderr=log)
        node = Node(name, port, process)
        self.nodes.append(node)
        wait_for(f"{node.url}/health")
        end = time.monotonic() + 90
        while len(self.runners()) < alive + workers:
            if time.monotonic() > end:
                sys.exit(f"{name} did not start all its workers: {self.log_of(node)[-2000:]}")
            time.sleep(0.1)
        return node

    def log_of(self, node: Node) -> str:
        return (self.home / f"{node.name}.log").read_text(errors="replace")

    @contextmanager
    def fresh(self, *, workers: int = 2) -> Iterator[Node]:
        """A node for one run."""
        node = self.node(workers=workers)
        try:
            yield node
        finally:
            self.stop(node)

    def stop(self, node: Node) -> None:
        self.end(node.process)
        self.nodes.remove(node)

    # ------------------------------------------------------------------------------------------------------- database
    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.env["DATABASE_URL"], autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(statement, list(values))
            return cursor.fetchall() if cursor.description else []

    def runners(self) -> dict[int, str]:
        """Process and runner ids of the workers that live; who was killed is in the table for a while longer."""
        rows = self.sql("SELECT pid, id FROM chat_runner WHERE heartbeat_at > now() - interval '3 seconds'")
        return {pid: str(runner) for pid, runner in rows if psutil.pid_exists(pid)}

    def pids(self) -> dict[str, int]:
        """What is metered: web nodes, database, broker and the model server."""
        found = {node.name: node.pid for node in self.nodes}
        found["postgres"] = int(next(self.home.rglob("postmaster.pid")).read_text().split()[0])
        found["valkey"] = next(p.pid for p in children_of(os.getpid()) if "valkey" in p.name() or "redis" in p.name())
        return found | {"models": self.models.pid}

    @property
    def postgres_log(self) -> Path:
        return next(self.home.rglob("postgres.log"))


def children_of(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
