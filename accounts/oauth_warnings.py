"""What is likely to surprise an operator of sign-in providers: told at the start and on the security page."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from accounts.backends.oidc import presets
from accounts.backends.oidc.claims import split
from accounts.config import MicrosoftConfig, OAuthConfig, OidcConfig, SignInConfig
from accounts.models import Role
from owui.config.sections import UiConfig

log = logging.getLogger(__name__)


def warnings() -> dict[str, list[str]]:
    """Sentences by subject: `people` (who gets in, as what) and `addresses` (where browsers and tokens go)."""
    found = presets.configured()
    return {"people": _people(found), "addresses": _addresses(found)} if found else {"people": _unfinished()}


def tell() -> None:
    """Into the log of a start."""
    for sentence in [text for texts in warnings().values() for text in texts]:
        log.warning("sign-in providers: %s", sentence)


def _unfinished() -> list[str]:
    own, entra = OidcConfig.load(), MicrosoftConfig.load()
    if bool(own.client_id) != bool(own.provider_url):
        return [_("OAUTH_CLIENT_ID and OPENID_PROVIDER_URL are needed together; the provider is not offered.")]
    if entra.client_id and not entra.tenant_id:
        return [_("MICROSOFT_CLIENT_TENANT_ID is missing; Microsoft is not offered.")]
    return []


def _people(found: dict[str, presets.Provider]) -> list[str]:
    config = OAuthConfig.load()
    texts = _unfinished()
    if not config.enable_signup:
        texts.append(
            _("ENABLE_OAUTH_SIGNUP is off: people of the provider who have no account here are refused (403). Set it to"
              " True to let them in.")
        )  # fmt: skip
    waits = SignInConfig.load().default_user_role == Role.PENDING
    allowed = split(config.allowed_roles, config.roles_separator)
    if config.enable_role_management and waits and not config.role_pending_first and allowed:
        texts.append(
            _("The role claim makes new people user at once: DEFAULT_USER_ROLE=pending only holds where the claim is"
              " absent. Set OAUTH_ROLE_PENDING_FIRST=True to approve everybody first.")
        )  # fmt: skip
    if config.enable_signup and config.allowed_domains.strip() == "*" and ({"google", "github"} & set(found)):
        texts.append(_("Anybody with an account at a public provider may come in: set OAUTH_ALLOWED_DOMAINS."))
    if config.code_challenge_method not in ("", "S256"):
        texts.append(_("OAUTH_CODE_CHALLENGE_METHOD knows only S256, which is used."))
    return texts


def _addresses(found: dict[str, presets.Provider]) -> list[str]:
    texts = []
    public = UiConfig.load().url
    if not public:
        texts.append(_("WEBUI_URL is not set: the callback address is taken from each request."))
    for provider in found.values():
        name = {"name": provider.label}
        if presets.is_plain_http(provider.discovery):
            texts.append(_("%(name)s is asked without TLS: its answers and our secret can be read and changed.") % name)
        if provider.redirect_uri and public and _host(provider.redirect_uri) != _host(public):
            texts.append(_("The callback address of %(name)s is not at WEBUI_URL: sign-ins will not come back.") % name)
        elif provider.redirect_uri and not _is_ours(provider.redirect_uri, provider.key):
            texts.append(_("The callback address of %(name)s is none of ours.") % name)
    if OAuthConfig.load().enable_token_exchange and not any(provider.is_oidc for provider in found.values()):
        texts.append(_("Token exchange is on, and no provider can say for whom a token was made."))
    return texts


def _host(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _is_ours(url: str, key: str) -> bool:
    return urlsplit(url).path in (f"/oauth/{key}/callback", f"/oauth/{key}/login/callback")
