"""The audit events of an apply: one for each thing that changed, under the names that services use, and one for the
whole. Settings and default permissions have theirs from the store."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from owui.provision.plan import CHANGE, CREATE, REMOVE, Change, Plan
from owui.provision.world import World
from rbac.grants import Grant

#: most people in one event; more of them make several events
MOST = 1000
_ACTIONS = {
    ("user", CREATE): "user.create",
    ("user", CHANGE): "user.update",
    ("user", REMOVE): "user.update",
    ("group", CREATE): "group.create",
    ("group", CHANGE): "group.update",
    ("group", REMOVE): "group.delete",
    ("knowledge", CREATE): "knowledge.create",
    ("knowledge", CHANGE): "knowledge.update",
    ("model", CREATE): "model.created",
    ("model", CHANGE): "model.updated",
    ("model", REMOVE): "model.deleted",
}
Event = dict[str, Any]


def events(plan: Plan, world: World) -> Iterator[Event]:
    """The arguments of `record`, event by event."""
    for change in plan.changes.values():
        action = _ACTIONS.get((change.kind, change.verb))
        fields = [field for field in change.fields if not (field.added or field.removed)]
        if action and (fields or change.verb != CHANGE):
            yield _event(action, change, fields)
    for action, pairs in (
        ("group.members.add", plan.members_added),
        ("group.members.remove", plan.members_removed),
        ("group.managers.add", plan.managers_added),
        ("group.managers.remove", plan.managers_removed),
    ):
        yield from _people(action, pairs, world)
    yield from _access(plan, world)


def _event(action: str, change: Change, fields: list[Any]) -> Event:
    return {
        "action": action,
        "object_type": change.kind,
        "object_id": change.pk,
        "object_label": change.label,
        "detail": {
            "because": "provisioning",
            "before": {field.name: field.before for field in fields},
            "after": {field.name: field.after for field in fields},
        },
    }


def _people(action: str, pairs: list[tuple[uuid.UUID, uuid.UUID]], world: World) -> Iterator[Event]:
    by_group: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    for group, user in pairs:
        by_group[group].append(user)
    for group, users in by_group.items():
        for start in range(0, len(users), MOST):
            some = [{"id": str(u), "email": world.principal("user", u)} for u in users[start : start + MOST]]
            yield {
                "action": action,
                "object_type": "group",
                "object_id": group,
                "object_label": world.principal("group", group),
                "detail": {"because": "provisioning", "source": "manual", "users": some},
            }


def _access(plan: Plan, world: World) -> Iterator[Event]:
    """What changed of the grants of each object, in words and as the ids that are stored."""
    ids: dict[uuid.UUID, list[dict[str, Any]]] = defaultdict(list)
    for changes in plan.grants.values():
        for pk, (kind, principal, permission, is_denied), until in changes.add:
            grant = Grant(kind, str(principal), permission, until).as_json()
            ids[pk].append(grant | ({"denied": True} if is_denied else {}))
    for change in plan.changes.values():
        for field in change.fields:
            if change.kind in plan.grants and field.name == "access" and change.pk is not None:
                yield {
                    "action": "access.set",
                    "object_type": change.kind,
                    "object_id": change.pk,
                    "object_label": change.label,
                    "detail": {
                        "because": "provisioning",
                        "added": field.added,
                        "removed": field.removed,
                        "grants": ids[change.pk],
                    },
                }
