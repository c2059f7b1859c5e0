"""Recognise a process again after its parent died, and end its group. Numbers are reused, start times are not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

IS_LINUX = sys.platform == "linux"


def identity(pid: int) -> str | None:
    """What tells this process from a later one with the same number: its start time, None if it is gone."""
    if IS_LINUX:
        fields = _stat(pid)
        # A zombie has ended, it only waits to be collected.
        return None if fields is None or fields[0] == "Z" else fields[19]
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on; the name before them may hold spaces and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def group_members(group: int) -> list[int]:
    """Living processes of a group, on systems with /proc."""
    members = []
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(entry.name))
        if fields and fields[0] != "Z" and fields[2] == str(group):
            members.append(int(entry.name))
    return members


def working_in(directory: Path) -> list[int]:
    """Processes whose current directory is this one: PostgreSQL's backends leave the group of their postmaster."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if Path(os.readlink(entry / "cwd")) == directory:
                found.append(int(entry.name))
    return found


def kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def end_recorded(records: Iterable[Path], patience: float = 5.0, launcher: int | None = None) -> None:
    """End the processes and groups these records name, if they are still the ones they were written for."""
    ours: list[tuple[Path, int, str]] = []
    for record in records:
        try:
            noted = json.loads(record.read_text())
            pid, start, stop = int(noted["pid"]), noted["start"], int(noted["stop"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if start is None or (launcher is not None and noted.get("launcher") != launcher):
            continue  # a new launcher already wrote its own
        ours.append((record, pid, start))
        if identity(pid) == start:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, stop)
    deadline = time.monotonic() + patience
    while any(identity(pid) == start for _, pid, start in ours) and time.monotonic() < deadline:
        time.sleep(0.05)
    for record, pid, start in ours:
        if identity(pid) == start:
            kill_group(pid)
        elif IS_LINUX:
            _kill_orphans(pid, int(start))
        # A new launcher may have replaced the record meanwhile; then it is not ours to drop.
        with contextlib.suppress(OSError, ValueError):
            if json.loads(record.read_text()).get("pid") == pid:
                record.unlink(missing_ok=True)


def _kill_orphans(group: int, start: int) -> None:
    """Workers whose leader has gone. The kernel gives no new process a number that is in use as a session."""
    for member in group_members(group):
        fields = _stat(member)
        if fields and fields[3] == str(group) and int(fields[19]) >= start:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(member, signal.SIGKILL)
