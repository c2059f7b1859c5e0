"""Stored settings of this app."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from owui import env
from owui.config.registry import Section, setting


def _from_environment() -> dict[str, Any] | None:
    """The one object that the USER_PERMISSIONS_* variables make up, when any of them is set."""
    from rbac.permissions import PERMISSIONS, environment_defaults

    return environment_defaults() if any(env.raw(row.env) is not None for row in PERMISSIONS.values()) else None


class UserConfig(Section, prefix="user"):
    """Default permissions; one JSON object as in the field, missing keys filled from USER_PERMISSIONS_*."""

    permissions: dict[str, Any] = setting(
        {},
        label=_("Default permissions"),
        help=_("What every user may do before groups add to it."),
        seed=_from_environment,
    )
