"""6.11, the parts that belong to no app: what else may carry content away."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from owui.config.sections import UiConfig
from owui.security.addresses import Reach, host_of, reach
from owui.security.registry import Finding, check, not_applicable, ok, warn


@check(
    "6.11.c",
    _("People connect no servers of their own"),
    repair=_("Switch direct connections, direct tool servers and webhooks of people off."),
    names=("ENABLE_DIRECT_CONNECTIONS", "ENABLE_DIRECT_INTEGRATIONS", "ENABLE_USER_WEBHOOKS"),
    key="ui.enable_direct_connections",
    beyond=True,
)
def direct_connections() -> Finding:
    ui = UiConfig.load()
    switches = {
        "ENABLE_DIRECT_CONNECTIONS": ui.enable_direct_connections,
        "ENABLE_DIRECT_INTEGRATIONS": ui.enable_direct_integrations,
        "ENABLE_USER_WEBHOOKS": ui.enable_user_webhooks,
    }
    if on := [name for name, value in switches.items() if value]:
        return warn(_("Switched on: %(names)s.") % {"names": ", ".join(on)})
    return ok(_("Direct connections, direct tool servers and webhooks of people are off."))


@check(
    "6.11.d",
    _("The system webhook stays inside"),
    repair=_("Use a team chat in your own network, or leave the webhook empty."),
    names=("WEBHOOK_URL",),
    key="ui.webhook_url",
    beyond=True,
)
def webhook() -> Finding:
    url = UiConfig.load().webhook_url
    if not url:
        return not_applicable(_("No system webhook is set."))
    values = {"host": host_of(url) or "?"}
    if reach(url) in (Reach.PUBLIC, Reach.UNCERTAIN):
        return warn(_("Names of new people are sent to %(host)s.") % values)
    return ok(_("Notices go to %(host)s.") % values)
