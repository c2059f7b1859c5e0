"""`/api/v1/auths/sessions`: where one is signed in, and ending that. For people, not for their programs."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Router

from accounts import services
from accounts.devices import device_json, devices_of
from accounts.middleware import identity_of
from accounts.models import Session, User
from owui.lib.errors import Missing, Refused
from owui.lib.guards import current

router = Router(tags=["auths"])


def _here(request: HttpRequest) -> tuple[User, Session]:
    """Who asks, and from which session. A key must neither learn where its owner is nor sign them out."""
    identity = identity_of(request)
    assert identity is not None
    if identity.session is None:
        raise Refused(_("An API key cannot see or end sessions. Sign in to do that."))
    return identity.user, identity.session


@router.get("/sessions", auth=current)
def list_sessions(request: HttpRequest) -> list[dict[str, Any]]:
    return [device_json(device) for device in devices_of(*_here(request))]


@router.delete("/sessions", auth=current)
def end_other_sessions(request: HttpRequest) -> dict[str, int]:
    user, here = _here(request)
    return {"ended": services.end_other_sessions(user, keep=here)}


@router.delete("/sessions/{session_id}", auth=current)
def end_session(request: HttpRequest, session_id: str) -> bool:
    user, _session = _here(request)
    try:
        key = uuid.UUID(session_id)
    except ValueError:
        raise Missing(_("This session is over already.")) from None
    services.end_own_session(user, key)
    return True
