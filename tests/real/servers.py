"""Real servers of others for tests: OpenLDAP, a certified OpenID provider, nginx, a mail server.

    with Real() as real:
        ldap = real.start("ldap")
        ldap.port, ldap.data, ldap.log

Each is a process on 127.0.0.1 that a small script beside this file starts in the foreground; leaving the block ends it
with its children. All know the people of `people/people.json`, whose passwords are `Test-<uid>-1`. A test that needs
one carries the mark of `needs("slapd")`: it is skipped where the program is not installed; CI installs all of them.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.ports import free_ports

HERE = Path(__file__).resolve().parent
environ = os.environ  # noqa: TID251
#: kept between runs, so that npm is asked once
MODULES = HERE.parent.parent / ".venv" / "node" / "node_modules"


@dataclass(frozen=True)
class _Kind:
    command: tuple[str, ...]
    ports: int = 1
    programs: tuple[str, ...] = ()


KINDS = {
    "ldap": _Kind(("{h}/ldap/start.sh", "{p}", "{d}", "posix"), 2, ("slapd", "ldapadd", "openssl")),
    "ldap-ad": _Kind(("{h}/ldap/start.sh", "{p}", "{d}", "ad"), 2, ("slapd", "ldapadd", "openssl")),
    "oidc": _Kind(("{h}/oidc/start.sh", "{p}", "{d}"), 1, ("node", "npm")),
    "nginx": _Kind(("{h}/nginx/start.sh", "{p}", "{d}"), 2, ("nginx", "openssl")),
    "smtp": _Kind((sys.executable, "{h}/smtp/start.py", "{p}", "{d}")),
}


def people() -> list[dict[str, Any]]:
    """Everybody whom the servers know, as `people.json` has them."""
    found: list[dict[str, Any]] = json.loads((HERE / "people" / "people.json").read_text("utf-8"))["people"]
    return found


def missing(kind: str) -> list[str]:
    """Programs that are not installed; those of /usr/sbin count, which is on no plain user's path."""
    path = f"{environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    return [name for name in KINDS[kind].programs if not shutil.which(name, path=path)]


def needs(*kinds: str) -> pytest.MarkDecorator:
    """The mark of a test that starts these servers."""
    lacking = sorted({name for kind in kinds for name in missing(kind)})
    return pytest.mark.skipif(bool(lacking), reason=f"not installed: {', '.join(lacking)}")


class RealServer:
    """One running process. `data` is its directory, `log` what it says."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int, data: Path, log: Path) -> None:
        self.name, self.process, self.port, self.data, self.log = name, process, port, data, log

    @property
    def ca(self) -> Path:
        """The certificate authority of a server that speaks TLS."""
        return self.data / "tls" / "ca.pem"

    def is_up(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def pause(self) -> None:
        """The process stops answering, as a hung server does."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        family: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()


class Real:
    """Starts servers and ends them all."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="real-", dir=environ.get("OWUI_TEST_RUN") or None))
        self.servers: list[RealServer] = []

    def __enter__(self) -> Real:
        return self

    def __exit__(self, *_error: object) -> None:
        while self.servers:
            self.servers.pop().stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(
        self, kind: str, *more: object, port: int = 0, env: dict[str, str] | None = None, data: Path | None = None
    ) -> RealServer:
        """Starts one and waits until it answers.

        :param more: further arguments of its script
        :param port: a certain port, for a server that comes back
        :param data: a directory it had before
        """
        if lacking := missing(kind):
            raise FileNotFoundError(f"{kind} needs {', '.join(lacking)}")
        faults = []
        # Other people's programs on a crowded machine: one that ended, or is silent, is started anew elsewhere.
        for _ in range(1 if port or data else 3):
            server, fault = self._try(kind, more, port or free_ports(KINDS[kind].ports), env or {}, data)
            if not fault:
                return server
            faults.append(fault)
            server.stop()
        raise RuntimeError("\n".join(faults))

    def _try(
        self, kind: str, more: tuple[object, ...], port: int, env: dict[str, str], data: Path | None
    ) -> tuple[RealServer, str]:
        """One start, and why it failed."""
        data = data or self.directory / f"{kind}-{port}"
        data.mkdir(parents=True, exist_ok=True)
        log = self.directory / f"{kind}-{port}.log"
        around = {**environ, "PATH": f"{environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin", **env}
        if kind == "oidc":
            around.setdefault("OIDC_MODULES", str(provider_package()))
        command = [part.format(h=HERE, p=port, d=data) for part in KINDS[kind].command]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, *map(str, more)], stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=around
            )
        server = RealServer(kind, process, port, data, log)
        self.servers.append(server)
        began = time.monotonic()
        while not server.is_up():
            ended = process.poll()
            if ended is not None or time.monotonic() > began + 60:
                how = "does not answer" if ended is None else f"ended with {ended}"
                said = log.read_text(errors="replace")[-2000:]
                return server, f"{kind} on port {port} {how} after {time.monotonic() - began:.1f} s:\n{said}"
            time.sleep(0.05)
        return server, ""


def provider_package() -> Path:
    """Where the OpenID provider's package is; npm fetches it the first time, for one process of the test run."""
    if not (MODULES / "oidc-provider").is_dir():
        MODULES.parent.mkdir(parents=True, exist_ok=True)
        with (MODULES.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (MODULES / "oidc-provider").is_dir():
                shutil.copy(HERE / "oidc" / "package.json", MODULES.parent)
                command = ("npm", "install", "--prefix", str(MODULES.parent), "--omit=dev", "--no-package-lock")
                subprocess.run([*command, "--no-audit", "--no-fund", "--loglevel=error"], check=True, timeout=300)
    return MODULES
