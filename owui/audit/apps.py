"""The audit app: lays the first stone of the chain after the first migration."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class AuditConfig(AppConfig):
    name = "owui.audit"
    label = "audit"
    verbose_name = _("Audit log")

    def ready(self) -> None:
        post_migrate.connect(_begin, sender=self)


def _begin(using: str, **kwargs: Any) -> None:
    from owui.audit.sealer import begin_chain

    if using == "default":
        begin_chain()
