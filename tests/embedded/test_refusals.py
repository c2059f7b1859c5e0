"""A start that cannot work says why in one sentence."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from owui.embedded import home as home_module
from owui.embedded.home import Home, Refusal
from owui.embedded.plan import make_plan
from owui.embedded.postgres import Postgres
from tests.embedded.conftest import ROOT, clean_env

pytestmark = pytest.mark.process


def refused(home: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "owui.embedded", "run", "--home", str(home)],
        cwd=ROOT, env=clean_env(**env), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list((home / "run").glob("*.json")) if home.is_dir() else True
    return done.stderr


def test_busy_port(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Port {port} is in use" in refused(home, PORT=str(port))


def test_port_that_is_no_number(home: Path) -> None:
    assert "PORT is 'http'" in refused(home, PORT="http")


def test_home_that_is_a_file(home: Path) -> None:
    home.parent.mkdir(exist_ok=True)
    home.write_text("")
    assert "set OWUI_HOME to a directory" in refused(home)


def test_home_that_cannot_be_written() -> None:
    # Even root cannot write here.
    assert "Cannot write to /proc/owui" in refused(Path("/proc/owui"))


def test_too_little_space(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_module, "MINIMUM_FREE_BYTES", 10**18)
    with pytest.raises(Refusal, match="free some space"):
        Home(home).prepare()


def test_full_disk_is_named(home: Path) -> None:
    assert "is full: free some space" in str(Home(home).trouble(OSError(28, "No space left on device")))


def test_unreachable_servers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DATABASE_URL", "REDIS_URL"):
        with pytest.raises(Refusal, match=f"Nothing answers at 127.0.0.1:1, which {variable} names") as refusal:
            home_module.wait_for_server(variable, "x://user:hidden@127.0.0.1:1/name", 5432, patience=0)
        assert "hidden" not in str(refusal.value)


def test_data_of_another_postgres(home: Path) -> None:
    own = Home(home)
    own.prepare()
    server = Postgres(own)
    server.data.mkdir()
    server.marker.write_text("x")
    (server.data / "PG_VERSION").write_text("16\n")
    with pytest.raises(Refusal, match="belongs to PostgreSQL 16 and this version brings 18"):
        server.prepare()


def test_old_python_is_told_which_one_is_needed() -> None:
    # The bootstrap must be readable for old interpreters; this one only pretends.
    script = "import sys, runpy; sys.version_info = (3, 8, 1); sys.argv = ['b']; runpy.run_path('deploy/bootstrap.py', run_name='__main__')"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, env=clean_env())
    assert done.returncode == 1
    assert done.stderr == "Python 3.11 or newer is needed and this is 3.8: install a newer one and start again.\n"


def test_variables_file_is_read_and_the_real_environment_wins(home: Path) -> None:
    own = Home(home)
    own.prepare()
    (home / ".env").write_text("# mine\nexport PORT='9'\nWEBUI_NAME=\"A # name\"\n\nbroken line\n")
    assert own.user_variables() == {"PORT": "9", "WEBUI_NAME": "A # name"}
    assert "PORT is '0'" in refused(home, PORT="0")


def test_sign_up_of_ones_own_instance_stays_open_unless_somebody_says_otherwise(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "ENABLE_SIGNUP", "WEBUI_ADMIN_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    Home(home).prepare()
    assert make_plan(Home(home), with_models=False).env["ENABLE_SIGNUP"] == "True"
    monkeypatch.setenv("ENABLE_SIGNUP", "False")
    assert make_plan(Home(home), with_models=False).env["ENABLE_SIGNUP"] == "False"
    monkeypatch.delenv("ENABLE_SIGNUP")
    monkeypatch.setenv("WEBUI_ADMIN_EMAIL", "root@example.org")
    assert "ENABLE_SIGNUP" not in make_plan(Home(home), with_models=False).env
