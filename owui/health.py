"""`/health`, `/ready`, `/api/version`, `/api/config`: what load balancers and clients ask first."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest
from ninja import Router

from accounts import trusted
from accounts.config import ApiKeyConfig, OAuthConfig, SignInConfig
from accounts.middleware import identity_of
from accounts.oauth_web import providers
from accounts.services import directory_is_on, has_users, signup_open
from owui import client_config
from owui.config.sections import UiConfig
from owui.lib import ending
from owui.lib.errors import UserError
from owui.lib.redis import ping
from rbac.permissions import default_permissions

router = Router(tags=["health"])
VERSION = "0.1.0"


@router.get("/health", auth=None)
def health(request: HttpRequest) -> dict[str, bool]:
    return {"status": True}


@router.get("/health/db", auth=None)
def health_db(request: HttpRequest) -> dict[str, bool]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:
        raise UserError("The database cannot be reached.", status=500) from error
    return {"status": True}


@router.get("/ready", auth=None)
def ready(request: HttpRequest) -> dict[str, bool]:
    if ending.is_asked():
        raise UserError("This server is being stopped.", status=503, code="draining")
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Exception as error:
        raise UserError("The database cannot be reached.", status=503) from error
    if pending:
        raise UserError("The database is being brought up to date.", status=503)
    if not ping():
        raise UserError("Redis cannot be reached.", status=503)
    return {"status": True}


@router.get("/api/version", auth=None)
def version(request: HttpRequest) -> dict[str, str]:
    return {"version": VERSION}


@router.get("/api/config", auth=None)
def config(request: HttpRequest) -> dict[str, Any]:
    """What a client needs before and after sign-in. 401 on a bad token, so that it asks for a new one."""
    identity = identity_of(request)
    if failure := getattr(request, "auth_failure", None):
        raise failure
    sign_in = SignInConfig.load()
    features: dict[str, Any] = {
        "auth": settings.BOOT.webui_auth,
        "auth_trusted_header": trusted.is_on(),
        "enable_signup_password_confirmation": settings.BOOT.enable_signup_password_confirmation,
        "enable_ldap": directory_is_on(),
        "enable_signup": signup_open(),
        "enable_login_form": sign_in.enable_login_form,
        "enable_websocket": True,
    }
    answer: dict[str, Any] = {
        "status": True,
        "name": settings.BOOT.webui_name,
        "version": VERSION,
        "default_locale": UiConfig.load().default_locale,
        "oauth": {"providers": providers(), "auto_redirect": OAuthConfig.load().auto_redirect},
        "features": features,
    }
    if not has_users():
        answer["onboarding"] = True
    if identity is not None and identity.user.role in ("user", "admin"):
        features |= client_config.features() | {
            "enable_api_keys": ApiKeyConfig.load().enable,
            "enable_password_change_form": sign_in.enable_password_change_form,
            "enable_admin_export": settings.ENABLE_ADMIN_EXPORT,
            "enable_admin_chat_access": settings.ENABLE_ADMIN_CHAT_ACCESS,
        }
        answer |= client_config.choices() | {"permissions": default_permissions()}
    elif identity is not None:
        answer |= client_config.waiting()
    return answer
