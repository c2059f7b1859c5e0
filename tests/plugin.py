# ruff: noqa: TID251 (this is where the environment of a test run is made)
"""Database and Redis for the whole run, there before Django reads its settings (`-p tests.plugin`).

Where DATABASE_URL or REDIS_URL is unset, the built-in servers are started once, in a directory of their own; workers of
xdist inherit the addresses. Nothing of the developer's own shell or running instance decides what a test sees.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Variables with these beginnings would change defaults that tests rely on.
_FOREIGN = (
    *("WEBUI_", "ENABLE_", "USER_PERMISSIONS_", "BYPASS_", "DEFAULT_"),
    *("OLLAMA_", "OPENAI_", "RAG_", "OAUTH_", "JWT_", "API_KEY", "LDAP_", "OPENID_", "SCIM_", "GOOGLE_", "MICROSOFT_"),
    *("GITHUB_", "FEISHU_", "FORWARD", "TRUSTED_", "MFA_", "PASSWORD_", "EMAIL_"),
)
_MARK = "OWUI_TEST_RUN"
# Set when the database server itself goes after the run.
THROWN_AWAY = "OWUI_TEST_SERVER_ENDS"
# Tables are emptied between transactional tests; the audit log allows that only on connections that say so.
_TRUNCATE = "-c owui.allow_audit_truncate=on"


def _start(home: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "owui.embedded", "services", "--home", str(home), "--no-models"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit("The built-in database did not start; set DATABASE_URL and REDIS_URL to use your own.")
    for name, value in json.loads(line).items():
        os.environ.setdefault(name, value)
    _forget_durability(os.environ["DATABASE_URL"])
    return process


def _forget_durability(url: str) -> None:
    """This database is thrown away after the run: waiting for the disk would only make emptying tables slow."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")


def _end(process: subprocess.Popen[str], directory: Path) -> None:
    # The services end with their standard input, so even a killed run leaves nothing behind.
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    process.wait(timeout=30)
    shutil.rmtree(directory, ignore_errors=True)


def _prepare() -> None:
    for name in [name for name in os.environ if name.startswith(_FOREIGN)]:
        del os.environ[name]
    directory = Path(tempfile.mkdtemp(prefix="owui-"))
    os.environ[_MARK] = str(directory)
    os.environ["OWUI_HOME"] = str(directory / "var")
    if not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
        os.environ[THROWN_AWAY] = "1"
        atexit.register(_end, _start(directory / "var"), directory)
    else:
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
    # whitenoise warns when there is no place for collected files
    (directory / "var" / "static").mkdir(parents=True, exist_ok=True)
    os.environ["WEBUI_SECRET_KEY"] = "a-key-for-tests-that-is-long-enough-for-every-algorithm"
    url = os.environ["DATABASE_URL"]
    if "owui.allow_audit_truncate" not in url:
        joint = "&" if urlsplit(url).query else "?"
        os.environ["DATABASE_URL"] = f"{url}{joint}{urlencode({'options': _TRUNCATE})}"


if _MARK not in os.environ:
    _prepare()
os.environ["REDIS_KEY_PREFIX"] = f"test-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"


#: Folders whose tests wait for other processes more than they compute. Each line goes to one worker of xdist: a second
#: site and browser cost half a minute, and two sites that are killed at once are in each other's way.
WAITING = (("tests/browser/",), ("tests/processes/", "tests/embedded/"))


def _line(nodeid: str) -> int:
    return next((number for number, folders in enumerate(WAITING) if nodeid.startswith(folders)), len(WAITING))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The waiting ones first, so that the others compute meanwhile: pytest-django would have them last, alone."""
    items.sort(key=lambda item: _line(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Any:
    """File by file, but what waits line by line."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            number = _line(nodeid)
            return f"waiting {number}" if number < len(WAITING) else str(super()._split_scope(nodeid))

    return Scheduling(config, log)
