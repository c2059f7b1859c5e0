"""The values of now: stored rows, environment and defaults in the order that ENABLE_PERSISTENT_CONFIG sets.

Stored values rule by default: row, else variable, else default. With ENABLE_PERSISTENT_CONFIG=False (and always for
settings that are never stored) the environment rules: variable, else a live change, else default.

One process reads all rows at most once in `FRESH_FOR`, whatever the number of threads, so a change made on another node
is seen within a second; a change made here is seen at once. Safe from threads; async code hops first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.conf import settings as django_settings
from django.db import DatabaseError, connection, transaction
from django.utils.asyncio import async_unsafe
from pydantic import ValidationError

from owui import env
from owui.audit.record import Actor, record
from owui.config import rows
from owui.config.models import ConfigValue
from owui.config.parsing import UNSET
from owui.config.registry import InvalidSetting, Section, Setting, all_settings, find, sections

log = logging.getLogger(__name__)

FRESH_FOR = 0.75
_DIRTY = "_owui_config_written"

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Origin:
    """Where a value comes from (`stored`, `live`, `environment`, `default`) and why it cannot be changed, if so."""

    name: str
    locked: str = ""


@dataclass
class _Snapshot:
    """All stored rows as they were at one moment, and the sections built from them."""

    rows: dict[str, Any]
    read_at: float
    built: dict[str, Section] = field(default_factory=dict)


_snapshot: _Snapshot | None = None
_generation = 0
_guard = threading.Lock()
_reading = threading.Lock()
_from_env: dict[str, Any] = {}


# --- reading ---------------------------------------------------------------------------------------------------------


@async_unsafe("Stored settings are read by a hop from async code: the read may need the database.")
def load_section(section: type[S]) -> S:
    """The validated values of a section. A stored value that no longer fits is logged and its default used.

    Refuses to run on an event loop even when the cache is warm, so that a missing hop shows at once and always.
    """
    snapshot = _current()
    built = snapshot.built.get(section.prefix)
    if isinstance(built, section):
        return built
    values = {name: _value(setting, snapshot.rows)[0] for name, setting in section.settings.items()}
    instance = _build(section, values)
    snapshot.built[section.prefix] = instance
    return instance


def value_of(setting: Setting) -> Any:
    """The value of one setting, as its section would give it."""
    return getattr(load_section(setting.section), setting.name)


def origin(setting: Setting) -> Origin:
    """Where the value comes from, and whether the environment rules it."""
    return _value(setting, _current().rows)[1]


def persistent(setting: Setting) -> bool:
    """Whether a stored row outranks the environment for this setting."""
    if not setting.stored or not django_settings.ENABLE_PERSISTENT_CONFIG:
        return False
    return not setting.key.startswith("oauth.") or env.truth(env.raw("ENABLE_OAUTH_PERSISTENT_CONFIG"))


def clear_cache() -> None:
    """Forgets rows and environment. For tests, and for whoever changed the table behind the store's back."""
    _from_env.clear()
    setattr(connection, _DIRTY, False)
    _invalidate()


def _value(setting: Setting, stored: Mapping[str, Any]) -> tuple[Any, Origin]:
    if persistent(setting):
        if setting.key in stored:
            return stored[setting.key], Origin("stored")
        wanted = _wanted(setting)
        return (setting.default, Origin("default")) if wanted is UNSET else (wanted, Origin("environment"))
    wanted = _wanted(setting)
    names = ", ".join(setting.names) or "the environment"
    if wanted is not UNSET:
        return wanted, Origin("environment", f"Set by {names}; the environment rules here.")
    if not setting.stored:
        return setting.default, Origin("default", f"Can be changed by {names} only.")
    if (live := rows.LIVE + setting.key) in stored:
        return stored[live], Origin("live")
    return setting.default, Origin("default")


def _wanted(setting: Setting) -> Any:
    """What the environment says, parsed once a process: it cannot change while we run."""
    if setting.key not in _from_env:
        _from_env[setting.key] = setting.from_env()
    return _from_env[setting.key]


def _build(section: type[S], values: dict[str, Any]) -> S:
    try:
        return section.model_validate(values)
    except ValidationError as error:
        bad = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]} or set(values)
        log.error(
            "Stored settings of %s do not fit and their defaults are used: %s.", section.prefix, ", ".join(sorted(bad))
        )
        return section.model_validate({name: value for name, value in values.items() if name not in bad})


def _current() -> _Snapshot:
    """A snapshot no older than FRESH_FOR; uncached while this transaction holds unsaved changes of its own."""
    global _snapshot
    if getattr(connection, _DIRTY, False):
        if connection.in_atomic_block:
            return _Snapshot(rows.read(), time.monotonic())
        setattr(connection, _DIRTY, False)  # that transaction was rolled back
    snapshot = _snapshot
    if snapshot is not None and time.monotonic() - snapshot.read_at < FRESH_FOR:
        return snapshot
    # One thread reads; the others go on with what they have. When there is nothing they wait, but not for long: those
    # who wait may hold the very connections that the reader needs.
    reads_alone = _reading.acquire(timeout=0 if snapshot is not None else 1)
    if not reads_alone and snapshot is not None:
        return snapshot
    try:
        latest = _snapshot
        if latest is not None and latest is not snapshot:
            return latest
        return _refresh(latest)
    finally:
        if reads_alone:
            _reading.release()


def _refresh(known: _Snapshot | None) -> _Snapshot:
    global _snapshot
    generation, started = _generation, time.monotonic()
    try:
        found = rows.read()
    except DatabaseError:
        if known is None or connection.in_atomic_block:
            raise
        # The database is away: the last known values serve until it is back.
        log.warning("Stored settings cannot be read just now; the last known values are used.")
        found = known.rows
    if known is not None and found == known.rows:
        snapshot = _Snapshot(known.rows, started, known.built)
    else:
        snapshot = _Snapshot(found, started)
    with _guard:
        # A change saved while we were reading may be missing in what we read: then do not keep it.
        if generation == _generation:
            _snapshot = snapshot
    return snapshot


def _invalidate() -> None:
    global _snapshot, _generation
    with _guard:
        _generation += 1
        _snapshot = None


# --- writing ---------------------------------------------------------------------------------------------------------


def set_values(changes: Mapping[str, Any], *, by: Actor | None) -> None:
    """Stores values by dotted key with one audit event, all or nothing; InvalidSetting says what cannot be saved.

    Values equal to the present ones are left out, and nothing at all is written when none differs.
    """
    cleaned: dict[str, Any] = {}
    for key in sorted(changes):
        setting = find(key)
        if locked := origin(setting).locked:
            raise InvalidSetting(key, f"{key} cannot be changed here. {locked}")
        cleaned[key] = setting.plain(setting.clean(changes[key]))
    _check_sections(cleaned)
    with transaction.atomic():
        rows.lock()
        present = rows.read()
        written: dict[str, Any] = {}
        detail: dict[str, Any] = {}
        for key, value in cleaned.items():
            setting = find(key)
            before, source = _value(setting, present)
            if source.name in ("stored", "live") and before == value:
                continue
            written[key if persistent(setting) else rows.LIVE + key] = value
            if setting.secret:
                detail[key] = "changed"
            else:
                detail[key] = {"from": setting.plain(before), "to": value}
        if not written:
            return
        rows.write(written, by)
        record("config.changed", by=by, object_type="config", object_id=_subject(detail), detail={"changes": detail})
        _written()


def reset(keys: list[str], *, by: Actor | None) -> list[str]:
    """Drops stored rows, so that variables and defaults hold again; gives the keys that had one."""
    for key in keys:
        find(key)
    with transaction.atomic():
        dropped = rows.drop([*keys, *(rows.LIVE + key for key in keys)])
        had = sorted({key.removeprefix(rows.LIVE) for key in dropped})
        if had:
            record("config.reset", by=by, object_type="config", object_id=_subject(had), detail={"keys": had})
            _written()
    return had


def seed() -> int:
    """Stores what set variables say for every setting without a row; gives the number of new rows.

    Any number of processes may do so at once, and again at every start: rows that exist are never touched.
    """
    wanted = {s.key: value for s in all_settings() if persistent(s) and (value := _wanted(s)) is not UNSET}
    count = rows.insert_missing(wanted)
    if count:
        _written()
    return count


def start() -> None:
    """What the start of an instance does, after its migrations: reset if asked, forget live changes, seed."""
    if not rows.exists(ask=True):
        return  # migrated to before our time
    with transaction.atomic():
        doomed = ConfigValue.objects.filter(key__startswith=rows.LIVE)
        if env.truth(env.raw("RESET_CONFIG_ON_START")):
            doomed = ConfigValue.objects.all()
            if keys := sorted(doomed.values_list("key", flat=True)):
                why = {"keys": keys, "because": "RESET_CONFIG_ON_START"}
                record("config.reset", by=None, object_type="config", detail=why)
        doomed.delete()
        seed()
    clear_cache()


@dataclass(frozen=True)
class Difference:
    """A set variable that has no effect, because another value is stored."""

    key: str
    names: tuple[str, ...]
    stored: Any
    wanted: Any


def differences() -> list[Difference]:
    """Every stored value that differs from its set variable; values of secrets are masked."""
    found = []
    stored = _current().rows
    for setting in all_settings():
        wanted = _wanted(setting)
        if not persistent(setting) or setting.key not in stored or wanted is UNSET:
            continue
        for path, here, there in _leaves(setting.key, stored[setting.key], wanted):
            if setting.secret:
                here, there = "(stored secret)", "(another secret)"
            found.append(Difference(path, setting.names, here, there))
    return found


def _leaves(path: str, stored: Any, wanted: Any) -> list[tuple[str, Any, Any]]:
    """What differs, leaf by leaf for objects, so that one permission among sixty-seven is named."""
    if isinstance(stored, dict) and isinstance(wanted, dict):
        pairs = [(f"{path}.{name}", stored.get(name), value) for name, value in wanted.items()]
        return [leaf for pair in pairs for leaf in _leaves(*pair)]
    return [] if stored == wanted else [(path, stored, wanted)]


def _check_sections(changes: Mapping[str, Any]) -> None:
    """Runs the sections' own validators over what they would become."""
    for prefix in {find(key).section.prefix for key in changes}:
        section = sections[prefix]
        fields = {find(key).name: value for key, value in changes.items() if find(key).section is section}
        present = load_section(section).model_dump()
        try:
            section.model_validate({**present, **fields})
        except ValidationError as error:
            fault = error.errors()[0]
            name = str(fault["loc"][0]) if fault["loc"] else next(iter(fields))
            raise InvalidSetting(f"{prefix}.{name}", f"{prefix}.{name}: {fault['msg']}.") from error


def _subject(keys: Any) -> str:
    """The key when there is one, else the common section."""
    names = list(keys)
    prefixes = {name.rpartition(".")[0] for name in names}
    return names[0] if len(names) == 1 else ",".join(sorted(prefixes))


def _written() -> None:
    """Others see the change when it is committed; until then this connection reads past the cache."""
    if connection.in_atomic_block:
        setattr(connection, _DIRTY, True)
    transaction.on_commit(_committed)


def _committed() -> None:
    setattr(connection, _DIRTY, False)
    _invalidate()
