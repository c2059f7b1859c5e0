from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("People")

    def ready(self) -> None:
        from accounts import directory_way, ways
        from accounts.oauth_web import provider_ways

        ways.register(provider_ways, order=10)
        post_migrate.connect(_first_admin, sender=self)
        directory_way.add()


def _first_admin(using: str, **kwargs: Any) -> None:
    """WEBUI_ADMIN_EMAIL and WEBUI_ADMIN_PASSWORD hold from the first start, before anyone can sign up."""
    from django.core.management.base import CommandError
    from django.db import connection

    from accounts.services import ensure_configured_admin
    from owui.lib.errors import UserError

    needed = {"accounts_user", "audit_auditevent", "config_configvalue", "rbac_group"}
    if using == "default" and needed <= set(connection.introspection.table_names()):
        try:
            ensure_configured_admin()
        except UserError as error:
            raise CommandError(f"WEBUI_ADMIN_EMAIL or WEBUI_ADMIN_PASSWORD is unusable: {error.message}") from error
