"""The database as a file that `apply` reads: applying it where it came from changes nothing."""

from __future__ import annotations

import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import yaml
from django.db import transaction
from django.utils import timezone

from inference.models import AIModel
from knowledge.models import KnowledgeBase
from owui.config import store
from owui.config.registry import all_settings
from owui.provision import world
from owui.provision.kinds.access import EVERYONE
from owui.provision.kinds.connections import PLAIN, Server, servers
from owui.provision.kinds.groups import share_word
from owui.provision.kinds.models import ATTACHED, attached
from owui.provision.kinds.settings import ELSEWHERE
from owui.provision.shape import ConnectionEntry
from owui.provision.world import GrantKey, GrantRow, World
from rbac.ends import END_OF_DAY
from rbac.grants import READ, WRITE
from rbac.models import Group
from rbac.permissions import PERMISSIONS, default_permissions, is_true

HEAD = """\
# Written by `manage.py export`. Secrets are not in it: each stands as the name of a variable, and as long as that
# variable is not set, `manage.py apply` keeps what is stored. Passwords are never exported.
"""
Grants = Mapping[uuid.UUID, Mapping[GrantKey, GrantRow]]


class _Dumper(yaml.SafeDumper):
    """Plain YAML without aliases: two equal lists are two lists."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def as_yaml() -> str:
    """The whole file."""
    with transaction.atomic():
        data = as_data()
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return HEAD + text


def as_data() -> dict[str, Any]:
    """The file's values, sections in the order of the format; empty ones are left out."""
    now = world.load()
    data = {
        "version": 1,
        "settings": _settings(),
        "permissions": {key: is_true(default_permissions(), key) for key in PERMISSIONS},
        "groups": _groups(now),
        "users": [_user(user) for user in sorted(now.users.values(), key=lambda user: (user.created_at, user.email))],
        "connections": _connections(),
        "models": _models(now),
        "knowledge_bases": _bases(now),
        **{section: _servers(now, kind) for kind, (section, _table) in world.SERVERS.items()},
    }
    return {name: value for name, value in data.items() if value}


def _settings() -> dict[str, Any]:
    """What is stored; what only the environment or a default says belongs to the machine, not to the file."""
    found = {}
    for setting in all_settings():
        source = store.origin(setting)
        if setting.key in ELSEWHERE or source.locked or source.name not in ("stored", "live"):
            continue
        value = setting.plain(store.value_of(setting))
        if not setting.secret:
            found[setting.key] = value
        elif value:
            found[setting.key] = {"env": _variable(setting.key)}
    return found


def _variable(*parts: Any) -> str:
    """The name of a variable for a secret: nobody has set it, so the stored secret stays."""
    return "PROVISION_" + re.sub(r"[^A-Z0-9]+", "_", "_".join(map(str, parts)).upper())


def _groups(now: World) -> list[dict[str, Any]]:
    members, managers = _emails(now, now.members), _emails(now, now.managers)
    found = []
    for group in now.groups.values():
        entry: dict[str, Any] = {"name": group.name}
        if group.description:
            entry["description"] = group.description
        if group.parent_id:
            entry["parent"] = now.group_names[group.parent_id]
        entry["permissions"] = {key: True for key in PERMISSIONS if is_true(group.permissions, key)}
        entry |= _config(group)
        for name, emails in (("managers", managers[group.pk]), ("members", members[group.pk])):
            if emails:
                entry[name] = sorted(emails)
        found.append(entry)
    return found


def _config(group: Group) -> dict[str, Any]:
    config = (group.data or {}).get("config") or {}
    found: dict[str, Any] = {"share": share_word(config.get("share"))}
    if config.get("default_models"):
        found["default_models"] = list(config["default_models"])
    return found


def _emails(now: World, pairs: Iterable[world.Pair]) -> dict[uuid.UUID, list[str]]:
    found: dict[uuid.UUID, list[str]] = defaultdict(list)
    for group, user in pairs:
        found[group].append(now.emails[user])
    return found


def _user(user: Any) -> dict[str, Any]:
    entry = {"email": user.email} | ({"name": user.name} if user.name.strip() else {}) | {"role": user.role}
    return entry if user.is_active else entry | {"is_active": False}


def _connections() -> dict[str, Any]:
    found = {}
    for kind in ("openai", "ollama"):
        entries, seen = [], set()
        for index, server in enumerate(servers(kind)):
            if server.url and server.name not in seen:
                seen.add(server.name)
                entries.append(_connection(kind, index, server))
        if entries:
            found[kind] = entries
    return found


def _connection(kind: str, index: int, server: Server) -> dict[str, Any]:
    entry: dict[str, Any] = {"url": server.url}
    if server.key:
        entry["key_env"] = _variable(kind, index + 1, "key")
    defaults = ConnectionEntry(url=server.url)
    entry |= {n: server.options[n] for n in PLAIN if isinstance(server.options.get(n), type(getattr(defaults, n)))}
    if server.tags:
        entry["tags"] = server.tags
    headers = server.options.get("headers")
    if isinstance(headers, dict) and headers:
        entry["headers"] = {name: {"env": _variable(kind, index + 1, "header", name)} for name in headers}
    return entry


def _models(now: World) -> list[dict[str, Any]]:
    grants = world.grant_rows(AIModel)
    ids = {row.pk: row.model_id for row in now.models.values()}
    found = []
    for row in now.models.values():
        entry: dict[str, Any] = {"id": row.model_id, "name": row.name}
        if row.base_model_id:
            entry["base"] = ids[row.base_model_id]
        entry |= _owner(now, row)
        if row.params:
            entry["params"] = row.params
        if meta := {name: value for name, value in (row.meta or {}).items() if name != ATTACHED}:
            entry["meta"] = meta
        bases, _others = attached(row.meta or {}, now.bases)
        if bases:
            entry[ATTACHED] = _unmistakable(now, bases)
        entry["is_active"] = row.is_active
        found.append(entry | _access(now, row, grants))
    return found


def _unmistakable(now: World, bases: list[KnowledgeBase]) -> list[str]:
    """Names where they are enough, ids where two bases share one."""
    names = Counter(kb.name for kb in now.bases.values())
    return [kb.name if names[kb.name] == 1 else str(kb.pk) for kb in bases]


def _bases(now: World) -> list[dict[str, Any]]:
    grants = world.grant_rows(KnowledgeBase)
    names = Counter(kb.name for kb in now.bases.values())
    found = []
    for kb in now.bases.values():
        entry: dict[str, Any] = {"name": kb.name}
        owned = now.owned.get(("knowledge", kb.name))
        if names[kb.name] > 1 and (owned is None or owned.object_id != kb.pk):
            entry["id"] = str(kb.pk)
        if kb.description:
            entry["description"] = kb.description
        found.append(entry | _owner(now, kb) | _access(now, kb, grants))
    return found


def _servers(now: World, kind: str) -> list[dict[str, Any]]:
    grants = world.grant_rows(world.SERVERS[kind][1])
    return [{"id": row.server_id} | _access(now, row, grants) for row in now.servers[kind].values()]


def _owner(now: World, row: Any) -> dict[str, Any]:
    email = now.owner_email(row.owner_id)
    return {"owner": email} if email else {}


def _access(now: World, row: Any, grants: Grants) -> dict[str, Any]:
    """The access of an object; ended grants are not there any more."""
    found: dict[str, Any] = {}
    words = {access.value: word for word, access in EVERYONE.items()}
    if words.get(row.general_access, "none") != "none":
        found["everyone"] = words[row.general_access]
    rows = {key: r for key, r in grants.get(row.pk, {}).items() if r.until is None or r.until > timezone.now()}
    for kind in ("group", "user"):
        allowed: dict[str, list[Any]] = defaultdict(list)
        for key, grant in sorted(rows.items(), key=lambda item: (now.principal(kind, item[0][1]), item[0][2])):
            if key[0] == kind and not key[3] and not _is_covered(key, grant, rows):
                allowed[now.principal(kind, key[1])].append(_entry(key[2], grant.until))
        if allowed:
            found[f"{kind}s"] = {name: some[0] if len(some) == 1 else some for name, some in allowed.items()}
    denied = [
        {key[0]: now.principal(key[0], key[1]), "permission": key[2]} | _until(grant.until)
        for key, grant in rows.items()
        if key[3]
    ]
    if denied:
        found["deny"] = sorted(denied, key=str)
    return {"access": found} if found else {}


def _is_covered(key: GrantKey, grant: GrantRow, rows: Mapping[GrantKey, GrantRow]) -> bool:
    """A read grant beside a write grant that lasts as long says nothing more."""
    write = rows.get((key[0], key[1], WRITE, False)) if key[2] == READ else None
    if write is None:
        return False
    return write.until is None or (grant.until is not None and grant.until <= write.until)


def _entry(permission: str, until: datetime | None) -> Any:
    return {"permission": permission} | _until(until) if until else permission


def _until(until: datetime | None) -> dict[str, str]:
    if until is None:
        return {}
    until = until.astimezone(UTC)
    is_day = until.time().replace(microsecond=0) == END_OF_DAY
    return {"until": until.date().isoformat() if is_day else until.replace(microsecond=0).isoformat()}
