"""Security checks of model servers: where they are, and whether they ask for a key."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

import inference.security_servers  # noqa: F401  (terminals and tool servers)
from inference.connections import Connection, load_setup
from owui.security.addresses import Reach, reach, shown
from owui.security.registry import Finding, check, fail, not_applicable, ok, once, warn

_connections = once(lambda: load_setup().connections())


def _hosts(connections: list[Connection]) -> str:
    return ", ".join(dict.fromkeys(shown(connection.info.base_url) for connection in connections))


def _at(*reaches: Reach) -> list[Connection]:
    return [connection for connection in _connections() if reach(connection.info.base_url) in reaches]


@check(
    "6.4.f",
    _("Model servers ask for a key"),
    repair=_("Start vLLM and the like with an API key, and enter it beside the address."),
    names=("OPENAI_API_KEY", "OPENAI_API_KEYS"),
    key="openai.api_keys",
)
def server_keys() -> Finding:
    servers = [c for c in _connections() if c.kind == "openai"]
    if not servers:
        return not_applicable(_("No OpenAI-compatible server is connected."))
    # On this machine's loopback nobody else can ask.
    lacking = [c for c in servers if not _has_credential(c) and reach(c.info.base_url) is not Reach.LOCAL]
    if lacking:
        return fail(_("Used without a key: %(hosts)s.") % {"hosts": _hosts(lacking)})
    if bare := [c for c in servers if not _has_credential(c)]:
        return ok(_("Used without a key, on this machine only: %(hosts)s.") % {"hosts": _hosts(bare)})
    return ok(_("%(count)d servers, each with a key.") % {"count": len(servers)})


def _has_credential(connection: Connection) -> bool:
    headers = {str(name).lower() for name in connection.info.config.get("headers") or {}}
    return bool(connection.info.api_key or headers & {"authorization", "api-key", "x-api-key"})


@check(
    "6.11.a",
    _("All model servers are on private addresses"),
    repair=_("Remove the connection, or put a server of your own in its place."),
    names=("OPENAI_API_BASE_URLS", "OLLAMA_BASE_URLS"),
    key="openai.api_base_urls",
)
def private_servers() -> Finding:
    if not _connections():
        return not_applicable(_("No model server is connected."))
    if public := _at(Reach.PUBLIC):
        return fail(_("Questions and documents leave the house to %(hosts)s.") % {"hosts": _hosts(public)})
    if unclear := _at(Reach.UNCERTAIN):
        return warn(_("Only your DNS can tell where these are: %(hosts)s.") % {"hosts": _hosts(unclear)})
    return ok(_("%(hosts)s.") % {"hosts": _hosts(_connections())})


@check(
    "6.11.e",
    _("Model servers on other machines are reached over TLS"),
    repair=_("Use https:// addresses, or a network that encrypts by itself."),
    names=("OPENAI_API_BASE_URLS", "OLLAMA_BASE_URLS"),
    key="openai.api_base_urls",
    beyond=True,
)
def encrypted_servers() -> Finding:
    remote = _at(Reach.PRIVATE, Reach.UNCERTAIN, Reach.PUBLIC)
    if not remote:
        return not_applicable(_("No model server on another machine is connected."))
    if plain := [c for c in remote if not c.info.base_url.lower().startswith("https://")]:
        return warn(_("Without TLS: %(hosts)s.") % {"hosts": _hosts(plain)})
    return ok(_("All %(count)d are reached over TLS.") % {"count": len(remote)})
