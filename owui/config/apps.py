"""The config app: collects every app's sections at start, and seeds their rows after migrations."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core.signals import setting_changed
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class ConfigConfig(AppConfig):
    name = "owui.config"
    label = "config"
    verbose_name = _("Settings")

    def ready(self) -> None:
        import owui.config.sections  # noqa: F401  the sections that belong to no app

        # Every app's `config.py`; apps without one are skipped.
        autodiscover_modules("config")
        post_migrate.connect(_start, sender=self)
        # Only tests change Django settings at run time.
        setting_changed.connect(_forget)


def _start(using: str, **kwargs: Any) -> None:
    from owui.config import store

    if using == "default":
        store.start()


def _forget(setting: str, **kwargs: Any) -> None:
    from owui.config import store

    if setting in ("ENABLE_PERSISTENT_CONFIG", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "BOOT"):
        store.clear_cache()
