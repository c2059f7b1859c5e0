"""The second factor."""

from typing import Literal

from django.utils.translation import gettext_lazy as _

from owui.config.registry import Section, setting


class MfaConfig(Section, prefix="auth_mfa", label=_("Second factor")):
    """Whether sign-in asks for a second proof."""

    enable: bool = setting(
        False,
        env="ENABLE_MFA",
        label=_("Second factor"),
        help=_("People may add an authenticator app or passkeys, and are asked for them. Off: nobody is asked."),
    )
    required: Literal["nobody", "administrators", "everybody"] = setting(
        "nobody",
        env="MFA_REQUIRED",
        label=_("Who must have one"),
        help=_("Whoever lacks one sets it up at the next sign-in."),
    )
    allow_oauth_bypass: bool = setting(
        False,
        env="MFA_ALLOW_OAUTH_BYPASS",
        label=_("Not after a sign-in provider"),
        help=_("On: who comes from a sign-in provider is not asked; the provider has its own second factor."),
    )
    allow_trusted_header_bypass: bool = setting(
        False,
        env="MFA_ALLOW_TRUSTED_HEADER_BYPASS",
        label=_("Not after a trusted proxy"),
        help=_("On: whom the proxy in front has signed in is not asked."),
    )
