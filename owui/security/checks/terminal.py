"""6.7 Terminal: connections to terminal servers, and the container socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.utils.translation import gettext_lazy as _

from owui import env
from owui.config import store
from owui.config.parsing import parse_json
from owui.config.registry import all_settings
from owui.security.addresses import Reach, reach, shown
from owui.security.registry import Finding, check, fail, not_applicable, ok, unknown, warn

_NAME = "TERMINAL_SERVER_CONNECTIONS"
_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock")


def terminals() -> list[dict[str, Any]]:
    """The connections in force: the stored setting where this release has one, else what the variable says."""
    for setting in all_settings():
        if _NAME in setting.names:
            value = store.value_of(setting)
            break
    else:
        try:
            value = parse_json(env.raw(_NAME) or "[]")
        except ValueError:
            value = []
    found = [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
    return [entry for entry in found if entry.get("url") and (entry.get("config") or {}).get("enable") is not False]


def _none() -> Finding:
    return not_applicable(_("No terminal server is connected."))


def _hosts(entries: list[dict[str, Any]]) -> str:
    return ", ".join(shown(str(entry["url"])) for entry in entries)


@check(
    "6.7.a",
    _("Terminal servers ask for a key"),
    repair=_("Set the same long key for the terminal server (OPEN_TERMINAL_API_KEY) and in its connection."),
    names=(_NAME,),
)
def terminal_keys() -> Finding:
    if not (entries := terminals()):
        return _none()
    if lacking := [entry for entry in entries if len(str(entry.get("key") or "")) < 16]:
        return fail(_("Without a key of 16 characters or more: %(hosts)s.") % {"hosts": _hosts(lacking)})
    return ok(_("%(count)d terminal servers, each with a key.") % {"count": len(entries)})


@check(
    "6.7.b",
    _("Terminal servers are in the internal network"),
    repair=_("Move the terminal server into the private network and do not publish its port."),
    names=(_NAME,),
)
def terminal_addresses() -> Finding:
    if not (entries := terminals()):
        return _none()
    if public := [entry for entry in entries if reach(str(entry["url"])) is Reach.PUBLIC]:
        return fail(_("On a public address: %(hosts)s.") % {"hosts": _hosts(public)})
    if unclear := [entry for entry in entries if reach(str(entry["url"])) is Reach.UNCERTAIN]:
        return warn(_("Only your DNS can tell where these are: %(hosts)s.") % {"hosts": _hosts(unclear)})
    return ok(_("%(hosts)s.") % {"hosts": _hosts(entries)})


@check(
    "6.7.c",
    _("Terminals are granted to groups"),
    repair=_("Grant the connection to the groups that need it; never to everyone."),
    names=(_NAME,),
)
def terminal_grants() -> Finding:
    if not (entries := terminals()):
        return _none()
    grants = {_hosts([entry]): _grants(entry) for entry in entries}
    open_to_all = [host for host, found in grants.items() if any(g.get("principal_id") == "*" for g in found)]
    if open_to_all:
        return fail(_("Open to everyone: %(hosts)s.") % {"hosts": ", ".join(open_to_all)})
    alone = [host for host, found in grants.items() if not any(g.get("principal_type") == "group" for g in found)]
    if alone:
        return warn(
            _("Without a grant to a group, so for administrators or single people only: %(hosts)s.")
            % {"hosts": ", ".join(alone)}
        )
    return ok(_("Every terminal server is granted to groups."))


def _grants(entry: dict[str, Any]) -> list[dict[str, Any]]:
    found = (entry.get("config") or {}).get("access_grants") or entry.get("access_grants") or []
    return [grant for grant in found if isinstance(grant, dict)]


@check(
    "6.7.d",
    _("Terminal servers have limits"),
    repair=_("Limit memory, processors and sessions, keep homes on a volume, mount no container socket; declare it."),
    names=(_NAME, "OPEN_TERMINAL_MAX_SESSIONS"),
    declarable=True,
)
def terminal_limits() -> Finding:
    if not terminals():
        return _none()
    return unknown(_("Limits of the terminal server's container cannot be seen from here."))


@check(
    "6.7.e",
    _("The container socket is out of reach"),
    repair=_("Mount no container socket: whoever holds it rules the host."),
)
def container_socket() -> Finding:
    if found := [path for path in _SOCKETS if Path(path).exists()]:
        return fail(_("This process can see %(paths)s.") % {"paths": ", ".join(found)})
    return ok(_("This process sees no container socket."))
