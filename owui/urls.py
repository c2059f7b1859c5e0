"""HTML routes; REST is mounted last, under its own paths."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.views.entry import sign_out
from owui.api import api
from owui.pages import brand_picture, manifest, offline, service_worker, sign_in_for_admin

handler400 = "owui.lib.errors.bad_request"
handler403 = "owui.lib.errors.permission_denied"
handler404 = "owui.lib.errors.page_not_found"
handler500 = "owui.lib.errors.server_error"

urlpatterns = [
    path("", include("chat.urls")),
    path("", include("accounts.urls")),
    path("", include("rbac.urls")),
    path("manifest.json", manifest, name="manifest"),
    path("brand/<str:name>", brand_picture, name="brand"),
    path("offline", offline, name="offline"),
    path("service-worker.js", service_worker, name="service-worker"),
    path("workspace/", include("inference.urls")),
    path("workspace/", include("knowledge.urls")),
    path("admin/login/", sign_in_for_admin),
    # Django's own would leave the session standing, and change a password past our rules and the audit log.
    path("admin/logout/", sign_out),
    path("admin/password_change/", RedirectView.as_view(pattern_name="accounts:settings")),
    path("admin/security/", include("owui.security.urls")),
    path("admin/preview/", include("rbac.preview_admin")),
    path("admin/access/", include("rbac.governance")),
    path("admin/sync/", include("rbac.sync_admin")),
    path("admin/retrieval/", include("knowledge.lab")),
    path("admin/claims/", include("accounts.claims_admin")),
    path("admin/", admin.site.urls),
    path("", api.urls),
]
