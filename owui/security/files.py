"""Files that hold secrets: where they are, who may read them, and whether git knows them."""

from __future__ import annotations

import stat
from pathlib import Path

from django.conf import settings

_LARGEST_INDEX = 16 * 1024 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def loose_mode(path: Path) -> str:
    """The mode as people write it when anybody but the owner has any right, else an empty text."""
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"{mode:04o}" if mode & _OTHERS else ""


def env_files() -> list[Path]:
    """Files with variables that this process can see: of the home, of a running instance, and beside the code."""
    home = settings.OWUI_HOME
    wanted = (home / ".env", home / "run" / "env", settings.BASE_DIR / ".env", Path.cwd() / ".env")
    return [path for path in dict.fromkeys(wanted) if path.is_file()]


def secret_files() -> list[Path]:
    """Generated secrets of an embedded instance."""
    directory = settings.OWUI_HOME / "secrets"
    return sorted(path for path in directory.iterdir() if path.is_file()) if directory.is_dir() else []


def is_in_git(path: Path) -> bool | None:
    """Whether git tracks the file; None when its index cannot be read. No repository around it: False."""
    path = path.resolve()
    top = next((parent for parent in path.parents if (parent / ".git").exists()), None)
    if top is None:
        return False
    index = top / ".git" / "index"
    if not index.is_file():
        # `.git` is a file in a worktree: the index lies elsewhere. An empty repository has none.
        return None if (top / ".git").is_file() else False
    if index.stat().st_size > _LARGEST_INDEX:
        return None
    data = index.read_bytes()
    if data[:4] != b"DIRC" or int.from_bytes(data[4:8], "big") > 3:
        return None  # version 4 compresses the paths
    # An entry is: 62 bytes of numbers (two more when extended), the path, NUL.
    return _holds(data, path.relative_to(top).as_posix().encode())


def _holds(index: bytes, name: bytes) -> bool:
    position, needle = 0, name + b"\0"
    while (position := index.find(needle, position)) >= 0:
        # The two bytes before the path end in its length, or are the extended flags behind them.
        lengths = {int.from_bytes(index[at : at + 2], "big") & 0x0FFF for at in (position - 2, position - 4)}
        if min(len(name), 0x0FFF) in lengths:
            return True
        position += 1
    return False
