"""Tool and terminal connections: the field's JSON entries to rows and back. Keys are encrypted, and written only.

An entry is one object of TOOL_SERVER_CONNECTIONS or TERMINAL_SERVER_CONNECTIONS; `config.access_grants` are grants of
its row. Who reads an entry back gets `MASK` in the place of each secret, and may send it again to keep what is stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.db import connection, transaction
from django.utils.translation import gettext as _

from inference.config import TerminalServerConfig, ToolServerConfig
from inference.models import ServerConnection, TerminalServer, ToolServer
from inference.probe import spec_address
from owui.audit.record import record
from owui.config import store
from owui.lib import crypto
from owui.lib.errors import UserError
from owui.lib.masks import has_mask, has_userinfo, masked, same_place, unmasked
from rbac.grants import READ, Grant, grants_of, parse_access_control, parse_grants
from rbac.history import acting
from rbac.services import announce, set_grants
from rbac.sharing import Person

EVERYONE_READS = [Grant("user", "*", READ)]
#: what the keys of connections are encrypted for
PURPOSE = "server-connection"
_LOCK = 0x6F777574
_AUTH = ("none", "bearer", "session", "system_oauth", "oauth_2.1", "oauth_2.1_static")
_MIRRORED = ("url", "id", "name", "enabled", "type")


@dataclass(frozen=True, slots=True)
class Entry:
    """One connection as somebody asked for it; `grants` None leaves the access as it is."""

    server_id: str
    name: str
    description: str
    url: str
    is_enabled: bool
    kind: str
    options: dict[str, Any]
    grants: tuple[Grant, ...] | None


# ------------------------------------------------------------------------------------------------------------- reading
def options_of(row: ServerConnection) -> dict[str, Any]:
    """Everything of an entry that has no column, secrets in clear: for those who call the server.

    :raises crypto.KeyChangedError: stored under another WEBUI_SECRET_KEY
    """
    return dict(json.loads(crypto.decrypt(row.sealed, purpose=PURPOSE))) if row.sealed else {}


def needs_sign_in(row: ToolServer) -> bool:
    """Whether each person must first sign in at the server itself."""
    try:
        return str(options_of(row).get("auth_type", "")).startswith("oauth_2.1")
    except crypto.KeyChangedError:
        return False


def entry_json(row: ServerConnection, grants: Iterable[Grant]) -> dict[str, Any]:
    """The field's entry, for administrators: whole, but with masked secrets."""
    try:
        options = masked(options_of(row))
    except crypto.KeyChangedError:
        options = {"error": _("The key of this connection was stored under another secret key. Enter it again.")}
    access = {"access_grants": [grant.as_json() for grant in grants]}
    if isinstance(row, ToolServer):
        info = {"id": row.server_id, "name": row.name, "description": row.description}
        options["info"] = {**_dict(options.get("info")), **info}
        options["config"] = {**_dict(options.get("config")), "enable": row.is_enabled, **access}
        return {"type": row.kind, "url": row.url, **options}
    options["config"] = {**_dict(options.get("config")), **access}
    return {"id": row.server_id, "url": row.url, "name": row.name, "enabled": row.is_enabled, **options}


def entries_json(model: type[ServerConnection]) -> list[dict[str, Any]]:
    """All connections of a kind in their order, in three statements."""
    rows = list(model._default_manager.all())
    grants = grants_of(rows)
    return [entry_json(row, grants[row.pk]) for row in rows]


def _dict(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


# ------------------------------------------------------------------------------------------------------------- parsing
def parse_entries(model: type[ServerConnection], items: Sequence[Any]) -> list[Entry]:
    """Entries of a list; every problem of all of them in one refusal (400)."""
    found: list[Entry] = []
    problems: list[str] = []
    taken: set[str] = set()
    stored = {row.server_id: row for row in model._default_manager.all()}
    for place, item in enumerate(items, start=1):
        try:
            entry = _parse(model, item, taken, stored)
        except (ValueError, UserError) as error:
            problems.append(_("Entry %(place)d: %(problem)s") % {"place": place, "problem": error})
        else:
            taken.add(entry.server_id)
            found.append(entry)
    if problems:
        raise UserError(" ".join(problems), code="connection")
    return found


def _parse(model: type[ServerConnection], item: Any, taken: set[str], stored: Mapping[str, ServerConnection]) -> Entry:
    if not isinstance(item, Mapping):
        raise ValueError(_("it is no JSON object."))
    url = str(item.get("url") or "").strip().rstrip("/")
    _check_url(url)
    is_tool = model is ToolServer
    info, config = _dict(item.get("info")), _dict(item.get("config"))
    given = str((info if is_tool else item).get("id") or "").strip()
    if len(given) > 255 or given in taken:
        raise ValueError(_("its id %(id)s is too long or used twice.") % {"id": given[:60]})
    kind = str(item.get("type") or "openapi") if is_tool else ""
    auth = item.get("auth_type") or "bearer"
    if is_tool and kind not in ("openapi", "mcp"):
        raise ValueError(_("its type must be openapi or mcp."))
    if auth not in _AUTH:
        raise ValueError(_("its auth_type must be one of %(types)s.") % {"types": ", ".join(_AUTH)})
    server_id = given or _derived_id(url, taken)
    options = {key: value for key, value in item.items() if key not in _MIRRORED and value is not None}
    if config:
        options["config"] = {k: v for k, v in config.items() if k not in ("access_grants", "access_control", "enable")}
    options["auth_type"] = auth
    if "headers" in options:
        options["headers"] = _headers(options["headers"])
    _check_path(url, options)
    # A key belongs to the place it was entered for: a mask must not carry it to another server.
    former = stored.get(server_id)
    known = options_of(former) if former is not None and same_place(former.url, url) and has_mask(options) else {}
    try:
        options = unmasked(options, known)
    except KeyError:
        raise ValueError(_("its key is not stored for this address. Enter it again.")) from None
    name = str((info if is_tool else item).get("name") or "").strip() or _default_name(model, url)
    return Entry(
        server_id=server_id,
        name=name[:255],
        description=str((info.get("description") if info else item.get("description")) or ""),
        url=url,
        is_enabled=bool((config.get("enable", True)) if is_tool else item.get("enabled", True)),
        kind=kind,
        options=options,
        grants=_grants(config),
    )


def _headers(value: Any) -> dict[str, str]:
    """An object, or the text of one as older clients send it."""
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except ValueError:
            value = None
    if not isinstance(value, Mapping) or not all(isinstance(entry, str) for entry in value.values()):
        raise ValueError(_("its headers must be a JSON object of texts."))
    return {str(name): entry for name, entry in value.items()}


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_web = False
    if not is_web or len(url) > 2000:
        raise ValueError(_("it needs an address that begins with http:// or https://."))
    if has_userinfo(url):
        raise ValueError(_("its address holds a name or password. Enter them as its key or its headers."))


def _check_path(url: str, options: Mapping[str, Any]) -> None:
    """The description lies on the server itself: it is fetched with the server's key."""
    target = spec_address(url, options)
    if not same_place(target, url) or has_userinfo(target):
        raise ValueError(_("its path leads to another server. Give the path below its address."))


def _derived_id(url: str, taken: set[str]) -> str:
    """The same for the same address at every start, so that grants stay with their connection."""
    base = hashlib.sha256(url.encode()).hexdigest()[:12]
    number, candidate = 1, base
    while candidate in taken:
        number += 1
        candidate = f"{base}-{number}"
    return candidate


def _default_name(model: type[ServerConnection], url: str) -> str:
    return "Open Terminal" if model is TerminalServer else (urlsplit(url).hostname or url)


def _grants(config: Mapping[str, Any]) -> tuple[Grant, ...] | None:
    """The access an entry asks for, new form or legacy; None when it says nothing."""
    if isinstance(config.get("access_grants"), list):
        return tuple(parse_grants(config["access_grants"]))
    if "access_control" in config and (config["access_control"] is None or isinstance(config["access_control"], dict)):
        return tuple(parse_access_control(config["access_control"]))
    return None


# ------------------------------------------------------------------------------------------------------------- writing
@transaction.atomic
def replace_connections(
    model: type[ServerConnection], items: Sequence[Any], *, by: Person | None, keep_access: bool = False
) -> None:
    """Makes the connections of a kind equal to the list; all or nothing, and 400 with every problem.

    :param by: an administrator; None is the environment at start
    :param keep_access: entries that say nothing about access keep what they have; otherwise they become private
    """
    _lock()
    acting(by)
    entries = parse_entries(model, items)
    keep = {entry.server_id for entry in entries}
    for row in model._default_manager.exclude(server_id__in=keep):
        delete_connection(row, by=by)
    rows = {row.server_id: row for row in model._default_manager.filter(server_id__in=keep)}
    for position, entry in enumerate(entries):
        save_connection(model, entry, by=by, row=rows.get(entry.server_id), position=position, keep_access=keep_access)
    _mark(model, by)


@transaction.atomic
def save_connection(
    model: type[ServerConnection],
    entry: Entry,
    *,
    by: Person | None,
    row: ServerConnection | None = None,
    position: int | None = None,
    keep_access: bool = False,
) -> ServerConnection:
    """Writes one connection, new or known by `row`, with its grants."""
    acting(by)
    is_new = row is None
    row = row or model(server_id=entry.server_id)
    wanted: dict[str, Any] = {
        "name": entry.name,
        "description": entry.description,
        "url": entry.url,
        "is_enabled": entry.is_enabled,
        "position": row.position if position is None else position,
    }
    if model is ToolServer:
        wanted["kind"] = entry.kind
    changed = [name for name, value in wanted.items() if is_new or getattr(row, name) != value]
    for name in changed:
        setattr(row, name, wanted[name])
    if is_new or _stored_options(row) != entry.options:
        row.sealed = crypto.encrypt(json.dumps(entry.options), purpose=PURPOSE)
        changed.append("options")
    if changed:
        row.save()
        _note("created" if is_new else "updated", row, by, {"changed": sorted(changed), "url": row.url})
        if not is_new:
            announce(row.resource_type, str(row.pk))
    if entry.grants is not None or not (keep_access or is_new):
        set_grants(row, entry.grants or (), by=by or _SYSTEM)
    return row


def _stored_options(row: ServerConnection) -> dict[str, Any] | None:
    try:
        return options_of(row)
    except crypto.KeyChangedError:
        return None


@transaction.atomic
def delete_connection(row: ServerConnection, *, by: Person | None) -> None:
    """Removes a connection and the grants to it."""
    acting(by)
    _note("deleted", row, by, {"url": row.url})
    announce(row.resource_type, str(row.pk))
    row.delete()


def _note(verb: str, row: ServerConnection, by: Person | None, detail: dict[str, Any]) -> None:
    kind = row.resource_type
    record(f"{kind}.{verb}", by=by, object_type=kind, object_id=str(row.pk), object_label=row.name, detail=detail)


@dataclass
class _System:
    """The environment acts with the rights of an administrator and is nobody."""

    id: Any = None
    email: str = ""
    name: str = "environment"
    role: str = "admin"
    is_active: bool = True


_SYSTEM = _System()


def _lock() -> None:
    """One change of the lists at a time: two that cannot see each other would make one connection twice."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


# --------------------------------------------------------------------------------------------------------- environment
def _section(model: type[ServerConnection]) -> type[ToolServerConfig] | type[TerminalServerConfig]:
    return ToolServerConfig if model is ToolServer else TerminalServerConfig


def _mark(model: type[ServerConnection], by: Person | None) -> None:
    """From now on the rows rule, and not the environment."""
    section = _section(model)
    if store.persistent(section.settings["is_taken"]) and not section.load().is_taken:
        section.save(by=by, is_taken=True)


@transaction.atomic
def take_over(model: type[ServerConnection]) -> bool:
    """Makes rows of what the environment lists: once, or at each start when the environment rules.

    Whatever number of processes does so at once; an unusable list changes nothing and is raised.
    """
    section = _section(model)
    listed = section.load().connections
    if not listed:
        return False
    _lock()
    if store.persistent(section.settings["is_taken"]) and section.load().is_taken:
        return False
    is_open = model is TerminalServer and TerminalServerConfig.load().default_access.strip().lower() == "all"
    items = [_opened(item) if is_open else item for item in listed]
    replace_connections(model, items, by=None, keep_access=True)
    return True


def _opened(item: Any) -> Any:
    """An entry that says nothing about access, open to everyone (TERMINAL_DEFAULT_ACCESS=all)."""
    if not isinstance(item, Mapping) or item.get("config"):
        return item
    return {**item, "config": {"access_grants": [grant.as_json() for grant in EVERYONE_READS]}}
