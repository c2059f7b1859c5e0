"""`/api/v1/auths/oauth`: token exchange and one's own provider sessions; `/admin/config/oauth`: the settings."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Body, Router, Schema

from accounts.api.auths import sign_in_answer
from accounts.services import oauth
from accounts.web import client_of
from owui.config.api import page_of_settings, save_page
from owui.config.registry import all_settings
from owui.lib.aio import in_thread
from owui.lib.guards import admin, verified

router = Router(tags=["auths"])
admin_router = Router(tags=["auths"])


class ExchangeForm(Schema):
    token: str


@router.post("/{provider}/token/exchange", auth=None)
async def exchange_token(
    request: HttpRequest, provider: str, form: ExchangeForm, response: HttpResponse
) -> dict[str, Any]:
    """A provider's access token for a session here; for people who have an account."""
    outcome = await oauth.exchange_token(provider, form.token, **client_of(request))
    return await in_thread(sign_in_answer)(request, response, outcome)


@router.delete("/sessions/{provider}", auth=verified)
def end_sessions(request: HttpRequest, provider: str) -> dict[str, bool]:
    """Forgets the provider's tokens for oneself."""
    oauth.end_own_sessions(request.user, provider)  # type: ignore[arg-type]
    return {"status": True}


def names() -> dict[str, str]:
    """Variable to key of every setting of providers that administrators may change."""
    wanted = [s for s in all_settings() if s.key.startswith("oauth.") and s.stored]
    return {setting.names[0]: setting.key for setting in wanted}


@admin_router.get("/config/oauth", auth=admin)
def get_config(request: HttpRequest) -> dict[str, Any]:
    return page_of_settings(names())


@admin_router.post("/config/oauth", auth=admin)
def set_config(request: HttpRequest, form: Body[dict[str, Any]]) -> dict[str, Any]:
    """Stores what was sent: all, or nothing and every problem in one answer (400)."""
    sent = {name: "" if value is None and name != "OAUTH_TIMEOUT" else value for name, value in form.items()}
    if "OAUTH_GROUP_CLAIM" in sent:
        sent.setdefault("OAUTH_GROUPS_CLAIM", sent["OAUTH_GROUP_CLAIM"])
    return save_page(names(), sent, request.user)
