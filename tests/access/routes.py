"""Every way into the program, found by walking what is really mounted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

#: one family: Django admin's own views all ask `is_staff`; `table_accounts` has a row for the index and each model
ADMIN = "/admin/"
#: pages of our own inside it, which need rows like any other page
OWN_ADMIN = ("/admin/security/", "/admin/preview/", "/admin/sync/", "/admin/claims/", "/admin/retrieval/")
#: documentation of the REST interface: schema and its viewer
DOCS = ("/api/docs", "/api/openapi.json")


def _plain(route: str) -> str:
    """`c/<uuid:pk>` as `/c/{pk}`."""
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.lstrip("/"))


def _walk(patterns: Any, prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.lookup_str


def pages() -> set[str]:
    """Paths of HTML views, Django admin left out."""
    found = {_plain(route) for route, view in _walk(get_resolver().url_patterns) if not str(view).startswith("ninja.")}
    rest = {path for _method, path in operations()}
    foreign = {path for path in found if path.startswith(ADMIN) and not path.startswith(OWN_ADMIN)}
    return found - foreign - rest - set(DOCS)


def admin_models() -> set[str]:
    """The list page of every model in Django admin."""
    from django.contrib import admin

    return {f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry}


def operations() -> set[tuple[str, str]]:
    """Method and path of every REST operation."""
    from importlib import import_module

    from django.conf import settings

    api = import_module(settings.ROOT_URLCONF).api
    found = set()
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            for operation in view.operations:
                whole = re.sub(r"\{(?:\w+:)?(\w+)\}", r"{\1}", f"{prefix}{path}")
                whole = re.sub(r"/{2,}", "/", "/" + whole.lstrip("/"))
                found |= {(method, whole) for method in operation.methods}
    return found


def sockets() -> set[str]:
    from chat.routing import websocket_urlpatterns

    return {_plain(str(pattern.pattern)) for pattern in websocket_urlpatterns}


def tasks() -> set[str]:
    from owui.celery import app

    app.loader.import_default_modules()
    return {name for name in app.tasks if not name.startswith("celery.")}
