"""`/api/v1/auths/admin`: the settings of accounts and features on one page, and whom people who wait may write to."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Body, Router

from accounts import services
from accounts.models import Role
from owui.config.api import page_of_settings, save_page
from owui.config.sections import UiConfig
from owui.lib.errors import UserError
from owui.lib.guards import admin, current
from rbac.models import Group

router = Router(tags=["auths"])
DETAILS_OFF = "The requested action has been restricted as a security measure."
_LIFETIME = re.compile(r"-1|(\d+(\.\d+)?(ms|[smhdw]))+")
CONFIG = {
    "SHOW_ADMIN_DETAILS": "ui.show_admin_details",
    "ADMIN_EMAIL": "ui.admin_email",
    "WEBUI_URL": "ui.url",
    "ENABLE_SIGNUP": "auth.enable_signup",
    "ENABLE_LOGIN_FORM": "auth.enable_login_form",
    "ENABLE_PASSWORD_CHANGE_FORM": "auth.enable_password_change_form",
    "ENABLE_MFA": "auth_mfa.enable",
    "MFA_ALLOW_OAUTH_BYPASS": "auth_mfa.allow_oauth_bypass",
    "MFA_ALLOW_TRUSTED_HEADER_BYPASS": "auth_mfa.allow_trusted_header_bypass",
    "DEFAULT_USER_ROLE": "auth.default_user_role",
    "DEFAULT_GROUP_ID": "auth.default_group_id",
    "JWT_EXPIRES_IN": "auth.jwt_expires_in",
    "ENABLE_API_KEYS": "auth_api_key.enable",
    "ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS": "auth_api_key.endpoint_restrictions",
    "API_KEYS_ALLOWED_ENDPOINTS": "auth_api_key.allowed_endpoints",
    **{
        f"ENABLE_{name}": f"ui.enable_{name.lower()}"
        for name in (
            "COMMUNITY_SHARING", "MESSAGE_RATING", "FOLDERS", "CHANNELS", "ENCRYPTED_CHANNELS", "NOTES", "MEMORIES",
            "CALENDAR", "AUTOMATIONS", "USER_WEBHOOKS", "USER_STATUS",
        )
    },
    "PENDING_USER_OVERLAY_TITLE": "ui.pending_user_overlay_title",
    "PENDING_USER_OVERLAY_CONTENT": "ui.pending_user_overlay_content",
    "RESPONSE_WATERMARK": "ui.response_watermark",
}  # fmt: skip
#: what older clients call them
FORMER = {
    "ENABLE_API_KEY": "ENABLE_API_KEYS",
    "ENABLE_API_KEY_ENDPOINT_RESTRICTIONS": "ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS",
    "API_KEY_ALLOWED_ENDPOINTS": "API_KEYS_ALLOWED_ENDPOINTS",
}


@router.get("/config", auth=admin)
def get_config(request: HttpRequest) -> dict[str, Any]:
    return page_of_settings(CONFIG)


@router.post("/config", auth=admin)
def set_config(request: HttpRequest, form: Body[dict[str, Any]]) -> dict[str, Any]:
    """Stores what was sent: all, or nothing and every problem in one answer (400)."""
    sent = {FORMER[name]: value for name, value in form.items() if name in FORMER} | form
    # Clients send null for a field that is empty.
    sent = {name: "" if value is None else value for name, value in sent.items()}
    _check(sent)
    return save_page(CONFIG, sent, request.user)


@router.get("/details", auth=current)
def get_details(request: HttpRequest) -> dict[str, Any]:
    if not UiConfig.load().show_admin_details:
        raise UserError(DETAILS_OFF)
    found = services.contact()
    return {"name": found["name"], "email": found["email"]} if found else {"name": None, "email": None}


def _check(sent: Mapping[str, Any]) -> None:
    """What a setting's type does not say: values that would be stored and not understood later."""
    problems = []
    if "DEFAULT_USER_ROLE" in sent and sent["DEFAULT_USER_ROLE"] not in Role.values:
        problems.append(_("DEFAULT_USER_ROLE must be pending, user or admin."))
    if "JWT_EXPIRES_IN" in sent and not _LIFETIME.fullmatch(str(sent["JWT_EXPIRES_IN"]).strip()):
        problems.append(_("JWT_EXPIRES_IN must be a time such as 8h or 4w, or -1."))
    if (group := sent.get("DEFAULT_GROUP_ID")) and not _is_group(group):
        problems.append(_("DEFAULT_GROUP_ID names no group that exists."))
    if problems:
        raise UserError(" ".join(problems), code="invalid_setting")


def _is_group(pk: Any) -> bool:
    try:
        return Group.objects.filter(pk=uuid.UUID(str(pk))).exists()
    except ValueError:
        return False
