"""Stored settings of this app."""

from django.utils.translation import gettext_lazy as _

from owui.config.registry import Section, setting


class SignInConfig(Section, prefix="auth"):
    """Who may come in by form, and as what."""

    enable_signup: bool = setting(
        True,
        env="ENABLE_SIGNUP",
        label=_("Sign-up is open"),
        help=_("Off: only administrators add people."),
        stored=True,
    )
    enable_login_form: bool = setting(
        True,
        env="ENABLE_LOGIN_FORM",
        label=_("Show the sign-in form"),
        help=_("Off: only sign-in providers are shown."),
        stored=True,
    )
    default_user_role: str = setting(
        "pending",
        env="DEFAULT_USER_ROLE",
        label=_("Role of new accounts"),
        help=_("pending, user or admin"),
        stored=True,
    )
    default_group_id: str = setting(
        "",
        env="DEFAULT_GROUP_ID",
        label=_("Group of new accounts"),
        help=_("Id of a group; empty for none."),
        stored=True,
    )
    jwt_expires_in: str = setting(
        "4w",
        env="JWT_EXPIRES_IN",
        label=_("Length of a session"),
        help=_("Such as 8h or 4w; -1 never ends."),
        stored=True,
    )


class ApiKeyConfig(Section, prefix="auth_api_key"):
    """Keys for programs."""

    enable: bool = setting(
        False,
        env="ENABLE_API_KEYS",
        aliases=("ENABLE_API_KEY",),
        label=_("API keys are allowed"),
        help=_("Off: existing keys are refused too."),
        stored=True,
    )
    endpoint_restrictions: bool = setting(
        False,
        env="ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS",
        aliases=("ENABLE_API_KEY_ENDPOINT_RESTRICTIONS",),
        label=_("Limit what keys may call"),
        help=_("On: keys work only on the paths below."),
        stored=True,
    )
    allowed_endpoints: str = setting(
        "",
        env="API_KEYS_ALLOWED_ENDPOINTS",
        aliases=("API_KEY_ALLOWED_ENDPOINTS",),
        label=_("Paths open to keys"),
        help=_("Comma separated; a path covers everything below it."),
        stored=True,
    )
