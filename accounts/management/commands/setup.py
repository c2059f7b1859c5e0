"""`manage.py setup`: what a start does beyond migrations; safe to run any number of times."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.services import ensure_configured_admin
from owui.lib.errors import UserError


class Command(BaseCommand):
    help = "Makes the administrator that WEBUI_ADMIN_EMAIL and WEBUI_ADMIN_PASSWORD name, on an empty database only."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = ensure_configured_admin()
        except UserError as error:
            raise CommandError(f"WEBUI_ADMIN_EMAIL or WEBUI_ADMIN_PASSWORD is unusable: {error.message}") from error
        self.stdout.write(f"{user.email} is the administrator." if user else "Nothing to do.")
