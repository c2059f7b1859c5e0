"""The whole instance: starts, survives the end of any part, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.embedded.conftest import ROOT, Running, clean_env, until

pytestmark = pytest.mark.process


class Instance(Running):
    port: int

    def is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def start_instance(home: Path, port: int) -> Instance:
    # Named model servers, so that the built-in ones (tested elsewhere) stay out.
    env = clean_env(PORT=str(port), OPENAI_API_BASE_URL="http://127.0.0.1:9/v1", RAG_EMBEDDING_ENGINE="openai")
    process = subprocess.Popen(
        [sys.executable, "-m", "owui.embedded", "run", "--home", str(home)],
        cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    instance = Instance(process, home, {})
    instance.port = port
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Ready"):
            return instance
    raise AssertionError("".join(said))


@pytest.fixture
def instance(home: Path) -> Iterator[Instance]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    instance = start_instance(home, port)
    yield instance
    if instance.process.poll() is None:
        instance.stop()
    assert instance.process.stdout is not None
    instance.process.stdout.close()


def test_instance_survives_the_end_of_any_part_and_of_the_launcher(instance: Instance, home: Path) -> None:
    assert instance.is_healthy()
    for name in ("web", "worker", "postgres", "valkey"):
        old = instance.pid(name)
        os.kill(old, signal.SIGKILL)
        until(lambda name=name, old=old: (home / "run" / f"{name}.json").exists() and instance.pid(name) != old)
    until(instance.is_healthy)
    family = instance.family()
    assert instance.stop(signal.SIGINT) == 0
    assert psutil.wait_procs(family, timeout=20)[1] == []

    second = start_instance(home, instance.port)
    family = second.family()
    second.process.kill()
    second.process.communicate()
    third = start_instance(home, instance.port)
    assert third.is_healthy()
    assert psutil.wait_procs(family, timeout=20)[1] == []
    assert third.stop() == 0
    third.process.communicate()
