"""Imported with the apps' modules of the same name: brings in the checks that belong to no app."""

from __future__ import annotations

from owui.security.checks import (  # noqa: F401
    audit,
    cookies,
    data,
    functions,
    images,
    inference,
    network,
    operations,
    rotation,
    secrets,
    terminal,
    variables,
)
