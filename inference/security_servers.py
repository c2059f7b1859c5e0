"""Security checks of terminals and tool servers: keys, addresses, grants, and limits nobody sees from here."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography.fernet import InvalidToken
from django.utils.translation import gettext_lazy as _

from inference.models import ServerConnection, TerminalServer, ToolServer
from inference.tool_servers import PURPOSE, options_of
from owui.lib import crypto
from owui.security.addresses import Reach, reach, shown
from owui.security.registry import Finding, check, fail, not_applicable, ok, once, unknown, warn
from rbac.grants import grants_of

SHORTEST_KEY = 16
# More would be an odd installation; the page must come all the same.
_MOST = 200
_NAME = "TERMINAL_SERVER_CONNECTIONS"


@once
def _terminals() -> list[TerminalServer]:
    return list(TerminalServer.objects.filter(is_enabled=True)[:_MOST])


@once
def _tool_servers() -> list[ToolServer]:
    return list(ToolServer.objects.filter(is_enabled=True)[:_MOST])


def _no_terminal() -> Finding:
    return not_applicable(_("No terminal is connected."))


def _listed(rows: Iterable[ServerConnection]) -> str:
    return ", ".join(f"{row.name} ({shown(row.url)})" for row in rows)


def _at(rows: Iterable[ServerConnection], where: Reach) -> list[ServerConnection]:
    return [row for row in rows if reach(row.url) is where]


@check(
    "6.7.a",
    _("Terminals ask for a key"),
    repair=_("Set the same long key for the terminal server (OPEN_TERMINAL_API_KEY) and in its connection."),
    names=(_NAME,),
)
def terminal_keys() -> Finding:
    if not (rows := _terminals()):
        return _no_terminal()
    try:
        keys = {row.pk: str(options_of(row).get("key") or "") for row in rows}
    except crypto.KeyChangedError as error:
        return unknown(str(error))
    if lacking := [row for row in rows if len(keys[row.pk]) < SHORTEST_KEY]:
        return fail(
            _("Without a key of %(least)d characters or more: %(servers)s.")
            % {"least": SHORTEST_KEY, "servers": _listed(lacking)}
        )
    return ok(_("%(count)d terminals, each with a key.") % {"count": len(rows)})


@check(
    "6.7.b",
    _("Terminals are in the internal network"),
    repair=_("Move the terminal server into the private network and do not publish its port."),
    names=(_NAME,),
)
def terminal_addresses() -> Finding:
    if not (rows := _terminals()):
        return _no_terminal()
    return _addresses(rows)


def _addresses(rows: list[TerminalServer] | list[ToolServer]) -> Finding:
    if public := _at(rows, Reach.PUBLIC):
        return fail(_("On a public address: %(servers)s.") % {"servers": _listed(public)})
    if unclear := _at(rows, Reach.UNCERTAIN):
        return warn(_("Only your DNS can tell where these are: %(servers)s.") % {"servers": _listed(unclear)})
    return ok(_("On this machine or in a private network: %(servers)s.") % {"servers": _listed(rows)})


@check(
    "6.7.c",
    _("Terminals are granted to groups"),
    repair=_("Grant the terminal to the groups that need it; never to everyone."),
    names=(_NAME,),
)
def terminal_grants() -> Finding:
    if not (rows := _terminals()):
        return _no_terminal()
    grants = grants_of(rows)
    if open_to_all := [row for row in rows if any(grant.principal_id == "*" for grant in grants[row.pk])]:
        return fail(_("Open to everyone: %(servers)s.") % {"servers": _listed(open_to_all)})
    if alone := [row for row in rows if not any(grant.principal_type == "group" for grant in grants[row.pk])]:
        return warn(
            _("Without a grant to a group, so for administrators or single people only: %(servers)s.")
            % {"servers": _listed(alone)}
        )
    return ok(_("Every terminal is granted to groups: %(servers)s.") % {"servers": _listed(rows)})


@check(
    "6.7.d",
    _("Terminals have limits"),
    repair=_("Limit memory, processors and sessions, keep homes on a volume, mount no container socket; declare it."),
    names=(_NAME, "OPEN_TERMINAL_MAX_SESSIONS"),
    declarable=True,
)
def terminal_limits() -> Finding:
    if not _terminals():
        return _no_terminal()
    return unknown(_("Limits of the terminal server's container cannot be seen from here."))


@check(
    "6.11.f",
    _("Tool servers are in the house"),
    repair=_("Disconnect the tool server, or run it in your own network: it is told what people ask."),
    names=("TOOL_SERVER_CONNECTIONS",),
    beyond=True,
)
def tool_server_addresses() -> Finding:
    if not (rows := _tool_servers()):
        return not_applicable(_("No tool server is connected."))
    return _addresses(rows)


@check(
    "6.12.e",
    _("Keys of terminals and tool servers open with the present key"),
    repair=_("Set the former key again as a fallback, or enter the keys of these connections anew."),
    names=("WEBUI_SECRET_KEY",),
    beyond=True,
)
def sealed_connections() -> Finding:
    rows = [row for row in (*_terminals(), *_tool_servers()) if row.sealed]
    if not rows:
        return not_applicable(_("No terminal or tool server is connected."))
    if lost := [row for row in rows if not _opens(row)]:
        return warn(_("Under a former key or none: %(servers)s.") % {"servers": _listed(lost)})
    return ok(_("The keys of %(count)d connections open with the present key.") % {"count": len(rows)})


def _opens(row: ServerConnection) -> bool:
    try:
        crypto.decrypt_with_present_key(row.sealed, PURPOSE)
    except InvalidToken:
        return False
    return True
