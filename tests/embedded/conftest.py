"""Real launchers over real servers, each in a home of its own."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
# What the launcher reads; nothing of the developer's own shell may decide what a test starts.
NAMED = ("DATABASE", "REDIS", "OLLAMA", "OPENAI", "RAG_", "OWUI_HOME", "PORT", "HOST", "UVICORN", "WEBUI_")


def clean_env(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(NAMED)}  # noqa: TID251
    return {**kept, **more}


def launch(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command of the launcher to its end."""
    return subprocess.run(
        [sys.executable, "-m", "owui.embedded", *arguments],
        cwd=ROOT, env=clean_env(), capture_output=True, text=True, timeout=60, **options,  # type: ignore[call-overload]
    )  # fmt: skip


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


@dataclass
class Running:
    """A launcher that reported its services as ready."""

    process: subprocess.Popen[str]
    home: Path
    env: dict[str, str]

    @property
    def valkey_port(self) -> int:
        return urlsplit(self.env["REDIS_URL"]).port or 0

    def pid(self, name: str) -> int:
        return int(json.loads((self.home / "run" / f"{name}.json").read_text())["pid"])

    def family(self) -> list[psutil.Process]:
        """Every process below the launcher, to be looked for after its end."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


def start(home: Path, *, models: bool = False, python: str = sys.executable, **options: object) -> Running:
    switches = [] if models else ["--no-models"]
    process = subprocess.Popen(
        [python, "-m", "owui.embedded", "services", "--home", str(home), *switches],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        **{"env": clean_env(), **options},  # type: ignore[call-overload]
    )  # fmt: skip
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], 30)
    line = process.stdout.readline() if ready else ""
    if not line:
        process.kill()
        raise AssertionError(f"the services did not start: {process.communicate()[1]}")
    return Running(process, home, json.loads(line))


@pytest.fixture
def home() -> Iterator[Path]:
    """Short, because the path of a unix socket is."""
    path = Path(tempfile.mkdtemp(prefix="owui-"))
    yield path / "var"
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def services(home: Path) -> Iterator[Callable[..., Running]]:
    """Start services; whatever a test leaves running is ended."""
    started: list[Running] = []

    def start_services(**options: object) -> Running:
        started.append(start(options.pop("home", home), **options))  # type: ignore[arg-type]
        return started[-1]

    yield start_services
    for running in started:
        if running.process.poll() is None:
            running.stop()
        for stream in (running.process.stdin, running.process.stdout, running.process.stderr):
            if stream:
                stream.close()
