"""The provisioning interface (SCIM)."""

from django.utils.translation import gettext_lazy as _

from owui.config.registry import Section, setting


class ScimConfig(Section, prefix="scim", label=_("Provisioning (SCIM)")):
    """The provisioning interface (SCIM). Environment only: whoever holds the token may make and end accounts."""

    enable: bool = setting(
        False,
        env="ENABLE_SCIM",
        aliases=("SCIM_ENABLED",),
        label=_("Provisioning by SCIM"),
        help=_("Off: every call is refused."),
        stored=False,
    )
    token: str = setting(
        "",
        env="SCIM_TOKEN",
        label=_("Token of the provisioning client"),
        help=_("Long and random. Empty: every call is refused."),
        stored=False,
        secret=True,
    )
    auth_provider: str = setting(
        "",
        env="SCIM_AUTH_PROVIDER",
        label=_("Sign-in provider whose ids are sent as externalId"),
        help=_("Such as oidc: whoever signs in there with that id gets the account that SCIM made."),
        stored=False,
    )
    adopt_accounts: bool = setting(
        False,
        env="SCIM_ADOPT_ACCOUNTS",
        label=_("Take over accounts of the same e-mail address"),
        help=_("Off: an account that SCIM did not make stays out of its reach, and creating it again is refused."),
        stored=False,
    )
