"""Knowledge bases. Their documents are not the file's: it says that a base exists, and who may use it."""

from __future__ import annotations

import uuid
from typing import Any

from knowledge.models import KnowledgeBase
from owui.provision.kinds.trust import is_known, trusted_owners
from owui.provision.parse import Path_
from owui.provision.plan import CREATE, REMOVE, FieldChange, Planner
from owui.provision.shape import BaseEntry, guess


def plan_bases(planner: Planner) -> None:
    """Adds new bases and changed ones; `planner.world.bases` knows the new ones afterwards."""
    entries = planner.shape.knowledge_bases
    planner.once(
        ("knowledge_bases",), "name", [f"{e.name} ({e.id})" if e.id else e.name for e in entries], "knowledge base"
    )
    planner.once(("knowledge_bases",), "id", [e.id or index for index, e in enumerate(entries)], "id")
    listed = set()
    for index, entry in enumerate(entries):
        key = base_key(entry)
        listed.add(key)
        path: Path_ = ("knowledge_bases", index)
        owner = _owner(planner, entry, path)
        kb = find_base(planner, entry, owner, path)
        _plan_one(planner, entry, kb, owner, key)
    for key in planner.owned_keys("knowledge"):
        row = planner.world.owned[("knowledge", key)]
        kb = planner.world.bases.get(row.object_id) if row.object_id else None
        taken = {owned.object_id for (kind, _key), owned in planner.plan.owned.items() if kind == "knowledge"}
        if key in listed or kb is None or kb.pk in taken:
            continue
        if planner.left_the_file("knowledge", key, f"knowledge base {kb.name}"):
            planner.change("knowledge", REMOVE, kb.name, kb.pk, key)
            del planner.world.bases[kb.pk]


def base_key(entry: BaseEntry) -> str:
    """Names of bases are not unique; an `id` tells two of one name apart."""
    return f"{entry.name}#{entry.id}" if entry.id else entry.name


def _owner(planner: Planner, entry: BaseEntry, path: Path_) -> uuid.UUID | None:
    if entry.owner is None:
        return None
    user = planner.world.users.get(entry.owner)
    if user is None:
        text = f"There is no person {entry.owner!r}.{guess(entry.owner, planner.world.users)}"
        planner.problem((*path, "owner"), text)
        return None
    return user.pk if is_known(planner, user, (*path, "owner")) else None


def find_base(planner: Planner, entry: BaseEntry, owner: uuid.UUID | None, path: Path_) -> KnowledgeBase | None:
    """The base an entry means: by its id; else the one that an earlier file made; else by name.

    By name only among bases of nobody, of administrators and of the named owner: else anybody could make a base with
    the right name beforehand, and would have his own texts put before a department.
    """
    if entry.id is not None:
        return planner.world.bases.get(entry.id)
    row = planner.world.owned.get(("knowledge", entry.name))
    if row is not None and row.object_id in planner.world.bases:
        return planner.world.bases[row.object_id]
    trusted = trusted_owners(planner, owner)
    found = [kb for kb in planner.world.bases.values() if kb.name == entry.name and kb.owner_id in trusted]
    if len(found) > 1 and owner is not None:
        found = [kb for kb in found if kb.owner_id == owner] or found
    if len(found) > 1:
        ids = ", ".join(str(kb.pk) for kb in found[:5])
        text = f"Several knowledge bases are called {entry.name!r}. Say which one by its id: {ids}."
        planner.problem((*path, "name"), text)
    return found[0] if found else None


def _plan_one(planner: Planner, entry: BaseEntry, kb: KnowledgeBase | None, owner: uuid.UUID | None, key: str) -> None:
    applied = {name: getattr(entry, name) for name in ("name", "description", "owner") if entry.given(name)}
    if kb is None:
        kb = KnowledgeBase(pk=entry.id or uuid.uuid4(), name=entry.name, description=entry.description)
        kb.owner_id = owner
        planner.world.bases[kb.pk] = kb
        change = planner.change("knowledge", CREATE, entry.name, kb.pk, key)
        change.values = {"name": entry.name, "description": entry.description, "owner_id": owner}
        change.fields = [FieldChange(name, None, value) for name, value in applied.items() if value and name != "name"]
    else:
        columns: dict[str, tuple[Any, Any, dict[str, Any]]] = {"name": (kb.name, entry.name, {"name": entry.name})}
        if entry.given("description"):
            columns["description"] = (kb.description, entry.description, {"description": entry.description})
        if entry.given("owner"):
            columns["owner"] = (planner.world.owner_email(kb.owner_id), entry.owner, {"owner_id": owner})
        planner.compare("knowledge", key, entry.name, kb.pk, columns)
    planner.own("knowledge", key, kb.pk, applied)
