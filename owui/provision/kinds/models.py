"""Models: base models under the ids of their servers, and presets on top of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from inference.models import AIModel
from inference.services import MAX_HOPS, check_id
from knowledge.models import KnowledgeBase
from owui.lib.errors import UserError
from owui.provision.kinds.trust import is_known, trusted_owners
from owui.provision.parse import Path_
from owui.provision.plan import CREATE, REMOVE, FieldChange, Planner
from owui.provision.shape import ModelEntry, guess

ATTACHED = "knowledge"
COLLECTION = "collection"
Columns = dict[str, tuple[Any, Any, dict[str, Any]]]


def plan_models(planner: Planner) -> None:
    """Adds new models, changed ones, and those that left the file."""
    entries = planner.shape.models
    planner.once(("models",), "id", [entry.id for entry in entries], "model")
    before = dict(planner.world.models)
    listed = {entry.id for entry in entries}
    for model_id in planner.owned_keys("model"):
        row = before.get(model_id)
        if model_id not in listed and row is not None and planner.left_the_file("model", model_id, f"model {model_id}"):
            planner.change("model", REMOVE, model_id, row.pk)
            del planner.world.models[model_id]
    for entry in entries:
        if entry.id not in planner.world.models:
            planner.world.models[entry.id] = AIModel(pk=uuid.uuid4(), model_id=entry.id, name=entry.name or entry.id)
    for index, entry in enumerate(entries):
        _plan_one(planner, entry, ("models", index), is_new=entry.id not in before)
    _check_bases(planner)


def _plan_one(planner: Planner, entry: ModelEntry, path: Path_, *, is_new: bool) -> None:
    row = planner.world.models[entry.id]
    if is_new:
        try:
            check_id(entry.id)
        except UserError as error:
            planner.problem((*path, "id"), error.message)
    else:
        _check_owner(planner, entry, row, path)
    columns = _columns(planner, entry, row, path)
    if is_new:
        change = planner.change("model", CREATE, entry.id, row.pk)
        change.values = {"model_id": entry.id, "name": row.name}
        change.fields = [FieldChange(name, None, after) for name, (_b, after, _v) in columns.items() if after]
        for _before, _after, values in columns.values():
            change.values |= values
    else:
        planner.compare("model", entry.id, entry.id, row.pk, columns)
    planner.own("model", entry.id, row.pk, {name: after for name, (_b, after, _v) in columns.items()})


def _check_owner(planner: Planner, entry: ModelEntry, row: AIModel, path: Path_) -> None:
    """A problem for a model that somebody made under this id beforehand: his prompt would speak to a department."""
    row_of = planner.world.owned.get(("model", entry.id))
    is_known = row_of is not None and row_of.object_id == row.pk
    if not is_known and row.owner_id not in trusted_owners(planner, _owner_id(planner, entry)):
        text = (
            f"The model {entry.id!r} was made by {planner.world.owner_email(row.owner_id)}. Read what it says; then "
            f"name that owner here to take it over as it is, or delete it, or choose another id."
        )
        planner.problem((*path, "id"), text)


def _owner_id(planner: Planner, entry: ModelEntry) -> uuid.UUID | None:
    owner = planner.world.users.get(entry.owner) if entry.owner else None
    return owner.pk if owner else None


def _base_model(planner: Planner, entry: ModelEntry, row: AIModel, path: Path_) -> AIModel | None:
    """The model an entry stands on: one of the file, the one it stands on already, or one that may be trusted."""
    found = planner.world.models.get(entry.base) if entry.base else None
    if entry.base and found is None:
        text = f"There is no model {entry.base!r}.{guess(entry.base, planner.world.models)} List it here too."
        planner.problem((*path, "base"), text)
    elif (
        found is not None
        and found.pk != row.base_model_id
        and found.owner_id not in trusted_owners(planner, _owner_id(planner, entry))
        and entry.base not in {other.id for other in planner.shape.models}
    ):
        email = planner.world.owner_email(found.owner_id)
        text = f"The model {entry.base!r} was made by {email}. List it here too, with its owner, to build on it."
        planner.problem((*path, "base"), text)
    return found


def _columns(planner: Planner, entry: ModelEntry, row: AIModel, path: Path_) -> Columns:
    columns: Columns = {}
    for name in ("name", "params", "is_active"):
        if entry.given(name) and getattr(entry, name) is not None:
            columns[name] = (getattr(row, name), getattr(entry, name), {name: getattr(entry, name)})
    if entry.given("base"):
        before = next((m.model_id for m in planner.world.models.values() if m.pk == row.base_model_id), None)
        base = _base_model(planner, entry, row, path)
        columns["base"] = (before, entry.base, {"base_model_id": base.pk if base else None})
    if entry.given("owner"):
        if entry.owner and entry.owner not in planner.world.users:
            text = f"There is no person {entry.owner!r}.{guess(entry.owner, planner.world.users)}"
            planner.problem((*path, "owner"), text)
        elif entry.owner:
            is_known(planner, planner.world.users[entry.owner], (*path, "owner"))
        present = planner.world.owner_email(row.owner_id)
        columns["owner"] = (present, entry.owner, {"owner_id": _owner_id(planner, entry)})
    return columns | _meta(planner, entry, row, path)


def _meta(planner: Planner, entry: ModelEntry, row: AIModel, path: Path_) -> Columns:
    """`meta` as the file has it; bases are attached by name, and whatever else is attached stays."""
    meta = dict(row.meta or {})
    bases, others = attached(meta, planner.world.bases)
    columns: Columns = {}
    if entry.given("meta"):
        if ATTACHED in entry.meta:
            planner.problem(
                (*path, "meta", ATTACHED), "Attach bases by name: `knowledge: [Name]` beside `meta`.", key=True
            )
        meta = {**entry.meta, **({ATTACHED: row.meta[ATTACHED]} if ATTACHED in (row.meta or {}) else {})}
        shown = {name: value for name, value in (row.meta or {}).items() if name != ATTACHED}
        columns["meta"] = (shown, entry.meta, {"meta": meta})
    if entry.given("knowledge"):
        found = [
            kb
            for at, name in enumerate(entry.knowledge)
            if (kb := _base(planner, entry, row, name, (*path, ATTACHED, at)))
        ]
        meta[ATTACHED] = [{"id": str(kb.pk), "name": kb.name, "type": COLLECTION} for kb in found] + others
        names = [kb.name for kb in found]
        columns[ATTACHED] = ([kb.name for kb in bases], names, {"meta": meta})
        if "meta" in columns:
            columns["meta"] = (*columns["meta"][:2], {"meta": meta})
    return columns


def attached(
    meta: Mapping[str, Any], known: Mapping[uuid.UUID, KnowledgeBase]
) -> tuple[list[KnowledgeBase], list[Any]]:
    """The bases a model is given, and its other attachments (single files, bases that are gone)."""
    bases, others = [], []
    items = meta.get(ATTACHED)
    for item in items if isinstance(items, list) else []:
        kind = (item.get("type") or COLLECTION) if isinstance(item, Mapping) else COLLECTION
        try:
            pk = uuid.UUID(str(item.get("id") if isinstance(item, Mapping) else item))
        except ValueError:
            pk = None
        kb = known.get(pk) if pk and kind == COLLECTION else None
        if kb is None:
            others.append(item)
        else:
            bases.append(kb)
    return bases, others


def _base(planner: Planner, entry: ModelEntry, row: AIModel, name: str, path: Path_) -> KnowledgeBase | None:
    """A base by its id, or by its name: one of the file, one that is attached already, or one that may be trusted."""
    listed = {owned.object_id for (kind, _key), owned in planner.plan.owned.items() if kind == "knowledge"}
    present = {kb.pk for kb in attached(row.meta or {}, planner.world.bases)[0]}
    trusted = trusted_owners(planner, _owner_id(planner, entry))
    called = [kb for kb in planner.world.bases.values() if name in (kb.name, str(kb.pk))]
    found = [kb for kb in called if kb.pk in listed] or [kb for kb in called if kb.pk in present]
    found = found or [kb for kb in called if kb.owner_id in trusted or name == str(kb.pk)]
    if called and not found:
        email = planner.world.owner_email(called[0].owner_id)
        text = (
            f"The knowledge base {name!r} was made by {email}. Read what is in it, then write its id: {called[0].pk}."
        )
        planner.problem(path, text)
        return None
    if len(found) != 1:
        why = "Several knowledge bases are called" if found else "There is no knowledge base"
        names = guess(name, [kb.name for kb in planner.world.bases.values()]) if not found else " Write its id instead."
        planner.problem(path, f"{why} {name!r}.{names}")
        return None
    return found[0]


def _check_bases(planner: Planner) -> None:
    """No model on itself, and not more hops than the catalogue follows."""
    by_pk = {row.pk: row.model_id for row in planner.world.models.values()}
    base_of = {
        row.model_id: by_pk.get(row.base_model_id) if row.base_model_id else None
        for row in planner.world.models.values()
    }
    places: dict[str, Path_] = {}
    for index, entry in enumerate(planner.shape.models):
        if entry.given("base"):
            base_of[entry.id] = entry.base
            places[entry.id] = ("models", index, "base")
    for model_id, path in places.items():
        chain = [model_id]
        below = base_of.get(model_id)
        while below is not None and below not in chain:
            chain.append(below)
            below = base_of.get(below)
        if below is not None:
            planner.problem(path, f"The model {model_id!r} is based on itself: {' > '.join([*chain, below])}.")
        elif len(chain) - 1 > MAX_HOPS:
            planner.problem(path, f"Models can be based on one another at most {MAX_HOPS} deep: {' > '.join(chain)}.")
