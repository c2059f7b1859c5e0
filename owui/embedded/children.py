"""Start, watch, restart and end child processes, so that none outlives the launcher."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from owui.embedded.home import Home, Refusal, write_private
from owui.embedded.processes import end_recorded, identity, kill_group

NOBODY = 65534
LOG_LIMIT = 10 * 1024 * 1024
LONGEST_PAUSE = 30.0
STEADY_AFTER = 60.0
PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
# Loaded before any fork: loading a library between fork and exec is not safe.
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Service:
    """How one child is started, recognised as ready and stopped."""

    name: str
    title: str
    argv: Sequence[str]
    env: Mapping[str, str]
    is_ready: Callable[[], bool]
    cwd: Path | None = None
    stop_signal: int = signal.SIGTERM
    stop_patience: float = 3.0
    # What the kernel sends when the launcher dies: the signal the child needs for a clean end.
    death_signal: int = signal.SIGTERM
    start_patience: float = 60.0
    # What its log says when it will never be ready although it still runs: a parent whose workers die again and again.
    hopeless_mark: str = ""
    # For servers that refuse to run as root; see `unprivileged`.
    refuses_root: bool = False
    # Runs before each start, for what a killed predecessor may have left.
    before_start: Callable[[], None] | None = None


@dataclass(slots=True)
class _Child:
    service: Service
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    is_up: bool = False
    failures: int = 0
    next_start_at: float = 0.0


def unprivileged() -> str:
    """How a server that refuses root starts: `plain`, `namespace` (as nobody in its own eyes only), or `setuid`."""
    if os.geteuid() != 0:
        return "plain"
    if sys.platform == "linux":
        pid = os.fork()
        if pid == 0:
            os._exit(0 if _enter_namespace() else 1)
        if os.waitpid(pid, 0)[1] == 0:
            return "namespace"
    return "setuid"


def _enter_namespace() -> bool:
    user, group = os.getuid(), os.getgid()
    if _libc.unshare(CLONE_NEWUSER) != 0:
        return False
    try:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{NOBODY} {user} 1"),
            ("gid_map", f"{NOBODY} {group} 1"),
        ):
            handle = os.open(f"/proc/self/{name}", os.O_WRONLY)
            os.write(handle, text.encode())
            os.close(handle)
    except OSError:
        return False
    return True


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    log: IO[bytes],
    cwd: Path | None = None,
    death_signal: int = signal.SIGKILL,
    refuses_root: bool = False,
) -> subprocess.Popen[bytes]:
    """A child in its own session, so that its whole group can be ended and a Ctrl-C reaches only the launcher."""
    launcher = os.getpid()
    mode = unprivileged() if refuses_root else "plain"

    def prepare() -> None:
        # Between fork and exec: system calls only. The launcher has one thread, so this is safe.
        if mode == "namespace" and not _enter_namespace():
            os._exit(126)
        if sys.platform == "linux":
            # After the change of identity, which would clear it.
            _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
            if os.getppid() != launcher:
                os._exit(125)

    return subprocess.Popen(
        list(argv),
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509
        user=NOBODY if mode == "setuid" else None,
        group=NOBODY if mode == "setuid" else None,
        extra_groups=() if mode == "setuid" else None,
    )


@dataclass(slots=True)
class Supervisor:
    """All children of one launcher. Single-threaded: `tick` is called about once a second and after SIGCHLD."""

    home: Home
    say: Callable[[str], None]
    _children: dict[str, _Child] = field(default_factory=dict)
    _watchdog: int = 0
    _lifeline: int = -1
    _last_trim_at: float = 0.0

    def end_leftovers(self) -> None:
        """End what a launcher that was killed left behind, and nothing else: start times must match."""
        end_recorded(list(self.home.run.glob("*.json")))

    def start_watchdog(self) -> None:
        """A fork that holds the reading end of a pipe: end of file means that the launcher is gone.

        The kernel's death signal ends the children themselves but not their workers; this ends the groups, and it is
        all there is on systems without that signal. A fork shares the launcher's memory, so it costs next to nothing.
        """
        reading, writing = os.pipe()
        launcher = os.getpid()
        pid = os.fork()
        if pid:
            os.close(reading)
            if self._lifeline >= 0:
                os.close(self._lifeline)
            self._watchdog, self._lifeline = pid, writing
            return
        try:
            os.setsid()
            os.close(writing)
            if self._lifeline >= 0:
                os.close(self._lifeline)
            self.home.release()
            silence = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(silence, descriptor)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            while os.read(reading, 1):
                pass
            # Servers got their own signal from the kernel; give them a moment to close their files.
            end_recorded(list(self.home.run.glob("*.json")), patience=4.0, launcher=launcher)
        finally:
            os._exit(0)

    def start(self, service: Service) -> None:
        child = self._children.setdefault(service.name, _Child(service))
        self._rotate(service.name)
        self._launch(child)

    def wait_ready(self, names: Sequence[str], poll: Callable[[], None]) -> None:
        """Block until all are ready. A child that ends before it was ever ready is a fault people must hear about."""
        waiting = list(names)
        while waiting:
            poll()
            for name in list(waiting):
                child = self._children[name]
                assert child.process is not None
                if child.is_up or child.service.is_ready():
                    child.is_up = True
                    waiting.remove(name)
                elif child.process.poll() is not None or self._is_hopeless(child):
                    raise Refusal(self._obituary(child, "did not start"))
                elif time.monotonic() - child.started_at > child.service.start_patience:
                    raise Refusal(self._obituary(child, f"was not ready after {child.service.start_patience:.0f} s"))

    def tick(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            process = child.process
            if process is not None and process.poll() is not None:
                self._on_exit(child, process, now)
            elif process is None and now >= child.next_start_at:
                try:
                    self._launch(child)
                except Refusal as refusal:
                    # A full disk, most often: someone may make room while the rest still runs.
                    self.say(str(refusal))
                    child.failures += 1
                    child.next_start_at = now + _pause_after(child.failures)
            elif process is not None and child.failures and now - child.started_at > STEADY_AFTER:
                child.failures = 0
        if self._watchdog and os.waitpid(self._watchdog, os.WNOHANG)[0]:
            self.start_watchdog()
        if now - self._last_trim_at > 30:
            self._last_trim_at = now
            for name in self._children:
                self._trim(name)

    def pause(self) -> float:
        """How long nothing needs to be looked at, unless a signal comes first."""
        is_waiting = any(child.process is None for child in self._children.values())
        return 0.2 if is_waiting else 1.0

    def stop(self, names: Sequence[str], poll: Callable[[], None]) -> None:
        """Ask these to end together, wait as long as each may take, then end their groups by force."""
        asked: list[_Child] = []
        for name in names:
            child = self._children.pop(name, None)
            if child is None:
                continue
            if child.process is not None and child.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    child.process.send_signal(child.service.stop_signal)
                asked.append(child)
            else:
                self._forget(child)
        began = time.monotonic()
        while asked:
            poll()
            for child in list(asked):
                assert child.process is not None
                is_late = time.monotonic() - began > child.service.stop_patience
                if child.process.poll() is not None or is_late:
                    if is_late:
                        self.say(f"{child.service.title} did not stop in time and was ended by force.")
                    self._forget(child)
                    asked.remove(child)

    def kill_everything(self) -> None:
        for child in self._children.values():
            self._forget(child)
        self._children.clear()

    def dismiss_watchdog(self) -> None:
        if self._watchdog:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._watchdog, signal.SIGKILL)
                os.waitpid(self._watchdog, 0)
            os.close(self._lifeline)
            self._watchdog, self._lifeline = 0, -1

    def log_path(self, name: str) -> Path:
        return self.home.logs / f"{name}.log"

    def _launch(self, child: _Child) -> None:
        service = child.service
        if service.before_start:
            service.before_start()
        try:
            with open(self.log_path(service.name), "ab", buffering=0) as log:
                child.process = spawn(
                    service.argv,
                    env=service.env,
                    log=log,
                    cwd=service.cwd,
                    death_signal=service.death_signal,
                    refuses_root=service.refuses_root,
                )
            child.started_at = time.monotonic()
            record = {
                "pid": child.process.pid,
                "start": identity(child.process.pid),
                "stop": int(service.death_signal),
                "launcher": os.getpid(),
            }
            write_private(self._record(service.name), json.dumps(record))
        except OSError as error:
            raise self.home.trouble(error) from error

    def _on_exit(self, child: _Child, process: subprocess.Popen[bytes], now: float) -> None:
        code = process.returncode
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        pause = _pause_after(child.failures)
        log_path = self.log_path(child.service.name)
        self.say(f"{child.service.title} {how}; starting it again in {pause:.1f} s (log: {log_path}).")
        # Workers of a killed parent hold its port and its files.
        self._forget(child)
        child.failures += 1
        child.next_start_at = now + pause

    def _forget(self, child: _Child) -> None:
        if child.process is not None:
            kill_group(child.process.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(timeout=5)
            child.process = None
        self._record(child.service.name).unlink(missing_ok=True)

    def _record(self, name: str) -> Path:
        return self.home.run / f"{name}.json"

    def _obituary(self, child: _Child, what: str) -> str:
        words = last_line(self.log_path(child.service.name))
        if "No space left on device" in words:
            return str(self.home.trouble(OSError(errno.ENOSPC, "")))
        return (
            f"{child.service.title} {what}{f' ({words})' if words else ''}: see {self.log_path(child.service.name)} "
            "for the cause and start again."
        )

    def _is_hopeless(self, child: _Child) -> bool:
        """The log holds this start only, see `_rotate`; it is short as long as nothing is ready."""
        mark = child.service.hopeless_mark
        with contextlib.suppress(OSError):
            return bool(mark) and mark in self.log_path(child.service.name).read_text(errors="replace")
        return False

    def _rotate(self, name: str) -> None:
        path = self.log_path(name)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size:
                path.replace(path.with_suffix(".log.1"))

    def _trim(self, name: str) -> None:
        """Keep a log bounded while its child holds it open; children append, so cutting it to nothing is safe."""
        path = self.log_path(name)
        with contextlib.suppress(OSError):
            if path.stat().st_size > LOG_LIMIT:
                with open(path, "rb") as file:
                    file.seek(-LOG_LIMIT // 10, os.SEEK_END)
                    path.with_suffix(".log.1").write_bytes(file.read())
                os.truncate(path, 0)


def _pause_after(failures: int) -> float:
    return min(LONGEST_PAUSE, 0.2 * float(1 << min(failures, 10)))


def last_line(path: Path) -> str:
    """The last line of a log that is not empty, for the sentence that names the log."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 4096))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    except OSError:
        return ""
    return next((line[:200] for line in reversed(lines) if line and not line.startswith(("INFO:", "WARNING:"))), "")
