"""`python -m owui.embedded run | services | env | status | stop`."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time

from owui.embedded.home import PROJECT_ROOT, Home, Refusal


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m owui.embedded", description="The built-in servers of this project."
    )
    parser.add_argument("--home", dest="home_before", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--home", help="where the data lies (default: OWUI_HOME, else var/ beside manage.py)")
    commands.add_parser("run", parents=[shared], help="start everything and keep it running")
    services = commands.add_parser(
        "services", parents=[shared], help="start only database, cache and models, for tests"
    )
    services.add_argument("--no-models", action="store_true", help="no chat and embedding model")
    commands.add_parser("env", parents=[shared], help="print the variables of the running instance, for a shell")
    commands.add_parser("status", parents=[shared], help="say whether an instance is running")
    commands.add_parser("stop", parents=[shared], help="stop the running instance")
    chosen = parser.parse_args(arguments)
    # Run from anywhere: children find the project by their working directory.
    os.chdir(PROJECT_ROOT)
    try:
        home = Home.locate(chosen.home or chosen.home_before)
        if chosen.command in ("run", "services"):
            return _launch(home, chosen)
        return {"env": _env, "status": _status, "stop": _stop}[chosen.command](home)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1


def _launch(home: Home, chosen: argparse.Namespace) -> int:
    if os.name != "posix":
        raise Refusal("The built-in servers run on Linux and macOS: on Windows use WSL, or the container image.")
    from owui.embedded.launcher import Launcher

    # Logs and uploads are for this user only, whatever the shell says.
    os.umask(0o077)
    only_services = chosen.command == "services"
    with_models = not getattr(chosen, "no_models", False)
    return Launcher(home, only_services=only_services, with_models=with_models).run()


def _env(home: Home) -> int:
    if home.holder() is None or not (home.run / "env").exists():
        raise Refusal(f"No instance with its data in {home.path} is running: start one with `make run`.")
    for name, value in home.read_environment().items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _status(home: Home) -> int:
    holder = home.holder()
    if holder is None:
        print(f"Not running (data in {home.path}).")
        return 3
    parts = ", ".join(sorted(record.stem for record in home.run.glob("*.json")))
    print(f"Running as process {holder} (data in {home.path}): {parts}.")
    return 0


def _stop(home: Home) -> int:
    holder = home.holder()
    if not holder:
        print(f"Not running (data in {home.path}).")
        return 0
    try:
        os.kill(holder, signal.SIGTERM)
    except PermissionError:
        raise Refusal(f"Process {holder} belongs to another user: stop it as that user.") from None
    except ProcessLookupError:
        return 0
    for _ in range(300):
        if home.holder() is None:
            print("Stopped.")
            return 0
        time.sleep(0.1)
    raise Refusal(
        f"Process {holder} has not stopped after 30 s: end it with `kill -9 {holder}`, nothing is lost by that."
    )


if __name__ == "__main__":
    sys.exit(main())
