"""The instance's directory: where data, secrets, ports and records live, and who holds it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import random
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

PROJECT_ROOT = Path(__file__).resolve().parents[2]
MINIMUM_FREE_BYTES = 500 * 1024 * 1024
# Below the ephemeral range, so that no outgoing connection of this machine holds the port at the next start.
PORT_RANGE = (20000, 29999)
# The launcher decides from the environment what to start; it is one of the two places allowed to read it.
environ = os.environ  # noqa: TID251


class Refusal(Exception):
    """The instance cannot start; the message is one sentence that says what to do."""


class Home:
    """Paths and small files below OWUI_HOME. Everything is readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "logs"
        self.run = path / "run"
        self.secrets = path / "secrets"
        self._lock: int | None = None

    @classmethod
    def locate(cls, given: str | None) -> Home:
        """The directory from the command line, from OWUI_HOME, or `var/` beside manage.py."""
        chosen = given or environ.get("OWUI_HOME") or str(PROJECT_ROOT / "var")
        return cls(Path(chosen).expanduser().absolute())

    def prepare(self) -> None:
        try:
            for directory in (self.path, self.logs, self.run, self.secrets):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            probe = self.run / f".probe-{os.getpid()}"
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            raise self.trouble(error) from error
        free = shutil.disk_usage(self.path).free
        if free < MINIMUM_FREE_BYTES:
            raise Refusal(
                f"Only {free // 2**20} MB are free where {self.path} lies, of {MINIMUM_FREE_BYTES // 2**20} MB needed: "
                "free some space, or set OWUI_HOME to a directory on a larger disk."
            )

    def trouble(self, error: OSError) -> Refusal:
        """Turn a failed file operation below the home into a sentence."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Refusal(f"The disk with {self.path} is full: free some space, or set OWUI_HOME to another disk.")
        reason = (error.strerror or str(error)).lower()
        return Refusal(
            f"Cannot write to {self.path} ({reason}): make it writable for this user, "
            "or set OWUI_HOME to a directory that is."
        )

    # The lock: held by the launcher for as long as it lives, released by the kernel however it ends.

    def acquire(self) -> None:
        try:
            handle = os.open(self.run / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self.trouble(error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise Refusal(
                f"An instance with its data in {self.path} is already running (process {self.holder()}): "
                "stop it with `make stop`, or set OWUI_HOME and PORT for a second one."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._lock = handle

    def release(self) -> None:
        """Let go of the lock in this process, also in a fork, where closing does not unlock the parent's."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def holder(self) -> int | None:
        """Process id of the running launcher, None if nobody holds the lock."""
        try:
            handle = os.open(self.run / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            # The holder writes its number just after it locks.
            for _ in range(20):
                text = os.pread(handle, 32, 0).decode()
                if text.isdigit():
                    return int(text)
                time.sleep(0.01)
            return 0
        finally:
            os.close(handle)
        return None

    # Small files

    def secret(self, name: str) -> str:
        """The secret of that name, generated at first use and kept in a file of mode 0600."""
        path = self.secrets / name
        with contextlib.suppress(FileNotFoundError):
            value = path.read_text().strip()
            if value:
                return value
        value = secrets.token_urlsafe(32)
        write_private(path, value + "\n")
        return value

    def port(self, name: str) -> int:
        """A free loopback port, the same one at every start as long as nobody else took it.

        Addresses end up in stored settings at first start, so they should not wander.
        """
        path = self.path / "ports.json"
        known: dict[str, int] = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(path.read_text())
        if (kept := known.get(name)) and is_free("127.0.0.1", kept):
            return kept
        for _ in range(200):
            candidate = random.randint(*PORT_RANGE)  # noqa: S311
            if candidate not in known.values() and is_free("127.0.0.1", candidate):
                known[name] = candidate
                write_private(path, json.dumps(known))
                return candidate
        raise Refusal("No free port was found on 127.0.0.1: close other servers on this machine and try again.")

    def write_environment(self, values: dict[str, str]) -> None:
        write_private(self.run / "env", "".join(f"{key}={value}\n" for key, value in sorted(values.items())))

    def read_environment(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.run / "env").read_text().splitlines() if "=" in line)

    def clear_environment(self) -> None:
        (self.run / "env").unlink(missing_ok=True)

    def user_variables(self) -> dict[str, str]:
        """Variables of the optional `.env` in the home: KEY=VALUE lines, `#` comments, quotes and `export` allowed."""
        try:
            text = (self.path / ".env").read_text()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise Refusal(f"Cannot read {self.path / '.env'}: make it readable for this user.") from error
        return dict(_variables(text))


def _variables(text: str) -> Iterator[tuple[str, str]]:
    for raw in text.splitlines():
        line = raw.strip().removeprefix("export ").strip()
        if not line or line.startswith("#") or "=" not in line:
            continue
        key, _, value = line.partition("=")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        yield key.strip(), value


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; nobody but the owner can read it at any moment."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    draft.replace(path)


def is_free(host: str, port: int) -> bool:
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise Refusal(f"HOST is {host}, which is no address of this machine: set HOST=127.0.0.1 or 0.0.0.0.") from error
    with socket.socket(info[0], info[1]) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(info[4])
        except PermissionError:
            raise Refusal(f"Port {port} needs more rights: choose a PORT above 1023.") from None
        except OSError:
            return False
    return True


def can_connect(host: str, port: int, timeout: float = 1.0) -> bool:
    try:
        with socket.create_connection((host, port), timeout=timeout):
            return True
    except OSError:
        return False


def wait_for_server(variable: str, url: str, default_port: int, patience: float = 10.0) -> None:
    """Refuse when nothing answers at the address a variable names; the password in it is never shown."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or default_port
    except ValueError:
        raise Refusal(
            f"{variable} is not a valid address: write it as scheme://user:password@host:port/name."
        ) from None
    if not host:
        return  # a socket directory; the first connection says what is wrong
    deadline = time.monotonic() + patience
    while not can_connect(host, port):
        if time.monotonic() > deadline:
            raise Refusal(
                f"Nothing answers at {host}:{port}, which {variable} names: start that server, "
                f"correct {variable}, or unset it to use the built-in one."
            )
        time.sleep(0.3)
