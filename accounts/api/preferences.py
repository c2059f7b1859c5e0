"""`/api/v1/users/user/settings`: what people set for themselves."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Body, Router

from accounts import preferences
from owui.lib.guards import verified

router = Router(tags=["users"])


@router.get("/settings", auth=verified)
def get_settings(request: HttpRequest) -> dict[str, Any]:
    return preferences.preferences_of(request.user)  # type: ignore[arg-type]


@router.post("/settings/update", auth=verified)
def update_settings(request: HttpRequest, form: Body[dict[str, Any]]) -> dict[str, Any]:
    return preferences.save_preferences(request.user, form)  # type: ignore[arg-type]
