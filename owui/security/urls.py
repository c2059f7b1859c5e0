"""Pages of the security status, inside the administration and behind its door."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from owui.security.views import security_export, security_status

app_name = "security"
urlpatterns = [
    path("", admin.site.admin_view(security_status), name="status"),
    path("export/", admin.site.admin_view(security_export), name="export"),
]
