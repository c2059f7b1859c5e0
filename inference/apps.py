"""The inference app: takes over the connections that the environment lists, after migrations and so at each start."""

from __future__ import annotations

import logging
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate

log = logging.getLogger(__name__)


class InferenceConfig(AppConfig):
    name = "inference"
    verbose_name = "Models and tools"

    def ready(self) -> None:
        post_migrate.connect(_take_over, sender=self)


def _take_over(using: str, plan: Any = (), **kwargs: Any) -> None:
    from django.db import connection

    from inference.models import TerminalServer, ToolServer
    from inference.tool_servers import take_over
    from owui.lib.errors import UserError

    if using != "default":
        return
    there = set(connection.introspection.table_names())
    for model in (ToolServer, TerminalServer):
        if model._meta.db_table not in there:
            continue  # migrated to before their time
        try:
            take_over(model)
        except UserError as error:
            log.error("The %s of the environment are not used: %s", model._meta.verbose_name_plural, error.message)
