"""6.12 Rotation: what is stored under the secret key opens with the present one."""

from __future__ import annotations

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from owui.config.models import ConfigValue
from owui.lib import crypto
from owui.security.registry import Finding, check, declared, fail, not_applicable, ok, warn


@check(
    "6.12.a",
    _("Stored secrets of settings open with the present key"),
    repair=_("Set the former key again as a fallback, or enter these secrets anew."),
    names=("WEBUI_SECRET_KEY",),
    beyond=True,
)
def settings_open() -> Finding:
    rows = [
        (key, value["encrypted"])
        for key, value in ConfigValue.objects.filter(value__has_key="encrypted").values_list("key", "value")
        if set(value) == {"encrypted"}
    ]
    if not rows:
        return not_applicable(_("No secret is stored in settings."))
    states = {key: opens(token, "config") for key, token in rows}
    lost = [key for key, state in states.items() if state is None]
    if lost:
        return fail(_("Cannot be opened any more: %(keys)s.") % {"keys": ", ".join(sorted(lost)[:10])})
    if old := [key for key, state in states.items() if state is False]:
        return warn(_("Still under a former key: %(keys)s.") % {"keys": ", ".join(sorted(old)[:10])})
    return ok(_("Secrets that open with the present key: %(count)d.") % {"count": len(rows)})


def opens(token: str, purpose: str) -> bool | None:
    """True: with the present key; False: with a former one only; None: not at all."""
    try:
        crypto.decrypt(token, purpose)
    except crypto.KeyChangedError:
        return None
    try:
        crypto.decrypt_with_present_key(token, purpose)
    except InvalidToken:
        return False
    return True


@check(
    "6.12.b",
    _("No former key is kept longer than needed"),
    repair=_("Enter the secrets that are still under the former key anew, then remove it."),
    beyond=True,
)
def former_keys() -> Finding:
    if count := len(settings.SECRET_KEY_FALLBACKS):
        return warn(_("%(count)d former secret keys are still accepted.") % {"count": count})
    return ok(_("Only the present secret key is accepted."))


declared(
    "6.12.c",
    _("The change of the secret key is planned and practised"),
    found=_("This process cannot see your plan. A change of the key signs everybody out."),
    repair=_("Write down how WEBUI_SECRET_KEY is changed (docs/security.md), practise it, and declare it."),
)
