"""The devices of the settings page: where one is signed in, and ending that."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from accounts import services
from accounts.devices import devices_of
from accounts.middleware import identity_of
from accounts.models import Session
from accounts.panels import register
from accounts.web import go, me, signed_in_human
from owui.lib.errors import UserError


def _here(request: HttpRequest) -> Session | None:
    identity = identity_of(request)
    return identity.session if identity else None


def _section(request: HttpRequest) -> dict[str, Any] | None:
    """Not for keys: whoever holds one must not learn where its owner is."""
    here = _here(request)
    if here is None:
        return None
    devices = devices_of(me(request), here)
    return {"device_list": devices, "has_others": any(not device.is_current for device in devices)}


@require_POST
@signed_in_human
def end(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    services.end_own_session(me(request), pk)
    return go(request, f"{reverse('accounts:settings')}#devices")


@require_POST
@signed_in_human
def end_others(request: HttpRequest) -> HttpResponseBase:
    here = _here(request)
    if here is None:
        raise UserError(_("Sign in with a browser to end your other sessions."))
    services.end_other_sessions(me(request), keep=here)
    return go(request, f"{reverse('accounts:settings')}#devices")


register("devices", _("Devices"), "accounts/_devices.html", _section, order=50)
