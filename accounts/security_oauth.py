"""Security checks of sign-in providers. Imported by `security_checks`."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from accounts.backends.oidc import presets
from accounts.config import OAuthConfig
from accounts.oauth_warnings import warnings
from owui.security.registry import Finding, check, not_applicable, ok, warn


def _about(subject: str, good: str) -> Finding:
    if texts := warnings().get(subject):
        return warn(" ".join(texts))
    return ok(good) if presets.configured() else not_applicable(_("No provider is configured."))


@check(
    "6.2.v",
    _("Providers let in the right people"),
    repair=_("Set ENABLE_OAUTH_SIGNUP, OAUTH_ROLE_PENDING_FIRST and OAUTH_ALLOWED_DOMAINS as you mean it."),
    names=("ENABLE_OAUTH_SIGNUP", "OAUTH_ROLE_PENDING_FIRST", "OAUTH_ALLOWED_DOMAINS"),
    key="oauth.enable_signup",
    beyond=True,
)
def people() -> Finding:
    return _about("people", str(_("Who comes in by a provider, and as what, is as configured.")))


@check(
    "6.2.y",
    _("Providers are reached safely, and lead back here"),
    repair=_("Use https:// addresses, set WEBUI_URL, and give the provider its callback address."),
    names=("OPENID_PROVIDER_URL", "OPENID_REDIRECT_URI", "WEBUI_URL"),
    key="oauth.oidc.provider_url",
    beyond=True,
)
def addresses() -> Finding:
    return _about("addresses", str(_("Providers are asked over TLS, and lead back to WEBUI_URL.")))


@check(
    "6.2.z",
    _("Providers can sign people out here"),
    repair=_("Set ENABLE_OAUTH_BACKCHANNEL_LOGOUT=True and give the provider WEBUI_URL/oauth/backchannel-logout."),
    names=("ENABLE_OAUTH_BACKCHANNEL_LOGOUT",),
    key="oauth.enable_backchannel_logout",
    beyond=True,
)
def backchannel() -> Finding:
    if not any(provider.is_oidc for provider in presets.configured().values()):
        return not_applicable(_("No OpenID provider is configured."))
    if not OAuthConfig.load().enable_backchannel_logout:
        return warn(_("Back-channel logout is off: who is signed out at the provider stays signed in here."))
    return ok(_("Back-channel logout is on."))
