"""What every page needs to know: the product's name, the reader's theme, the banners."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts import interface, preferences
from owui.config.banners import shown
from owui.config.sections import UiConfig
from owui.health import VERSION
from owui.lib import brand
from rbac.sharing import is_verified

THEMES = ("light", "dark")


def page(request: HttpRequest) -> dict[str, Any]:
    """`page` for templates/base.html; worked out only where a whole page is made, not for fragments."""
    return {"page": SimpleLazyObject(lambda: _page(getattr(request, "user", None)))}


def _page(user: Any) -> dict[str, Any]:
    """An error page must also come out while the database is away."""
    values: dict[str, Any] = {"name": settings.BOOT.webui_name, "version": VERSION, "theme": "", "banner_list": []}
    values |= {
        "icon_url": brand.address(*brand.ICONS),
        "touch_icon_url": brand.address(*brand.TOUCH_ICONS),
        "logo_url": brand.address(*brand.LOGOS),
    }
    values |= {"ui": {}, "shortcut_list": interface.SHORTCUTS, "watermark": ""}
    try:
        values["watermark"] = UiConfig.load().response_watermark
        if is_verified(user):
            ui = preferences.interface_of(user)
            values |= {"theme": theme_of({"ui": ui}), "banner_list": banners(), "ui": interface.for_scripts(ui)}
            values["shortcut_list"] = interface.shortcuts_of(ui)
    except DatabaseError:
        pass  # the page is shown plainly
    return values


def theme_of(stored: Any) -> str:
    """`light`, `dark`, or empty for the system's own."""
    interface = stored.get("ui") if isinstance(stored, dict) else None
    theme = interface.get("theme") if isinstance(interface, dict) else None
    return theme if theme in THEMES else ""


def banners() -> list[dict[str, Any]]:
    """The configured banners in the shape templates know; entries without a text are left out."""
    return shown(UiConfig.load().banners)
