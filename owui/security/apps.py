"""The security app: checks, their page in the admin, and `manage.py security_check`. Nothing runs at start."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SecurityConfig(AppConfig):
    name = "owui.security"
    label = "security"
    verbose_name = _("Security")
