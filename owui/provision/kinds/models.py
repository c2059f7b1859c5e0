"""Models: base models under the ids of their servers, and presets on top of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from inference.models import AIModel
from inference.services import MAX_HOPS, check_id
from knowledge.models import KnowledgeBase
from owui.lib.errors import UserError
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


def _columns(planner: Planner, entry: ModelEntry, row: AIModel, path: Path_) -> Columns:
    columns: Columns = {}
    for name in ("name", "params", "is_active"):
        if entry.given(name) and getattr(entry, name) is not None:
            columns[name] = (getattr(row, name), getattr(entry, name), {name: getattr(entry, name)})
    if entry.given("base"):
        before = next((m.model_id for m in planner.world.models.values() if m.pk == row.base_model_id), None)
        base = planner.world.models.get(entry.base) if entry.base else None
        if entry.base and base is None:
            text = f"There is no model {entry.base!r}.{guess(entry.base, planner.world.models)} List it here too."
            planner.problem((*path, "base"), text)
        columns["base"] = (before, entry.base, {"base_model_id": base.pk if base else None})
    if entry.given("owner"):
        owner = planner.world.users.get(entry.owner) if entry.owner else None
        if entry.owner and owner is None:
            text = f"There is no person {entry.owner!r}.{guess(entry.owner, planner.world.users)}"
            planner.problem((*path, "owner"), text)
        present = planner.world.owner_email(row.owner_id)
        columns["owner"] = (present, entry.owner, {"owner_id": owner.pk if owner else None})
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
        found = [kb for at, name in enumerate(entry.knowledge) if (kb := _base(planner, name, (*path, ATTACHED, at)))]
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


def _base(planner: Planner, name: str, path: Path_) -> KnowledgeBase | None:
    """A base by its name in the file or in the database, or by its id."""
    known = {owned.object_id for (kind, _key), owned in planner.plan.owned.items() if kind == "knowledge"}
    found = [kb for kb in planner.world.bases.values() if name in (kb.name, str(kb.pk))]
    found = [kb for kb in found if kb.pk in known] or found
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
