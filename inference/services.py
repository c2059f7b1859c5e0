"""Every write about models. Keyword-only, atomic, each with its audit entry in the same transaction."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from inference.live import offered_ids
from inference.models import AIModel, ToolServer
from owui.audit.record import record
from owui.lib.errors import ACCESS_PROHIBITED, Refused, UserError
from rbac.grants import READ, Grant
from rbac.history import acting
from rbac.permissions import require
from rbac.services import announce, set_grants
from rbac.sharing import Person, SharedResource, bypasses_access, resource_types

MAX_HOPS = 3
ID_TAKEN = "Uh-oh! This model id is already registered. Please choose another model id string."
EVERYONE_READS = [Grant("user", "*", READ)]
# Letters of any language, digits and what servers put into their ids; no quotes, no angle brackets.
_ID = re.compile(r"[\w@/~.][\w ./:@+~#=,()\[\]-]{0,254}")
# What `meta` may attach: shared type, key in `meta`, column of the ids.
SHARED = "collection"
_ATTACHED = (("knowledge", "knowledge", "pk"), ("tool", "toolIds", "tool_id"), ("skill", "skillIds", "skill_id"))
#: the beginning of the ids of connected tool servers among tools
_SERVER = "server:"


@dataclass(frozen=True, slots=True)
class ModelValues:
    """One model as it should be, for import and sync; `grants` None leaves the access as it is."""

    model_id: str
    name: str
    base_model_id: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    is_active: bool = True
    grants: Sequence[Grant] | None = None


@transaction.atomic
def create_model(*, values: ModelValues, by: Person) -> AIModel:
    """A new model: a preset, or (by administrators) a base model under the id its server gives it.

    Grants the person may not give are left out. 401 without the permission or when the id is taken.
    """
    require(by, "workspace.models", status=401)
    return _create(values, by)


def _create(values: ModelValues, by: Person) -> AIModel:
    acting(by)
    model_id, name = check_id(values.model_id), _check_name(values.name)
    if AIModel.objects.filter(model_id=model_id).exists():
        raise UserError(ID_TAKEN, status=401, code="id_taken")
    if by.role != "admin" and model_id in offered_ids():
        raise UserError(ID_TAKEN, status=401, code="id_taken")  # would stand in the place of a server's own model
    _check_attachments({}, values.meta, by, owner_id=by.id)
    row = AIModel.objects.create(
        model_id=model_id,
        name=name,
        base_model=_base(None, values.base_model_id, by),
        params=values.params,
        meta=values.meta,
        is_active=values.is_active,
        owner_id=by.id,
    )
    _record("model.created", row, by, {"base": values.base_model_id})
    if values.grants:
        set_grants(row, values.grants, by=by, strict=False)
        row.refresh_from_db()
    return row


@transaction.atomic
def update_model(row: AIModel, *, values: ModelValues, by: Person) -> AIModel:
    """Makes a model what the values say; the id stays. The caller has checked that the person may write it."""
    acting(by)
    row = AIModel.objects.select_for_update().get(pk=row.pk)
    base = _base(row, values.base_model_id, by)
    _check_attachments(row.meta, values.meta, by, owner_id=row.owner_id)
    wanted = {
        "name": _check_name(values.name),
        "base_model_id": base.pk if base else None,
        "params": values.params,
        "meta": values.meta,
        "is_active": values.is_active,
    }
    changed = [name for name, value in wanted.items() if getattr(row, name) != value]
    if changed:
        for name in changed:
            setattr(row, name, wanted[name])
        row.save()
        _record("model.updated", row, by, {"changed": sorted(changed)})
        if {"is_active", "base_model_id", "meta"} & set(changed):
            announce("model", str(row.pk))
    if values.grants is not None:
        set_grants(row, values.grants, by=by, strict=False)
        row.refresh_from_db()
    return row


@transaction.atomic
def set_active(row: AIModel, *, is_active: bool, by: Person) -> AIModel:
    """Switches a model on or off for everyone."""
    acting(by)
    row = AIModel.objects.select_for_update().get(pk=row.pk)
    if row.is_active != is_active:
        row.is_active = is_active
        row.save(update_fields=["is_active", "updated_at"])
        _record("model.activated" if is_active else "model.deactivated", row, by, {})
        announce("model", str(row.pk))
    return row


@transaction.atomic
def delete_model(row: AIModel, *, by: Person) -> None:
    """Removes a model and the grants to it; refused while presets stand on it."""
    acting(by)
    _record("model.deleted", row, by, {})
    announce("model", str(row.pk))
    try:
        row.delete()
    except ProtectedError as error:
        text = _("Other models are based on this one: %(names)s. Delete them first, or give them another base.")
        raise UserError(text % {"names": _named(error.protected_objects, by)}, code="model_in_use") from error


def _named(rows: Iterable[Any], by: Person) -> str:
    """Some of the models by name; those that the person may not see are only counted."""
    ids = [row.pk for row in rows]
    names = list(AIModel.objects.readable_by(by).filter(pk__in=ids).order_by("name").values_list("name", flat=True))
    said = names[:3]
    if others := len(ids) - len(said):
        said.append(ngettext("%(count)d other", "%(count)d others", others) % {"count": others})
    return ", ".join(said)


@transaction.atomic
def delete_all(*, by: Person) -> int:
    """Removes the row of every model that the person may change; what the servers offer stays, for administrators
    only. Without the administrators' bypass that is not all, and what others' models stand on stays as well."""
    acting(by)
    gone = _removable(AIModel.objects.writable_by(by))
    ids = list(gone.values_list("model_id", flat=True))
    if ids:
        record("model.all_deleted", by=_actor(by), object_type="model", detail={"models": sorted(ids)})
        _remove(gone)
    return len(ids)


def _removable(rows: Any, *, remade: Collection[str] = ()) -> Any:
    """Of some models those that nothing stands on which stays; `remade` are ids that will get their base anew."""
    ids = set(rows.values_list("pk", flat=True))
    while ids:
        above = AIModel.objects.filter(base_model__in=ids).exclude(pk__in=ids).exclude(model_id__in=remade)
        needed = set(above.values_list("base_model_id", flat=True))
        if not needed:
            break
        ids -= needed
    return AIModel.objects.filter(pk__in=ids)


def _remove(gone: Any) -> None:
    """Deletes rows whatever the order they stand on one another."""
    ids = list(gone.values_list("pk", flat=True))
    AIModel.objects.filter(base_model__in=ids).update(base_model=None)
    AIModel.objects.filter(pk__in=ids).delete()
    if ids:
        # Once for all: those who listen ask for everything of the type anyway.
        announce("model", str(ids[0]) if len(ids) == 1 else "")


@transaction.atomic
def register_live(model_ids: Mapping[str, str], *, by: Person | None, is_public: bool = False) -> list[AIModel]:
    """Makes rows for models that servers offer, so that they can be granted; those that have one stay as they are.

    :param model_ids: id to name
    :param is_public: everyone signed in may use the new ones; otherwise nobody but administrators
    """
    acting(by)
    known = set(AIModel.objects.filter(model_id__in=list(model_ids)).values_list("model_id", flat=True))
    rows = []
    for model_id in sorted(set(model_ids) - known):
        row = AIModel.objects.create(
            model_id=model_id[:255],
            name=(model_ids[model_id] or model_id)[:255],
            owner_id=by.id if by else None,
            general_access="read" if is_public else "private",
        )
        _record("model.registered", row, by, {"public": is_public})
        rows.append(row)
    return rows


@transaction.atomic
def import_models(items: Iterable[ModelValues], *, by: Person) -> int:
    """Creates or updates each; one that exists must be writable by the person."""
    require(by, "workspace.models_import", status=401)
    return len([_upsert(values, by) for values in in_order_of_bases(items)])


@transaction.atomic
def sync_models(items: Iterable[ModelValues], *, by: Person) -> list[AIModel]:
    """Makes the stored models equal to the list: others are removed, as far as the person may change them. For
    administrators; without their bypass, what they have no right to stays, and is refused in the list (401)."""
    acting(by)
    wanted = in_order_of_bases(items)
    keep = {values.model_id for values in wanted}
    gone = _removable(AIModel.objects.writable_by(by).exclude(model_id__in=keep), remade=keep)
    for row in gone:
        _record("model.deleted", row, by, {"because": "sync"})
    _remove(gone)
    return [_upsert(values, by) for values in wanted]


def _upsert(values: ModelValues, by: Person) -> AIModel:
    row = AIModel.objects.filter(model_id=values.model_id).first()
    if row is None:
        return _create(values, by)
    if not AIModel.objects.writable_by(by).filter(pk=row.pk).exists():
        raise Refused(ACCESS_PROHIBITED, status=401)
    return update_model(row, values=values, by=by)


def in_order_of_bases(items: Iterable[ModelValues]) -> list[ModelValues]:
    """Bases before what stands on them, so that a list can be stored from its start to its end."""
    by_id = {values.model_id: values for values in items}
    done: dict[str, ModelValues] = {}

    def put(values: ModelValues, above: frozenset[str]) -> None:
        base = by_id.get(values.base_model_id or "")
        if base is not None and base.model_id not in done and base.model_id not in above:
            put(base, above | {values.model_id})
        done.setdefault(values.model_id, values)

    for values in by_id.values():
        put(values, frozenset())
    return list(done.values())


def check_id(model_id: str) -> str:
    """The id, or a refusal that says what it may look like."""
    model_id = model_id.strip()
    if not _ID.fullmatch(model_id):
        text = _("A model id has at most 255 letters, digits and the signs . _ - / : @ + in it. Choose another id.")
        raise UserError(text, code="id_invalid")
    return model_id


def _check_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > 255:
        raise UserError(_("A model needs a name of at most 255 characters."), code="name_invalid")
    return name


def _base(row: AIModel | None, base_id: str | None, by: Person) -> AIModel | None:
    """The row a preset stands on. Administrators may name a model that has none yet: it gets one, private.

    Without a base, a row grants what a server offers under its id: that is for administrators to say.
    """
    if not base_id:
        if by.role != "admin" and (row is None or row.base_model_id):
            raise UserError(_("Choose the model that this one is based on."), code="base_missing")
        return None
    if row is not None and row.base_model_id and row.base_model and row.base_model.model_id == base_id:
        kept: AIModel = row.base_model  # was allowed before; whoever edits the name need not be allowed to use the base
        return kept
    base: AIModel | None = AIModel.objects.filter(model_id=base_id).first()
    if base is None and by.role == "admin":
        return register_live({check_id(base_id): base_id}, by=by)[0]
    if base is None or not AIModel.objects.usable_by(by).filter(pk=base.pk).exists():
        raise UserError(_("The base model was not found. Choose one that you may use."), code="base_missing")
    below: AIModel | None = base
    hops = 0
    while below is not None:
        if row is not None and below.pk == row.pk:
            raise UserError(_("A model cannot be based on itself. Choose another base."), code="base_loop")
        below, hops = below.base_model, hops + 1
    if hops + _height(row) > MAX_HOPS:
        text = _("Models can be based on one another at most three deep. Choose another base.")
        raise UserError(text, code="base_depth")
    return base


def _height(row: AIModel | None) -> int:
    """How many models stand on top of one another above this one."""
    height, level = 0, [row.pk] if row else []
    while height <= MAX_HOPS and level:
        level = list(AIModel.objects.filter(base_model_id__in=level).values_list("pk", flat=True))
        height += 1 if level else 0
    return height


def _check_attachments(before: Mapping[str, Any], after: Mapping[str, Any], by: Person, *, owner_id: Any) -> None:
    """What a model is given, its readers reach through it: so whoever attaches something must be able to read it.

    Single files are used with the rights of the model's owner: nobody else may attach one.
    """
    types = resource_types()
    for kind, key, column in _ATTACHED:
        new = _attached(after.get(key)) - _attached(before.get(key))
        servers = {item for item in new if kind == "tool" and item[1].startswith(_SERVER)}
        if servers and not _servers_readable({item_id for _type, item_id in servers}, by):
            raise _not_attachable()
        new -= servers
        shared = {item_id for item_type, item_id in new if item_type == SHARED}
        is_foreign = len(shared) < len(new) and owner_id != by.id and not bypasses_access(by)
        if is_foreign or (shared and kind in types and not _all_readable(types[kind], column, shared, by)):
            raise _not_attachable()


def _not_attachable() -> Refused:
    text = _("You attached something that does not exist or that you may not read. Remove it and save again.")
    return Refused(text, code="attachment")


def _servers_readable(ids: set[str], by: Person) -> bool:
    """Whether all of these name tool servers (`server:ID`, `server:mcp:ID`) that the person may use."""
    bare = {item_id.removeprefix(_SERVER) for item_id in ids}
    rows = ToolServer.objects.readable_by(by).filter(server_id__in=bare | {i.removeprefix("mcp:") for i in bare})
    return ids <= {row.tool_id for row in rows}


def _attached(items: Any) -> set[tuple[str, str]]:
    """Types and ids in a list of ids or of objects. An empty type means a shared object, as it does where they are
    used: read in two ways, it would be a way around the check."""
    found = set()
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping):
            if item.get("id"):
                found.add((str(item.get("type") or SHARED), str(item["id"])))
        elif item:
            found.add((SHARED, str(item)))
    return found


def _all_readable(model: type[SharedResource], column: str, ids: set[str], by: Person) -> bool:
    wanted = {i for i in ids if column != "pk" or _is_uuid(i)}
    readable: Any = model.objects.readable_by(by)
    known = {str(v) for v in readable.filter(**{f"{column}__in": wanted}).values_list(column, flat=True)}
    return len(wanted) == len(ids) == len(known)


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _record(action: str, row: AIModel, by: Person | None, detail: dict[str, Any]) -> None:
    record(
        action,
        by=_actor(by),
        object_type="model",
        object_id=str(row.pk),
        object_label=row.name,
        detail={"model": row.model_id, **detail},
    )


def _actor(by: Person | None) -> Any:
    """People have the name and address that the log wants; `Person` only promises what access needs."""
    return by
