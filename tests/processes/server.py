"""A whole site for tests: real uvicorn workers, if wanted a real Celery worker, on a database of their own.

`Site(workers=2)` starts; `site.stop()` ends whatever it started. PostgreSQL and Redis are those of the test run unless
a test brings its own; the model server is a `FakeModelServer` in this process.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psutil
import psycopg

from tests.fakes.model_server import FakeModelServer
from tests.plugin import THROWN_AWAY
from tests.ports import free_ports

environ = os.environ  # noqa: TID251  (what the test run's plugin has set)
ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = "owui_site_template"
CONFIG_TABLE = "config_configvalue"
PASSWORD = "Correct-horse-7"
#: seconds that a request may take where a test is about something else: the machine may have other things to do
PATIENCE = 60
#: what would follow each answer of the page
AFTER_ANSWERS = ("ENABLE_TITLE_GENERATION", "ENABLE_TAGS_GENERATION", "ENABLE_FOLLOW_UP_GENERATION")
_RUN = Path(environ.get("OWUI_TEST_RUN") or tempfile.gettempdir())


def until(condition: Callable[[], Any], seconds: float = 60.0, what: str = "it") -> Any:
    """What the condition gives as soon as that is true."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds} s"
        time.sleep(0.02)


def database_url(name: str, base: str = "") -> str:
    """Another database on the same server; written so that libpq reads it too."""
    parts = urlsplit(base or environ["DATABASE_URL"])
    return urlunsplit((parts.scheme, parts.netloc, f"/{name}", parts.query.replace("+", "%20"), ""))


@contextmanager
def _server(base: str = "") -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url("postgres", base), autocommit=True) as connection:
        yield connection


def environment(database: str, redis: str, prefix: str, **more: str) -> dict[str, str]:
    """What the processes of a site see; nothing of the developer's own shell."""
    kept = {k: v for k, v in environ.items() if k in ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV")}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "REDIS_KEY_PREFIX": prefix,
        "OWUI_HOME": str(_RUN / "site"),
        "WEBUI_SECRET_KEY": environ["WEBUI_SECRET_KEY"],
        "ENABLE_OLLAMA_API": "False",
        "DATABASE_POOL_SIZE": "10",
        "DATABASE_POOL_TIMEOUT": "5",
        "SHUTDOWN_DRAIN_SECONDS": "5",
        # Many tests count what model servers are asked.
        **dict.fromkeys(AFTER_ANSWERS, "False"),
        **more,
    }


def _manage(env: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Of all workers of a test run."""
    (_RUN / "site" / "static").mkdir(parents=True, exist_ok=True)
    with (_RUN / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def copy_of_template(name: str, base: str = "") -> None:
    """A migrated database; the one to copy from is made by whoever needs one first."""
    with _one_at_a_time(), _server(base) as server:
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone():
            server.execute(f"CREATE DATABASE {TEMPLATE}_new")
            env = environment(database_url(f"{TEMPLATE}_new", base), "redis://127.0.0.1:1/0", "prepare")
            _manage(env, "migrate", "--verbosity", "0")
            # Migrations seed the settings; each site takes its own from its environment.
            with psycopg.connect(database_url(f"{TEMPLATE}_new", base), autocommit=True) as made:
                made.execute(f"TRUNCATE {CONFIG_TABLE}")
            server.execute(f"ALTER DATABASE {TEMPLATE}_new RENAME TO {TEMPLATE}")
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE}')


def collect_files() -> None:
    """The static files, for all sites of a test run."""
    with _one_at_a_time():
        if not (_RUN / "site" / "static" / "staticfiles.json").exists():
            # No command asks the database for that.
            env = environment(environ["DATABASE_URL"], "redis://127.0.0.1:1/0", "prepare")
            _manage(env, "collectstatic", "--noinput", "--verbosity", "0")


class OwnValkey:
    """A Valkey of a test's own, to be killed and started again at the same address."""

    def __init__(self) -> None:
        self.port = free_ports()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        from owui.embedded.home import Home
        from owui.embedded.valkey import Valkey

        home = Home(_RUN / "valkey-of-tests")
        home.prepare()
        binary = Valkey(home).binary
        arguments = [str(binary), "--port", str(self.port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        self._process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: not _is_closed(self.port), 30, "Valkey")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)


def _is_closed(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Site:
    """Processes, their address and a model server that answers them."""

    def __init__(
        self,
        *,
        workers: int = 1,
        celery: bool = False,
        models: FakeModelServer | None = None,
        database_server: str = "",
        redis: str = "",
        env: dict[str, str] | None = None,
    ) -> None:
        self.base = database_server
        self.name = f"owui_site_{uuid.uuid4().hex[:12]}"
        collect_files()
        copy_of_template(self.name, self.base)
        self._own_models = models is None
        self.models = models or FakeModelServer().__enter__()
        self.directory = Path(tempfile.mkdtemp(prefix="site-", dir=_RUN))
        self.database = database_url(self.name, self.base)
        self.env = environment(
            self.database,
            redis or environ["REDIS_URL"],
            self.name,
            OPENAI_API_BASE_URLS=self.models.openai_url,
            OPENAI_API_KEYS="none",
            RAG_EMBEDDING_ENGINE="openai",
            RAG_OPENAI_API_BASE_URL=self.models.openai_url,
            RAG_OPENAI_API_KEY="none",
            **(env or {}),
        )
        self.processes: list[subprocess.Popen[bytes]] = []
        self.workers = workers
        self.port = free_ports()
        self.tokens: dict[str, str] = {}
        try:
            self._begin(celery)
        except BaseException:
            self.stop()
            raise

    def _begin(self, celery: bool) -> None:
        self.web = self.start_node("web", self.port)
        if celery:
            self.start("celery", "-m", "celery", "-A", "owui.celery", "worker", "-B", "-c", "1", "-P", "solo",
                       "-s", str(self.directory / "beat"), "--without-mingle", "--without-gossip")  # fmt: skip
        until(self.is_healthy, 240, f"the site ({self.log('web')})")
        # All workers: each beats as soon as it can run turns.
        until(lambda: len(self.runners()) >= self.workers, 240, "the start of every worker")

    def start_node(self, name: str, port: int) -> subprocess.Popen[bytes]:
        """A web server with its workers; a site may have several, on one database and one broker."""
        return self.start(name, "-m", "owui.serve", "--port", str(port), "--workers", str(self.workers))

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self.processes.append(process)
        return process

    def log(self, name: str) -> str:
        path = self.directory / f"{name}.log"
        return path.read_text() if path.exists() else ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/chat"

    def is_healthy(self) -> bool:
        if self.web.poll() is not None:
            raise AssertionError(self.log("web"))
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    # ------------------------------------------------------------------------------------------------------- the rows
    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database, autocommit=True) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def runners(self) -> dict[int, str]:
        """The living workers' process ids and runner ids."""
        sql = "SELECT pid, id FROM chat_runner WHERE heartbeat_at > now() - interval '3 seconds'"
        return {pid: str(runner) for pid, runner in self.rows(sql)}

    def pid_of_turn(self, turn_id: str) -> int:
        sql = "SELECT r.pid FROM chat_turn t JOIN chat_runner r ON r.id = t.runner_id WHERE t.id = %s"
        return int(self.rows(sql, turn_id)[0][0])

    def answer(self, message_id: str) -> tuple[str, str]:
        """State and text of a saved answer."""
        return self.rows("SELECT state, content FROM chat_message WHERE id = %s", message_id)[0]  # type: ignore[return-value]

    # --------------------------------------------------------------------------------------------------------- people
    def sign_up(self, name: str = "Dana Reyes", email: str = "dana@example.org") -> str:
        """The first one is administrator and may use every model; later ones are made by her. Returns the token."""
        body = {"name": name, "email": email, "password": PASSWORD}
        if not self.tokens:
            answer = httpx.post(f"{self.url}/api/v1/auths/signup", json=body, timeout=PATIENCE)
        else:
            with self.program() as administrator:
                answer = administrator.post("/api/v1/auths/add", json=body)
        assert answer.status_code == 200, answer.text
        self.tokens[email] = answer.json()["token"]
        return self.tokens[email]

    def user_token(self, email: str) -> tuple[str, str]:
        """Token and id of somebody who is no administrator; approved, also when that was taken back before."""
        dana = self.token
        if email not in self.tokens:
            self.sign_up(email.partition("@")[0].title(), email)
        with self.program(dana) as administrator:
            found = administrator.get("/api/v1/users/", params={"query": email}).json()["users"][0]["id"]
            assert administrator.post(f"/api/v1/users/{found}/update", json={"role": "user"}).status_code == 200
        return self.tokens[email], str(found)

    @property
    def token(self) -> str:
        return self.tokens.get("dana@example.org") or self.sign_up()

    def browser(self, token: str = "", *, keep: bool = False) -> httpx.Client:
        """A browser with the session cookie, whose requests come from our own pages. One connection a request, so that
        requests reach all workers, unless it is to be kept."""
        csrf = "c" * 32
        return httpx.Client(
            base_url=self.url,
            cookies={"token": token or self.token, "csrftoken": csrf},
            headers={"origin": self.url, "sec-fetch-site": "same-origin", "x-csrftoken": csrf, "hx-request": "true"},
            limits=httpx.Limits(max_keepalive_connections=1 if keep else 0),
            timeout=PATIENCE,
        )

    def program(self, token: str = "") -> httpx.Client:
        return httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {token or self.token}"}, timeout=PATIENCE,
            limits=httpx.Limits(max_keepalive_connections=0),
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------------------ end
    def stop(self) -> None:
        """Ends every process of the site, its database and its files."""
        family = []
        for process in self.processes:
            try:
                family += [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        for member in family:
            try:
                member.send_signal(signal.SIGCONT)
                member.kill()
            except psutil.NoSuchProcess:
                continue
        for process in self.processes:
            process.wait(10)
        if self._own_models:
            self.models.__exit__(None, None, None)
        if THROWN_AWAY in environ and not self.base:
            return  # it goes with its server; dropping it waits for every other backend, seconds on a busy machine
        try:
            with _server(self.base) as server:
                server.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
        except psycopg.Error:
            pass  # its server may be down by intent
