"""Stored settings of this app."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from owui.config.registry import Section, setting


class UserConfig(Section, prefix="user"):
    """Default permissions; one JSON object as in the field, missing keys filled from USER_PERMISSIONS_*."""

    permissions: dict[str, Any] = setting(
        {}, label=_("Default permissions"), help=_("What every user may do before groups add to it."), stored=True
    )
