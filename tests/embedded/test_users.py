"""The launcher works for an ordinary user too."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.embedded.conftest import ROOT, Running, clean_env

pytestmark = pytest.mark.process
NOBODY = 65534


def interpreter_for_others() -> tuple[str, dict[str, str]] | None:
    """A Python that another user may run, with the packages of this one, if there is one."""
    env = clean_env(PYTHONPATH=sysconfig.get_paths()["purelib"], PYTHONDONTWRITEBYTECODE="1", HOME="/tmp")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            done = subprocess.run(
                [candidate, "-c", "import owui.embedded.launcher, psutil"],
                cwd=ROOT, env=env, user=NOBODY, group=NOBODY, extra_groups=(), capture_output=True, check=False,
            )  # fmt: skip
        except OSError:
            continue
        if done.returncode == 0:
            return candidate, env
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_ordinary_user_starts_and_stops_the_services(services: Callable[..., Running], home: Path) -> None:
    found = interpreter_for_others()
    if found is None:
        pytest.skip("the interpreter lies where no other user may go")
    home.parent.mkdir(exist_ok=True)
    shutil.chown(home.parent, NOBODY, NOBODY)
    python, env = found
    running = services(python=python, env=env, user=NOBODY, group=NOBODY, extra_groups=())
    with psycopg.connect(running.env["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    family = running.family()
    owners = set()
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):  # a server's short-lived child may be gone by now
            owners.add(process.uids().real)
    assert owners == {NOBODY}
    assert running.stop() == 0
    assert psutil.wait_procs(family, timeout=20)[1] == []
