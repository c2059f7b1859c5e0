"""Secrets stand beside the file, never in it: `{env: NAME}` or `{file: PATH}`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from owui import env

LARGEST = 64 * 1024


def resolve(reference: dict[str, Any]) -> str | None:
    """The text a reference stands for, None when the variable or file is not there.

    :raises ValueError: it is no reference
    """
    if len(reference) != 1 or not all(isinstance(value, str) and value for value in reference.values()):
        raise ValueError("must be {env: NAME} or {file: PATH}")
    (how, where), *_rest = reference.items()
    if how == "env":
        return env.raw(where)
    if how != "file":
        raise ValueError("must be {env: NAME} or {file: PATH}")
    try:
        with Path(where).open(encoding="utf-8") as file:
            return file.read(LARGEST).strip()
    except (OSError, UnicodeDecodeError):
        return None


def named(reference: dict[str, Any]) -> str:
    """What is missing, for people."""
    how, where = next(iter(reference.items()))
    return f"the variable {where}" if how == "env" else f"the file {where}"


def reference(env_name: str | None, file_name: str | None) -> dict[str, str] | None:
    """The pair of fields `…_env` and `…_file` as one reference."""
    if env_name:
        return {"env": env_name}
    return {"file": file_name} if file_name else None
