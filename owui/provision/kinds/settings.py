"""Stored settings by their dotted keys, written flat (`rag.top_k: 5`) or nested (`rag: {top_k: 5}`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from owui.config import store
from owui.config.registry import InvalidSetting, Setting, all_settings
from owui.provision.kinds.secrets import named, resolve
from owui.provision.parse import Path_
from owui.provision.plan import CHANGE, REMOVE, FieldChange, Planner
from owui.provision.shape import guess

#: kept by sections of their own
ELSEWHERE = {
    "user.permissions": "permissions",
    "openai.api_base_urls": "connections",
    "openai.api_keys": "connections",
    "openai.api_configs": "connections",
    "ollama.base_urls": "connections",
    "ollama.api_configs": "connections",
}


def plan_settings(planner: Planner) -> None:
    """Adds the settings of the file, and those that an earlier file set and this one does not."""
    known = {setting.key: setting for setting in all_settings()}
    seen: set[str] = set()
    for key, value, path in _leaves(planner, known, planner.shape.settings, "", ("settings",)):
        if key in seen:
            planner.problem(path, f"The setting {key} is there twice, once flat and once nested.", key=True)
            continue
        seen.add(key)
        if section := ELSEWHERE.get(key):
            planner.problem(path, f"{key} is kept by the section `{section}` of this file. Write it there.", key=True)
            continue
        _plan_one(planner, known[key], value, path)
    for key in planner.owned_keys("setting"):
        if key not in seen and key in known:
            _plan_reset(planner, known[key])


def _leaves(
    planner: Planner, known: Mapping[str, Setting], tree: Mapping[str, Any], prefix: str, path: Path_
) -> Iterator[tuple[str, Any, Path_]]:
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if key in known:
            yield key, value, (*path, name)
        elif isinstance(value, Mapping) and any(k.startswith(f"{key}.") for k in known):
            yield from _leaves(planner, known, value, f"{key}.", (*path, name))
        else:
            text = f"There is no setting {key}.{guess(key, known)} `manage.py config list` shows them all."
            planner.problem((*path, name), text, key=True)


def _plan_one(planner: Planner, setting: Setting, value: Any, path: Path_) -> None:
    present = setting.plain(store.value_of(setting))
    try:
        if setting.secret:
            wanted = _secret(planner, setting, value, path, present)
        else:
            wanted = setting.plain(setting.clean(value))
    except InvalidSetting as error:
        planner.problem(path, error.message)
        return
    planner.own("setting", setting.key, applied={} if setting.secret else {"value": wanted})
    if wanted == present:
        return
    if locked := store.origin(setting).locked:
        planner.problem(path, f"{setting.key} cannot be changed here. {locked}", key=True)
        return
    record_change(planner, setting, present, wanted)


def record_change(planner: Planner, setting: Setting, present: Any, wanted: Any) -> None:
    """One setting that gets another value."""
    row = planner.world.owned.get(("setting", setting.key))
    by_hand = bool(row and "value" in row.applied and row.applied["value"] == wanted)
    change = planner.change("setting", CHANGE, setting.key)
    change.fields.append(FieldChange("value", setting.shown(present), setting.shown(wanted), by_hand=by_hand))
    planner.plan.settings[setting.key] = wanted


def _secret(planner: Planner, setting: Setting, value: Any, path: Path_, present: Any) -> Any:
    if not isinstance(value, dict):
        why = "is a secret and does not belong into a file. Write {env: NAME} or {file: PATH}."
        raise InvalidSetting(setting.key, f"{setting.key} {why}")
    try:
        text = resolve(value)
    except ValueError as error:
        raise InvalidSetting(setting.key, f"{setting.key} {error}.") from error
    if text is None:
        if not present:
            raise InvalidSetting(setting.key, f"{setting.key} needs {named(value)}, which is not there.")
        planner.plan.notes.append(f"{setting.key}: {named(value)} is not there; the stored secret stays.")
        return present
    return setting.plain(setting.from_text(text))


def _plan_reset(planner: Planner, setting: Setting) -> None:
    if planner.left_the_file("setting", setting.key, f"setting {setting.key}"):
        change = planner.change("setting", REMOVE, setting.key)
        change.fields.append(FieldChange("value", setting.shown(setting.plain(store.value_of(setting))), None))
        planner.plan.resets.append(setting.key)
