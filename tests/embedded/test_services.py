"""The built-in database and cache: start, use, stop, crash, and who may read what."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from tests.embedded.conftest import Running, launch, until

pytestmark = pytest.mark.process
Services = Callable[..., Running]


def answers_ping(running: Running) -> bool:
    with redis.Redis.from_url(running.env["REDIS_URL"]) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def answers_select(running: Running) -> bool:
    try:
        with psycopg.connect(running.env["DATABASE_URL"], connect_timeout=2) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def test_data_is_still_there_after_a_restart(services: Services) -> None:
    first = services()
    with psycopg.connect(first.env["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept (place halfvec(3))")
        connection.execute("INSERT INTO kept VALUES ('[1,2,3]')")
        names = {row[0] for row in connection.execute("SELECT extname FROM pg_extension").fetchall()}
    assert {"vector", "pg_trgm", "unaccent", "btree_gin"} <= names
    with redis.Redis.from_url(first.env["REDIS_URL"]) as client:
        client.set("kept", "yes")
    family = first.family()
    assert first.stop() == 0
    assert psutil.wait_procs(family, timeout=20)[1] == []

    began = time.monotonic()
    second = services()
    assert time.monotonic() - began < 30
    assert second.env == first.env
    with psycopg.connect(second.env["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)
    with redis.Redis.from_url(second.env["REDIS_URL"], decode_responses=True) as client:
        assert client.get("kept") == "yes"


def test_nobody_else_can_read_the_secrets_or_get_in_without_them(services: Services, home: Path) -> None:
    running = services()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for path in (*(home / "secrets").iterdir(), home / "run" / "env", home / "valkey" / "valkey.conf"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    with redis.Redis(port=running.valkey_port, retry=None) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(running.env["DATABASE_URL"], password="wrong")
    secrets = [path.read_text().strip() for path in (home / "secrets").iterdir()]
    for pid in (running.process.pid, running.pid("postgres"), running.pid("valkey")):
        assert not any(secret in " ".join(psutil.Process(pid).cmdline()) for secret in secrets)


def test_killed_servers_are_started_again(services: Services) -> None:
    running = services()
    with psycopg.connect(running.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE kept ()")
        for name in ("postgres", "valkey"):
            os.kill(running.pid(name), signal.SIGKILL)
    until(lambda: answers_ping(running) and answers_select(running))
    with psycopg.connect(running.env["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    running.process.send_signal(signal.SIGTERM)
    said = running.process.communicate(timeout=60)[1]
    assert "PostgreSQL was ended by signal 9; starting it again" in said
    assert "Valkey was ended by signal 9; starting it again" in said


def test_killed_launcher_leaves_no_process_and_the_next_start_works(services: Services) -> None:
    first = services()
    family = first.family()
    assert len(family) > 3
    # A statement that runs for long must not keep its server alive.
    connection = psycopg.connect(first.env["DATABASE_URL"])
    connection.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 10000000000)")
    time.sleep(0.1)
    first.process.kill()
    first.process.wait()
    second = services()
    connection.close()
    assert answers_select(second)
    assert answers_ping(second)
    assert psutil.wait_procs(family, timeout=20)[1] == []


def test_killed_launcher_leaves_nothing_when_nobody_starts_again(services: Services) -> None:
    running = services()
    family = running.family()
    # Its postmaster cannot react to the kernel's signal, as any child that hangs.
    psutil.Process(running.pid("postgres")).suspend()
    running.process.kill()
    assert psutil.wait_procs(family, timeout=20)[1] == []


def test_services_stop_when_standard_input_closes(services: Services) -> None:
    running = services()
    family = running.family()
    assert running.process.stdin is not None
    running.process.stdin.close()
    assert running.process.wait(timeout=30) == 0
    assert psutil.wait_procs(family, timeout=20)[1] == []


def test_second_instance_on_the_same_home_is_refused_and_commands_find_the_first(
    services: Services, home: Path
) -> None:
    running = services()
    second = launch("services", "--home", str(home))
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"already running (process {running.process.pid})" in second.stderr
    shown = launch("env", "--home", str(home))
    assert f"export REDIS_URL={running.env['REDIS_URL']}" in shown.stdout
    assert "postgres" in launch("status", "--home", str(home)).stdout
    assert launch("stop", "--home", str(home)).stdout == "Stopped.\n"
    assert running.process.wait(timeout=30) == 0
    assert launch("env", "--home", str(home)).returncode == 1


def test_deep_home_falls_back_to_loopback(services: Services, home: Path) -> None:
    running = services(home=home.joinpath(*["directory"] * 12))
    assert "127.0.0.1" in running.env["DATABASE_URL"]
    assert answers_select(running)
