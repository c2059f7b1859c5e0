"""Sign-in with OpenID Connect and OAuth 2. The names in the environment are the field's.

Settings whose key begins with `oauth.` are stored only with ENABLE_OAUTH_PERSISTENT_CONFIG (see `owui.config.store`);
those marked `stored=False` always come from the environment.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from owui.config.registry import Section, setting


class OAuthConfig(Section, prefix="oauth", label=_("Sign-in providers")):
    """What holds for every provider: accounts, claims, roles, groups, sessions."""

    enable: bool = setting(
        True,
        env="ENABLE_OAUTH",
        label=_("People may sign in with a provider"),
        help=_("Off: no provider is offered, and who comes back from one is refused."),
    )
    enable_signup: bool = setting(
        False,
        env="ENABLE_OAUTH_SIGNUP",
        label=_("Sign-in makes accounts"),
        help=_("Off: people without an account are refused until an administrator has made one."),
    )
    merge_accounts_by_email: bool = setting(
        False,
        env="OAUTH_MERGE_ACCOUNTS_BY_EMAIL",
        label=_("Take over an account of the same address"),
        help=_("Only when the provider says that the address is verified."),
    )
    auto_redirect: bool = setting(
        False,
        env="OAUTH_AUTO_REDIRECT",
        label=_("Go to the provider at once"),
        help=_("When there is one way to sign in. /auth?form=true shows the page."),
    )
    provider_name: str = setting("SSO", env="OAUTH_PROVIDER_NAME", label=_("Name on the button"))
    # ------------------------------------------------------------------------------------------------------ who it is
    sub_claim: str = setting(
        "", env="OAUTH_SUB_CLAIM", label=_("Claim of the lasting id"), help=_("Empty: as the provider's kind has it.")
    )
    email_claim: str = setting("email", env="OAUTH_EMAIL_CLAIM", label=_("Claim of the e-mail"))
    username_claim: str = setting("name", env="OAUTH_USERNAME_CLAIM", label=_("Claim of the name"))
    picture_claim: str = setting(
        "picture", env="OAUTH_PICTURE_CLAIM", label=_("Claim of the picture"), help=_("Empty: none is fetched.")
    )
    picture_private_hosts: str = setting(
        "",
        env="OAUTH_PICTURE_PRIVATE_HOSTS",
        label=_("Hosts in the house that pictures may come from"),
        help=_("Comma list. Addresses of pictures come from claims: private ones are refused unless named here."),
    )
    update_name_on_login: bool = setting(False, env="OAUTH_UPDATE_NAME_ON_LOGIN", label=_("Sign-in updates the name"))
    update_email_on_login: bool = setting(
        False, env="OAUTH_UPDATE_EMAIL_ON_LOGIN", label=_("Sign-in updates the e-mail")
    )
    update_picture_on_login: bool = setting(
        False, env="OAUTH_UPDATE_PICTURE_ON_LOGIN", label=_("Sign-in updates the picture")
    )
    allowed_domains: str = setting(
        "*",
        env="OAUTH_ALLOWED_DOMAINS",
        label=_("Domains of e-mail that may come in"),
        help=_("Comma list; * is any. With a list, an address that the provider calls unverified is refused."),
    )
    enable_email_fallback: bool = setting(
        False,
        env="ENABLE_OAUTH_EMAIL_FALLBACK",
        label=_("Make up an address where there is none"),
        help=_("provider@id.local"),
    )
    # ---------------------------------------------------------------------------------------------------------- roles
    enable_role_management: bool = setting(
        False,
        env="ENABLE_OAUTH_ROLE_MANAGEMENT",
        label=_("Roles follow the claims"),
        help=_("A role claim without a matching role refuses the sign-in; without the claim the role stays."),
    )
    roles_claim: str = setting(
        "roles", env="OAUTH_ROLES_CLAIM", label=_("Claim of the roles"), help=_("A path with dots leads inside.")
    )
    allowed_roles: str = setting(
        "user,admin",
        env="OAUTH_ALLOWED_ROLES",
        label=_("Roles that may come in"),
        help=_("Between OAUTH_ROLES_SEPARATOR; * is any."),
    )
    admin_roles: str = setting("admin", env="OAUTH_ADMIN_ROLES", label=_("Roles of administrators"))
    roles_separator: str = setting(",", env="OAUTH_ROLES_SEPARATOR", stored=False, label=_("Between roles"))
    role_pending_first: bool = setting(
        False,
        env="OAUTH_ROLE_PENDING_FIRST",
        label=_("People wait for approval first"),
        help=_("A claim that says user does not approve an account that waits; one that says administrator does."),
    )
    # --------------------------------------------------------------------------------------------------------- groups
    enable_group_management: bool = setting(
        False, env="ENABLE_OAUTH_GROUP_MANAGEMENT", label=_("Groups follow the claims")
    )
    enable_group_creation: bool = setting(
        False, env="ENABLE_OAUTH_GROUP_CREATION", label=_("Groups nobody has are made")
    )
    groups_claim: str = setting(
        "groups",
        env="OAUTH_GROUPS_CLAIM",
        aliases=("OAUTH_GROUP_CLAIM",),
        label=_("Claim of the groups"),
        help=_("A path with dots leads inside."),
    )
    groups_separator: str = setting(
        ";", env="OAUTH_GROUPS_SEPARATOR", stored=False, label=_("Between groups in a claim that is one text")
    )
    empty_groups_remove: bool = setting(
        True,
        env="OAUTH_EMPTY_GROUPS_REMOVE",
        label=_("A claim that is empty takes people out of their groups"),
        help=_("Off: it counts like one that is absent, which never removes anybody."),
    )
    blocked_groups: str = setting(
        "[]",
        env="OAUTH_BLOCKED_GROUPS",
        label=_("Groups that claims leave alone"),
        help=_("JSON list or comma list: names, regular expressions, or * and ?."),
    )
    group_default_share: str = setting(
        "true",
        env="OAUTH_GROUP_DEFAULT_SHARE",
        label=_("Groups made by a sign-in may be shared with"),
        help=_("true: by everybody, members: by who is in them, false: by nobody."),
    )
    # ------------------------------------------------------------------------------------------------------- protocol
    code_challenge_method: str = setting(
        "", env="OAUTH_CODE_CHALLENGE_METHOD", label=_("PKCE"), help=_("S256 is always used; nothing else is known.")
    )
    token_endpoint_auth_method: str = setting(
        "",
        env="OAUTH_TOKEN_ENDPOINT_AUTH_METHOD",
        label=_("How we prove who we are at the token endpoint"),
        help=_("client_secret_basic, client_secret_post or none; empty: what the provider offers."),
    )
    audience: str = setting("", env="OAUTH_AUDIENCE", label=_("Audience"), help=_("Sent as `audience`."))
    authorize_params: dict[str, Any] = setting(
        {}, env="OAUTH_AUTHORIZE_PARAMS", stored=False, label=_("Further parameters of the sign-in, as JSON")
    )
    timeout: float | None = setting(
        None, env="OAUTH_TIMEOUT", aliases=("OAUTH_CLIENT_TIMEOUT",), minimum=0.1, maximum=120,
        label=_("Seconds we wait for a provider"),
        help=_("10 when empty."),
    )  # fmt: skip
    access_token_request_include_client_id: bool = setting(
        False,
        env="OAUTH_ACCESS_TOKEN_REQUEST_INCLUDE_CLIENT_ID",
        label=_("The client id also stands in the body of token requests"),
    )
    refresh_token_include_scope: bool = setting(
        False, env="OAUTH_REFRESH_TOKEN_INCLUDE_SCOPE", label=_("The scope is sent again when tokens are renewed")
    )
    # ------------------------------------------------------------------------------------------------------- sessions
    enable_id_token_cookie: bool = setting(
        True,
        env="ENABLE_OAUTH_ID_TOKEN_COOKIE",
        stored=False,
        label=_("The ID token also stands in a cookie"),
        help=_("For older clients. Left out when it is too long for one."),
    )
    max_sessions_per_user: int = setting(
        10,
        env="OAUTH_MAX_SESSIONS_PER_USER",
        stored=False,
        minimum=1,
        label=_("Provider sessions kept for one person and provider"),
    )
    # -------------------------------------------------------------------------------------- exchange and being told
    enable_token_exchange: bool = setting(
        False, env="ENABLE_OAUTH_TOKEN_EXCHANGE", stored=False, label=_("Programs may exchange a provider's token")
    )
    token_exchange_trusted_client_ids: str = setting(
        "",
        env="OAUTH_TOKEN_EXCHANGE_TRUSTED_CLIENT_IDS",
        stored=False,
        label=_("Clients whose tokens may be exchanged"),
        help=_("Comma list, besides our own client."),
    )
    token_exchange_rate_limit: int | None = setting(
        None,
        env="OAUTH_TOKEN_EXCHANGE_RATE_LIMIT",
        stored=False,
        minimum=1,
        label=_("Exchanges an address may try in the window"),
        help=_("30 when empty."),
    )
    token_exchange_rate_limit_window: int = setting(
        180, env="OAUTH_TOKEN_EXCHANGE_RATE_LIMIT_WINDOW", stored=False, minimum=1, label=_("The window in seconds")
    )
    enable_backchannel_logout: bool = setting(
        False,
        env="ENABLE_OAUTH_BACKCHANNEL_LOGOUT",
        stored=False,
        label=_("Providers may tell us that a person was signed out"),
    )
    backchannel_logout_suspends_keys: bool = setting(
        True,
        env="OAUTH_BACKCHANNEL_LOGOUT_SUSPENDS_API_KEYS",
        stored=False,
        label=_("Then the person's API keys rest, too"),
        help=_("Until the person signs in again. Off: only sessions end."),
    )


class OidcConfig(Section, prefix="oauth.oidc", label=_("Sign-in provider: OpenID Connect")):
    """The generic provider."""

    client_id: str = setting("", env="OAUTH_CLIENT_ID", label=_("Client id"))
    client_secret: str = setting(
        "", env="OAUTH_CLIENT_SECRET", secret=True, belongs_to="provider_url", label=_("Client secret")
    )
    provider_url: str = setting(
        "",
        env="OPENID_PROVIDER_URL",
        label=_("Discovery address"),
        help=_("…/.well-known/openid-configuration. Presets use it for signing out."),
    )
    redirect_uri: str = setting(
        "", env="OPENID_REDIRECT_URI", label=_("Callback address"), help=_("Empty: WEBUI_URL/oauth/oidc/callback.")
    )
    end_session_endpoint: str = setting(
        "", env="OPENID_END_SESSION_ENDPOINT", label=_("Sign-out address"), help=_("Empty: the provider's own.")
    )
    scopes: str = setting("openid email profile", env="OAUTH_SCOPES", label=_("Scopes"))


class GoogleConfig(Section, prefix="oauth.google", label=_("Sign-in provider: Google")):
    client_id: str = setting("", env="GOOGLE_CLIENT_ID", label=_("Client id"))
    client_secret: str = setting("", env="GOOGLE_CLIENT_SECRET", secret=True, label=_("Client secret"))
    scope: str = setting("openid email profile", env="GOOGLE_OAUTH_SCOPE", label=_("Scopes"))
    redirect_uri: str = setting("", env="GOOGLE_REDIRECT_URI", label=_("Callback address"))
    authorize_params: dict[str, Any] = setting(
        {}, env="GOOGLE_OAUTH_AUTHORIZE_PARAMS", stored=False, label=_("Further parameters, as JSON")
    )


class MicrosoftConfig(Section, prefix="oauth.microsoft", label=_("Sign-in provider: Microsoft")):
    client_id: str = setting("", env="MICROSOFT_CLIENT_ID", label=_("Client id"))
    client_secret: str = setting(
        "", env="MICROSOFT_CLIENT_SECRET", secret=True, belongs_to="login_base_url", label=_("Client secret")
    )
    tenant_id: str = setting("", env="MICROSOFT_CLIENT_TENANT_ID", label=_("Tenant"), help=_("Needed."))
    scope: str = setting("openid email profile", env="MICROSOFT_OAUTH_SCOPE", label=_("Scopes"))
    redirect_uri: str = setting("", env="MICROSOFT_REDIRECT_URI", label=_("Callback address"))
    login_base_url: str = setting(
        "https://login.microsoftonline.com", env="MICROSOFT_CLIENT_LOGIN_BASE_URL", label=_("Address of the sign-in")
    )
    picture_url: str = setting(
        "https://graph.microsoft.com/v1.0/me/photo/$value",
        env="MICROSOFT_CLIENT_PICTURE_URL",
        label=_("Address of the person's picture"),
    )


class GithubConfig(Section, prefix="oauth.github", label=_("Sign-in provider: GitHub")):
    client_id: str = setting("", env="GITHUB_CLIENT_ID", label=_("Client id"))
    client_secret: str = setting("", env="GITHUB_CLIENT_SECRET", secret=True, label=_("Client secret"))
    scope: str = setting("user:email", env="GITHUB_CLIENT_SCOPE", label=_("Scopes"))
    redirect_uri: str = setting("", env="GITHUB_CLIENT_REDIRECT_URI", label=_("Callback address"))


class FeishuConfig(Section, prefix="oauth.feishu", label=_("Sign-in provider: Feishu")):
    client_id: str = setting("", env="FEISHU_CLIENT_ID", label=_("Client id"))
    client_secret: str = setting("", env="FEISHU_CLIENT_SECRET", secret=True, label=_("Client secret"))
    scope: str = setting("contact:user.base:readonly", env="FEISHU_OAUTH_SCOPE", label=_("Scopes"))
    redirect_uri: str = setting("", env="FEISHU_REDIRECT_URI", label=_("Callback address"))
