"""Model servers: an address with its key and options each. Stored as settings, where the field has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inference.config import OllamaConfig, OpenAIConfig
from inference.connections import options_for
from owui.config import store
from owui.config.registry import find
from owui.provision.kinds.secrets import named, reference, resolve
from owui.provision.parse import Path_
from owui.provision.plan import CHANGE, CREATE, REMOVE, FieldChange, Planner
from owui.provision.shape import ConnectionEntry

#: options that a file may hold as they are; others (headers, keys) may be secret
PLAIN = ("enable", "prefix_id", "model_ids", "connection_type", "auth_type", "provider")
ADDRESSES = {"openai": "openai.api_base_urls", "ollama": "ollama.base_urls"}


@dataclass(slots=True)
class Server:
    """One connection as it is stored."""

    url: str
    key: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> tuple[str, str]:
        """What tells two connections apart."""
        return self.url, str(self.options.get("prefix_id") or "")

    @property
    def tags(self) -> list[str]:
        tags = self.options.get("tags")
        return [str(t.get("name", "") if isinstance(t, dict) else t) for t in tags] if isinstance(tags, list) else []


def servers(kind: str) -> list[Server]:
    """The connections of now. The address that is stored when nobody names one counts as none."""
    section: Any = OpenAIConfig.load() if kind == "openai" else OllamaConfig.load()
    urls = section.api_base_urls if kind == "openai" else section.base_urls
    keys = section.api_keys if kind == "openai" else []
    if urls == find(ADDRESSES[kind]).default and not any(keys) and not section.api_configs:
        return []
    found = []
    for index, raw in enumerate(urls):
        url = raw.strip().rstrip("/")
        options = dict(options_for(section.api_configs, index, url))
        key = keys[index] if index < len(keys) else ""
        if kind == "ollama":
            key = str(options.pop("key", "") or "")
        found.append(Server(url, key, options))
    return found


def plan_connections(planner: Planner) -> None:
    """Adds connections, changes their keys and options, removes those that left the file. Those that the file does not
    name keep their place in the list: clients refer to it."""
    for kind in ("openai", "ollama"):
        entries: list[ConnectionEntry] = getattr(planner.shape.connections, kind)
        present = servers(kind)
        names = [(entry.url.strip().rstrip("/"), entry.prefix_id) for entry in entries]
        shown = [f"{url} (prefix {prefix})" if prefix else url for url, prefix in names]
        planner.once(("connections", kind), "url", shown, "connection")
        before = planner.plan.count
        for index, (name, entry) in enumerate(zip(names, entries, strict=True)):
            _plan_one(planner, kind, name, entry, present, ("connections", kind, index))
        listed = {_key(kind, *name) for name in names}
        for server in list(present):
            key = _key(kind, *server.name)
            is_ours = key not in listed and planner.owns("connection", key)
            if is_ours and planner.left_the_file("connection", key, f"connection {kind} {server.url}"):
                planner.change("connection", REMOVE, f"{kind} {server.url}", key=key)
                present.remove(server)
        if planner.plan.count > before:
            _store(planner, kind, present)


def _key(kind: str, url: str, prefix: str) -> str:
    return f"{kind}:{url}:{prefix}"


def _plan_one(
    planner: Planner,
    kind: str,
    name: tuple[str, str],
    entry: ConnectionEntry,
    present: list[Server],
    path: Path_,
) -> None:
    label, key = f"{kind} {name[0]}", _key(kind, *name)
    server = next((server for server in present if server.name == name), None)
    is_new = server is None
    if server is None:
        server = Server(name[0])
        present.append(server)
    found = _options(entry, server) + _headers(planner, entry, server, path)
    secret = reference(entry.key_env, entry.key_file)
    if secret is not None:
        place = (*path, f"key_{next(iter(secret))}")
        wanted = _secret(planner, secret, server.key, f"The key of {label}", place)
        if wanted != server.key:
            found.append(FieldChange("key", "(set)" if server.key else None, "(another)" if server.key else "(set)"))
            server.key = wanted
    applied = {name: getattr(entry, name) for name in (*PLAIN, "tags") if entry.given(name)}
    row = planner.world.owned.get(("connection", key))
    for change in found:
        change.by_hand = bool(row and change.name in row.applied and row.applied[change.name] == change.after)
    if is_new or found:
        planner.change("connection", CREATE if is_new else CHANGE, label, key=key).fields += found
    planner.own("connection", key, applied=applied)


def _options(entry: ConnectionEntry, server: Server) -> list[FieldChange]:
    found = []
    for name in PLAIN:
        default = entry.__class__.model_fields[name].get_default(call_default_factory=True)
        before, after = server.options.get(name, default), getattr(entry, name)
        if entry.given(name) and before != after:
            found.append(FieldChange(name, before, after))
            server.options[name] = after
    if entry.given("tags") and entry.tags != server.tags:
        found.append(FieldChange("tags", server.tags, entry.tags))
        server.options["tags"] = [{"name": tag} for tag in entry.tags]
    return found


def _headers(planner: Planner, entry: ConnectionEntry, server: Server, path: Path_) -> list[FieldChange]:
    if not entry.given("headers"):
        return []
    before = server.options.get("headers")
    before = before if isinstance(before, dict) else {}
    after: dict[str, str] = {}
    for name, value in entry.headers.items():
        place = (*path, "headers", name)
        if isinstance(value, dict):
            after[name] = _secret(planner, value, str(before.get(name, "")), f"The header {name}", place)
        elif isinstance(value, str):
            after[name] = value
        else:
            planner.problem(place, f"The header {name} must be a text, or {{env: NAME}} or {{file: PATH}}.")
    if after == before:
        return []
    server.options["headers"] = after
    return [FieldChange("headers", sorted(before), sorted(after))]


def _secret(planner: Planner, secret: dict[str, Any], present: str, what: str, path: Path_) -> str:
    try:
        text = resolve(secret)
    except ValueError as error:
        planner.problem(path, f"{what} {error}.")
        return present
    if text is not None:
        return text
    if present:
        planner.plan.notes.append(f"{what}: {named(secret)} is not there; what is stored stays.")
    else:
        planner.problem(path, f"{what} needs {named(secret)}, which is not there.")
    return present


def _store(planner: Planner, kind: str, wanted: list[Server]) -> None:
    """The list as the settings that hold it."""
    section = ("connections", kind)
    if locked := store.origin(find(ADDRESSES[kind])).locked:
        planner.problem(section, f"The connections cannot be changed here. {locked}", key=True)
    values = planner.plan.settings
    values[ADDRESSES[kind]] = [server.url for server in wanted]
    if kind == "openai":
        values["openai.api_keys"] = [server.key for server in wanted]
        configs = [server.options for server in wanted]
    else:
        configs = [server.options | ({"key": server.key} if server.key else {}) for server in wanted]
    values[f"{kind}.api_configs"] = {str(index): options for index, options in enumerate(configs) if options}
