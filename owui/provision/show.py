"""A plan for people, and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from owui.provision.plan import CHANGE, CREATE, FieldChange, Plan

SIGNS = {CREATE: "+", CHANGE: "~"}
FEW = 6
LONGEST = 100
#: lines of each of the lists; a file of ten thousand people is not read line by line
MOST_LINES = 400


def as_text(plan: Plan, *, is_applied: bool) -> str:
    """The plan in lines: what is created (+), changed (~), removed (-), and what is left alone."""
    lines = list(_changes(plan))
    if len(lines) > MOST_LINES:
        hidden = len(lines) - MOST_LINES
        lines = [*lines[:MOST_LINES], f"... and {hidden:,} more lines; --json has them all."]
    lines += _list("Not in the file and not made by one, so left alone (--prune removes):", plan.kept)
    lines += _list(
        "Made by an earlier file, no longer in this one (--prune removes; people are switched off):", plan.left
    )
    lines += _list("Note:", plan.notes)
    if not plan.count:
        return "\n".join([*lines, "Nothing to change."])
    counts = ", ".join(f"{len(found)} to {verb}" for verb, found in _by_verb(plan).items() if found)
    if is_applied:
        counts = counts.replace("to create", "created").replace("to change", "changed").replace("to remove", "removed")
    drift = sum(any(field.by_hand for field in change.fields) for change in plan.changes.values())
    drifted = f" {drift} of them because of changes made by hand since the last apply." if drift else ""
    return "\n".join([*lines, "", f"{counts[0].upper()}{counts[1:]}.{drifted}"])


def _by_verb(plan: Plan) -> dict[str, list[Any]]:
    verbs: dict[str, list[Any]] = {"create": [], "change": [], "remove": []}
    for change in plan.changes.values():
        verbs[change.verb].append(change)
    return verbs


def _changes(plan: Plan) -> Iterator[str]:
    for change in plan.changes.values():
        yield f"{SIGNS.get(change.verb, '-')} {change.kind} {change.label}"
        for field in change.fields:
            yield f"    {_field(field, is_new=change.verb == CREATE)}"


def _field(field: FieldChange, *, is_new: bool) -> str:
    why = "  (changed by hand since the last apply)" if field.by_hand else ""
    if field.added or field.removed:
        parts = [f"+ {_names(field.added)}"] if field.added else []
        parts += [f"- {_names(field.removed)}"] if field.removed else []
        return f"{field.name}: {'; '.join(parts)}{why}"
    if is_new:
        return f"{field.name}: {_value(field.after)}"
    return f"{field.name}: {_value(field.before)} -> {_value(field.after)}{why}"


def _names(names: list[str]) -> str:
    more = f" and {len(names) - FEW:,} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _list(title: str, entries: list[str]) -> list[str]:
    if not entries:
        return []
    more = [f"  ... and {len(entries) - MOST_LINES:,} more."] if len(entries) > MOST_LINES else []
    return ["", title, *(f"  {entry}" for entry in entries[:MOST_LINES]), *more]


def as_json(plan: Plan) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "changes": [
            {
                "kind": change.kind,
                "action": change.verb,
                "name": change.label,
                "id": str(change.pk) if change.pk else None,
                "fields": [_field_json(field) for field in change.fields],
            }
            for change in plan.changes.values()
        ],
        "not_in_file": plan.kept,
        "left_the_file": plan.left,
        "notes": plan.notes,
        "counts": {verb: len(found) for verb, found in _by_verb(plan).items()},
    }


def _field_json(field: FieldChange) -> dict[str, Any]:
    if field.added or field.removed:
        return {"name": field.name, "added": field.added, "removed": field.removed, "by_hand": field.by_hand}
    return {"name": field.name, "from": field.before, "to": field.after, "by_hand": field.by_hand}
