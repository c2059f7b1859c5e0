"""Which providers there are, and what each needs to be asked differently. Read anew at each use: settings change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from accounts.config import FeishuConfig, GithubConfig, GoogleConfig, MicrosoftConfig, OAuthConfig, OidcConfig
from owui.lib.errors import Missing

TIMEOUT = 10.0
GOOGLE = "https://accounts.google.com/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where an OAuth 2 provider that has no discovery document is asked."""

    authorize: str
    token: str
    userinfo: str
    emails: str = ""


GITHUB = Endpoints(
    "https://github.com/login/oauth/authorize",
    "https://github.com/login/oauth/access_token",
    "https://api.github.com/user",
    "https://api.github.com/user/emails",
)
FEISHU = Endpoints(
    "https://accounts.feishu.cn/open-apis/authen/v1/authorize",
    "https://open.feishu.cn/open-apis/authen/v2/oauth/token",
    "https://open.feishu.cn/open-apis/authen/v1/user_info",
)


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider that is configured.

    :param discovery: address of its OpenID configuration; empty for plain OAuth 2 with `endpoints`
    :param sub_claim: the claim with the person's lasting id
    :param picture_url: where the picture is asked for with the access token, when no claim leads to it
    """

    key: str
    label: str
    client_id: str
    client_secret: str
    scope: str
    redirect_uri: str = ""
    discovery: str = ""
    endpoints: Endpoints | None = None
    sub_claim: str = "sub"
    picture_claim: str = "picture"
    picture_url: str = ""
    end_session: str = ""
    authorize_params: dict[str, Any] = field(default_factory=dict)
    auth_method: str = ""
    timeout: float = TIMEOUT
    include_client_id: bool = False
    refresh_with_scope: bool = False
    #: people of any organisation come by it
    is_for_many: bool = False

    @property
    def is_oidc(self) -> bool:
        return bool(self.discovery)


def configured() -> dict[str, Provider]:
    """The providers that are set up, in the order of the sign-in page; empty while ENABLE_OAUTH is off."""
    config = OAuthConfig.load()
    if not config.enable:
        return {}
    found = (make(config) for make in _MAKERS)
    return {provider.key: provider for provider in found if provider is not None}


def find(key: str) -> Provider:
    """404 for a provider that is not there."""
    provider = configured().get(key)
    if provider is None:
        raise Missing
    return provider


def _common(config: OAuthConfig) -> dict[str, Any]:
    return {
        "timeout": config.timeout or TIMEOUT,
        "include_client_id": config.access_token_request_include_client_id,
        "refresh_with_scope": config.refresh_token_include_scope,
        "picture_claim": config.picture_claim,
    }


def _oidc(config: OAuthConfig) -> Provider | None:
    own = OidcConfig.load()
    if not (own.client_id and own.provider_url):
        return None
    extra = config.authorize_params | ({"audience": config.audience} if config.audience else {})
    return Provider(
        "oidc", config.provider_name, own.client_id, own.client_secret, own.scopes, own.redirect_uri,
        discovery=discovery_address(own.provider_url), sub_claim=config.sub_claim or "sub",
        end_session=own.end_session_endpoint, authorize_params=extra,
        auth_method=config.token_endpoint_auth_method, **_common(config),
    )  # fmt: skip


def discovery_address(url: str) -> str:
    """Operators give the issuer as often as the document."""
    url = url.strip()
    return url if "/.well-known/" in url else f"{url.rstrip('/')}/.well-known/openid-configuration"


def _google(config: OAuthConfig) -> Provider | None:
    own = GoogleConfig.load()
    if not (own.client_id and own.client_secret):
        return None
    return Provider(
        "google", "Google", own.client_id, own.client_secret, own.scope, own.redirect_uri, discovery=GOOGLE,
        sub_claim=config.sub_claim or "sub", authorize_params=own.authorize_params, **_common(config),
    )  # fmt: skip


def _microsoft(config: OAuthConfig) -> Provider | None:
    own = MicrosoftConfig.load()
    if not (own.client_id and own.client_secret and own.tenant_id):
        return None
    base = own.login_base_url.rstrip("/")
    return Provider(
        "microsoft", "Microsoft", own.client_id, own.client_secret, own.scope, own.redirect_uri,
        discovery=f"{base}/{own.tenant_id}/v2.0/.well-known/openid-configuration",
        sub_claim=config.sub_claim or "sub", picture_url=own.picture_url,
        is_for_many=own.tenant_id.strip().lower() in ("common", "organizations", "consumers"), **_common(config),
    )  # fmt: skip


def _github(config: OAuthConfig) -> Provider | None:
    own = GithubConfig.load()
    if not (own.client_id and own.client_secret):
        return None
    common = _common(config)
    if common["picture_claim"] == "picture":
        common["picture_claim"] = "avatar_url"
    return Provider(
        "github", "GitHub", own.client_id, own.client_secret, own.scope, own.redirect_uri, endpoints=GITHUB,
        sub_claim=config.sub_claim or "id", auth_method="client_secret_post", **common,
    )  # fmt: skip


def _feishu(config: OAuthConfig) -> Provider | None:
    own = FeishuConfig.load()
    if not (own.client_id and own.client_secret):
        return None
    common = _common(config)
    if common["picture_claim"] == "picture":
        common["picture_claim"] = "avatar_url"
    return Provider(
        "feishu", "Feishu", own.client_id, own.client_secret, own.scope, own.redirect_uri, endpoints=FEISHU,
        sub_claim=config.sub_claim or "user_id", auth_method="client_secret_post", **common,
    )  # fmt: skip


_MAKERS: tuple[Callable[[OAuthConfig], Provider | None], ...] = (_google, _microsoft, _github, _oidc, _feishu)


def is_plain_http(url: str) -> bool:
    """Whether an address is neither TLS nor on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1")
