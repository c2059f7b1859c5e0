"""Keys for programs."""

from django.utils.translation import gettext_lazy as _

from owui.config.registry import Section, setting


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
