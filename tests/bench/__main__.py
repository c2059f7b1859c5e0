"""`make bench`: what the platform adds to its model server.

Starts a site of its own (embedded database and broker, two web workers) against a paced fake model server on the same
machine, then reads answers directly, over REST and through the page's socket. Compare rows of one run; the machine's
own speed is in all of them.

`--rbac` measures listings and the administration instead: 10,000 people in 500 groups, 5,000 models, 5,000 knowledge
bases and 100,000 grants, one web worker, a person in 20 groups who reads 951 of the models.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.bench.chat_load import Load, one_round
from tests.bench.common import median_rows, table
from tests.bench.rbac_load import PATHS, Listing, rounds, tokens_of

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{url} did not answer within {seconds:.0f} s.")


def post(url: str, body: dict[str, str]) -> dict[str, str]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return dict(json.loads(response.read()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", nargs="+", default=["direct", "api", "socket"])
    parser.add_argument("--users", nargs="+", type=int, default=[1, 50])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--n", type=int, default=100, help="tokens per answer")
    parser.add_argument("--tps", type=float, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rbac", action="store_true", help="listings for people in many groups, and the admin's pages")
    options = parser.parse_args()
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="owui-bench-") as home:
        try:
            run(options, started, Path(home))
        finally:
            for process in reversed(started):
                process.send_signal(signal.SIGTERM)
                process.wait(20)


def run(options: argparse.Namespace, started: list[subprocess.Popen[bytes]], home: Path) -> None:
    def start(*command: str, **more: object) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, **more)  # type: ignore[call-overload]
        started.append(process)
        return process  # type: ignore[no-any-return]

    upstream, site = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    start("-m", "tests.bench.paced_server", "--port", upstream.rsplit(":", 1)[1])
    services = start(
        "-m",
        "owui.embedded",
        "services",
        "--home",
        str(home),
        "--no-models",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert services.stdout is not None
    env = os.environ | json.loads(services.stdout.readline()) | {"OPENAI_API_BASE_URLS": f"{upstream}/v1"}
    env |= {"ENABLE_OLLAMA_API": "False"}
    workers = 1 if options.rbac else options.workers
    for command in (("migrate", "--verbosity", "0"), ("collectstatic", "--noinput", "--verbosity", "0")):
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=env, check=True)
    web = start(
        *(
            "-m",
            "uvicorn",
            "owui.asgi:application",
            "--port",
            site.rsplit(":", 1)[1],
            "--workers",
            str(workers),
        ),
        *(
            "--ws",
            "websockets-sansio",
            "--loop",
            "uvloop",
            "--http",
            "httptools",
            "--no-access-log",
            "--log-level",
            "warning",
        ),
        env=env,
    )
    wait_for(f"{site}/health")
    if options.rbac:
        rbac(options, env, home, site, {"web": web.pid, "postgres": _postgres(home)})
        return
    token = post(f"{site}/api/v1/auths/signup", {"name": "B", "email": "b@example.org", "password": "benchmark"})[
        "token"
    ]
    load = Load(site, upstream, token, n=options.n, tps=options.tps, pids={"web": web.pid})
    asyncio.run(one_round(load, "api", 4))
    rows = []
    for path in options.path:
        for users in options.users:
            rows.append(median_rows([asyncio.run(one_round(load, path, users)) for _ in range(options.repeat)]))
    print(table([{key: row.get(key, "") for key in {k: 0 for r in rows for k in r}} for row in rows]))


def rbac(options: argparse.Namespace, env: dict[str, str], home: Path, site: str, pids: dict[str, int]) -> None:
    tokens = home / "tokens.json"
    subprocess.run([sys.executable, "-m", "tests.bench.rbac_seed", "--out", str(tokens)], cwd=ROOT, env=env, check=True)
    # One person takes all turns: the figures are those of the number of models that he reads.
    listing = Listing(site, tokens_of(tokens, 1), pids=pids)
    print(table(asyncio.run(rounds(listing, PATHS, [1, 4], options.repeat))), flush=True)
    command = [sys.executable, "-m", "tests.bench.admin_pages", "--tokens", str(tokens)]
    subprocess.run(command, cwd=ROOT, env=env, check=True)


def _postgres(home: Path) -> int:
    """The process id of the embedded database's parent."""
    return int(next(home.rglob("postmaster.pid")).read_text().split()[0])


if __name__ == "__main__":
    main()
