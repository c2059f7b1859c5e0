"""Start an instance, keep it running, stop it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from owui.embedded.children import Service, Supervisor, last_line, spawn
from owui.embedded.home import PROJECT_ROOT, Home, Refusal, environ, is_free, write_private
from owui.embedded.plan import Plan, answers, make_plan
from owui.embedded.processes import kill_group
from owui.embedded.signals import Kill, Signals, Stop

# What depends on others stops first. Web and worker together: the time for open requests is the longest of all.
STOP_ORDER = (("web", "worker"), ("chat-model", "embedding-model"), ("valkey",), ("postgres",))

OTHER_DIRECTORIES = {"var", "node_modules", "tests", "docs", "build", "dist"}


def say(line: str) -> None:
    """A closed terminal must not bring the instance down."""
    with contextlib.suppress(OSError):
        print(line, flush=True)


class Launcher:
    """One start of one instance, from the lock to the last process ended."""

    def __init__(self, home: Home, *, only_services: bool = False, with_models: bool = True) -> None:
        self.home = home
        self.only_services = only_services
        self.with_models = with_models
        # In `services` the first line of the output is the environment and nothing else.
        self.say = (lambda line: print(line, file=sys.stderr, flush=True)) if only_services else say
        self.supervisor = Supervisor(home, self.say)
        self._poll: Callable[[], None]

    def run(self) -> int:
        self.home.prepare()
        self.home.acquire()
        signals = Signals(follow_stdin=self.only_services)
        self._poll = lambda: signals.wait(0.05)
        code = 0
        try:
            self.supervisor.end_leftovers()
            self.supervisor.start_watchdog()
            self._start()
            while True:
                signals.wait(self.supervisor.pause())
                self.supervisor.tick()
        except Stop:
            self.say("Stopping ...")
            code = self._stop()
        except Kill:
            code = 130
        except Refusal:
            self._stop()
            raise
        except OSError as error:
            self._stop()
            raise self.home.trouble(error) from error
        finally:
            self.supervisor.kill_everything()
            self.supervisor.dismiss_watchdog()
            self.home.clear_environment()
            self.home.release()
        return code

    def _stop(self) -> int:
        try:
            for names in STOP_ORDER:
                self.supervisor.stop(names, self._poll)
        except Kill:
            return 130
        except Stop:
            # Asked to stop while a failed start was being taken down: the same wish.
            return self._stop()
        return 0

    def _start(self) -> None:
        began = time.monotonic()
        host, port, workers = "", 0, 0
        user_variables = self.home.user_variables()
        if not self.only_services:
            host, port, workers = _web_options({**user_variables, **environ})
        plan = make_plan(self.home, with_models=self.with_models)
        (self.home.path / "data").mkdir(mode=0o700, exist_ok=True)
        # The models take longest to load, so they come first; nothing waits for them until the end.
        for model in plan.models:
            self.supervisor.start(model)
        is_new = self._start_stores(plan)
        self.home.write_environment(plan.shared(user_variables))
        names = [model.name for model in plan.models]
        if not self.only_services:
            self._prepare_application(plan)
            for service in (_web(plan, host, port, workers), _worker(plan)):
                self.supervisor.start(service)
                names.append(service.name)
        self.supervisor.wait_ready(names, self._poll)
        if self.only_services:
            print(json.dumps(plan.shared(user_variables)), flush=True)
            return
        shown = "localhost" if host in ("0.0.0.0", "::") else host  # noqa: S104
        say(f"Ready after {time.monotonic() - began:.1f} s: open http://{shown}:{port} (Ctrl-C stops it).")
        if is_new:
            say("The first account made there becomes the administrator.")

    def _start_stores(self, plan: Plan) -> bool:
        """Database and cache, ready to be used; True if the database was made now."""
        names, is_new = [], False
        if plan.valkey:
            self.supervisor.start(plan.valkey.service())
            names.append("valkey")
        if plan.postgres:
            if not plan.postgres.marker.exists():
                self.say("Creating the database ...")
            is_new = plan.postgres.prepare()
            self.supervisor.start(plan.postgres.service())
            names.append("postgres")
        self.supervisor.wait_ready(names, self._poll)
        if plan.postgres:
            plan.postgres.create_database()
        return is_new

    def _prepare_application(self, plan: Plan) -> None:
        """Migrations and static files, skipped when nothing changed since the last time."""
        code = [PROJECT_ROOT / "pyproject.toml", PROJECT_ROOT / "deploy" / "constraints.txt"]
        # Another database, or one from a backup, may be at any migration: only our own is known.
        known = plan.postgres.identity if plan.postgres else ""
        migrations = _files("**/migrations/*.py")
        self._once("migrate", ["migrate"], plan, [*code, *migrations], known, is_known=bool(known))
        static = _files("**/static/**/*") + sorted(PROJECT_ROOT.glob("static/**/*"))
        collected = self.home.path / "static"
        self._once("collectstatic", ["collectstatic"], plan, [*code, *static], "", is_known=collected.is_dir())

    def _once(
        self, name: str, command: list[str], plan: Plan, files: Iterable[Path], salt: str, *, is_known: bool
    ) -> None:
        digest = hashlib.sha256(salt.encode())
        for path in files:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                digest.update(str(path.relative_to(PROJECT_ROOT)).encode() + hashlib.sha256(path.read_bytes()).digest())
        stamp = self.home.path / f".{name}-stamp"
        if is_known and stamp.exists() and stamp.read_text() == digest.hexdigest():
            return
        log_path = self.supervisor.log_path(name)
        with open(log_path, "wb") as log:
            process = spawn(
                [sys.executable, "manage.py", *command, "--noinput", "--skip-checks"],
                env=plan.env,
                log=log,
                cwd=PROJECT_ROOT,
            )
        try:
            while process.poll() is None:
                self._poll()
        finally:
            kill_group(process.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
        if process.returncode:
            raise Refusal(f"`manage.py {command[0]}` failed ({last_line(log_path)}): see {log_path} and start again.")
        write_private(stamp, digest.hexdigest())


def _files(pattern: str) -> list[Path]:
    """Files of the project's own packages; walking .venv as well would cost more than the rest of a start."""
    tops = (top for top in PROJECT_ROOT.iterdir() if top.is_dir() and top.name not in OTHER_DIRECTORIES)
    return sorted(path for top in tops if not top.name.startswith(".") for path in top.glob(pattern))


def _web_options(env: dict[str, str]) -> tuple[str, int, int]:
    host = env.get("HOST", "").strip() or "127.0.0.1"
    port = _number(env, "PORT", 8080, 1, 65535)
    workers = _number(env, "UVICORN_WORKERS", 2, 1, 64)
    if not is_free(host, port):
        raise Refusal(
            f"Port {port} is in use: end the program that uses it, or choose another with `PORT={port + 1} make run`."
        )
    return host, port, workers


def _number(env: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = env.get(name, "").strip() or str(default)
    if not text.isdigit() or not least <= int(text) <= most:
        raise Refusal(f"{name} is {text!r}: set it to a whole number from {least} to {most}.")
    return int(text)


def _web(plan: Plan, host: str, port: int, workers: int) -> Service:
    probe = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return Service(
        name="web",
        title="The web server",
        argv=[
            *(sys.executable, "-m", "owui.serve"),
            *("--host", host, "--port", str(port), "--workers", str(workers)),
        ],
        env=plan.env,
        cwd=PROJECT_ROOT,
        is_ready=lambda: answers(probe, port),
        # What is being written has that long, its saving and the farewell of pages a few seconds more.
        stop_patience=_number(plan.env, "SHUTDOWN_DRAIN_SECONDS", 30, 0, 3600) + 8.0,
        start_patience=90.0,
        # uvicorn starts workers again for ever when the application cannot be imported.
        hopeless_mark="] died",
    )


def _worker(plan: Plan) -> Service:
    return Service(
        name="worker",
        title="The task worker",
        argv=[
            *(sys.executable, "-m", "celery", "--app", "owui.celery", "worker", "--beat"),
            *("--pool", "prefork", "--concurrency", "1", "--loglevel", "WARNING"),
            *("--schedule", str(plan.home.path / "celerybeat-schedule")),
            # There is one worker, so nobody to talk with about who is alive.
            *("--without-gossip", "--without-mingle"),
        ],
        env=plan.env,
        cwd=PROJECT_ROOT,
        # It takes tasks when it is up; the pages do not need to wait for it.
        is_ready=lambda: True,
        stop_patience=11.0,
        # The warm end waits for a running task, which is too long when the launcher is gone.
        death_signal=signal.SIGQUIT,
    )
