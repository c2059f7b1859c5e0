"""`python -m tests.bench.provision`: 10,000 people, 500 groups and 20,000 grants from one file.

A server of its own, thrown away afterwards; the command runs as a process of its own, as operators run it. Prints the
seconds and the peak memory of the first apply, of a plan and of a second apply with nothing to change, and of an export.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PEOPLE, GROUPS, GRANTS, BASES, MODELS = 10_000, 500, 20_000, 1_500, 500
ROOT = Path(__file__).resolve().parents[2]


def world() -> str:
    """The file. Grants are spread over bases and models; each person is in one to three groups."""
    rng = random.Random(1)
    lines = ["version: 1", "groups:"]
    members: list[list[int]] = [[] for _ in range(GROUPS)]
    for person in range(PEOPLE):
        for group in rng.sample(range(GROUPS), rng.randint(1, 3)):
            members[group].append(person)
    for number, people in enumerate(members):
        lines += [f"  - name: Group {number}", f"    description: Department {number}"]
        lines += [f"    parent: Group {number // 10}"] if number >= 50 else []
        lines += ["    permissions: {features.web_search: true}", "    members:"]
        lines += [f"      - person{person}@example.org" for person in people]
    lines.append("users:")
    for number in range(PEOPLE):
        role = "admin" if number == 0 else "user"
        lines.append(f"  - {{email: person{number}@example.org, name: Person {number}, role: {role}}}")
    each = GRANTS // (BASES + MODELS)
    for section, field, count in (("models", "id", MODELS), ("knowledge_bases", "name", BASES)):
        lines.append(f"{section}:")
        for number in range(count):
            lines += [f"  - {field}: {section}-{number}", "    access:", "      groups:"]
            lines += [f"        Group {group}: read" for group in rng.sample(range(GROUPS), each // 2)]
            lines += ["      users:"]
            lines += [f"        person{person}@example.org: write" for person in rng.sample(range(PEOPLE), each // 2)]
    return "\n".join(lines) + "\n"


def measured(*arguments: str) -> tuple[float, float, str]:
    """Seconds, peak megabytes and the last line of a command."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    peak = [0]

    def watch() -> None:
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                return
            peak[0] = max([peak[0], *(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM"))])
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _error = process.communicate()
    watcher.join()
    lines = out.strip().splitlines() or [""]
    return time.monotonic() - started, peak[0] / 1024, f"(exit {process.returncode}) {lines[-1][:120]}"


def main() -> None:
    import tests.plugin  # noqa: F401  starts the server and sets its address

    print(measured("migrate", "--verbosity", "0")[2])
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "world.yaml"
        path.write_text(world())
        print(f"{path.stat().st_size / 1e6:.1f} MB; {os.cpu_count()} cores; load {os.getloadavg()[0]:.1f}")
        for name, arguments in (
            ("apply", ("apply", str(path))),
            ("plan", ("apply", str(path), "--plan")),
            ("apply again", ("apply", str(path))),
            ("export", ("export", "--out", f"{directory}/export.yaml")),
            ("apply of the export", ("apply", f"{directory}/export.yaml")),
        ):
            seconds, megabytes, last = measured(*arguments)
            print(f"{name:20} {seconds:6.1f} s  {megabytes:6.0f} MB  {last}")


if __name__ == "__main__":
    main()
