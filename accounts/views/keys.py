"""The section of the settings page about one's keys for programs."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import panels, services
from accounts.forms_keys import KeyForm
from accounts.key_limits import KeyLimits
from accounts.middleware import identity_of
from accounts.web import me, refusal_status, signed_in_human
from owui.lib.errors import UserError


def _panel(request: HttpRequest) -> dict[str, Any] | None:
    """What `accounts/_api_keys.html` needs. Who may have no keys any more still sees, and can delete, what there is; a
    key must not learn which others there are and from where they are used."""
    identity = identity_of(request)
    if identity is not None and identity.method == "api_key":
        return None
    user = me(request)
    found, allowed = services.keys_of(user), services.keys_allowed(user)
    if not (allowed or found):
        return None
    return {
        "api_keys_allowed": allowed,
        "key_list": found,
        "ending_keys": [key for key in found if key.is_ending] if allowed else [],
        "key_form": KeyForm(),
    }


panels.register("api-keys", _("API keys"), "accounts/_api_keys.html", _panel, order=60)


@never_cache
@require_POST
@signed_in_human
def create(request: HttpRequest) -> HttpResponseBase:
    """A new key, shown this once."""
    form = KeyForm(request.POST)
    refused: UserError | None = None
    if form.is_valid():
        try:
            made, text = services.create_named_key(me(request), **_values(form))
        except UserError as error:
            if error.status == 403:
                raise
            form.refuse(refused := error)
        else:
            return _section(request, new_key=text, new_key_name=made.name)
    return _section(request, key_form=form, status=refusal_status(request, refused))


@never_cache
@require_http_methods(["DELETE"])
@signed_in_human
def delete(request: HttpRequest, key_id: uuid.UUID) -> HttpResponseBase:
    user = me(request)
    services.delete_key(services.get_key(user, key_id), by=user)
    return _section(request)


def _values(form: KeyForm) -> dict[str, Any]:
    data = form.cleaned_data
    days = int(data["days"] or 0)
    return {
        "name": data["name"],
        "expires_at": timezone.now() + timedelta(days=days) if days else None,
        "limits": KeyLimits.checked(paths=data["paths"], models=data["models"], addresses=data["addresses"]),
    }


def _section(request: HttpRequest, *, status: int = 200, **context: Any) -> HttpResponse:
    found = _panel(request) or {"api_keys_allowed": services.keys_allowed(me(request))}
    return render(request, "accounts/_api_keys.html", found | context, status=status)
