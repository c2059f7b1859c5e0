"""The administration's pages: Django's site, for people only."""

from __future__ import annotations

from django.contrib.admin.sites import AdminSite
from django.http import HttpRequest


class Site(AdminSite):
    """An administrator's API key opens REST; what is decided on these pages, a person decides."""

    def has_permission(self, request: HttpRequest) -> bool:
        may = super().has_permission(request)  # reads the person, and with them how they came in
        identity = getattr(request, "_identity", None)
        return may and (identity is None or identity.method != "api_key")
