"""The history of access: who could do what, from when until when, by whom.

PostgreSQL keeps it. `TrackAccess(...)` in a migration puts triggers on a table; each insert, change and delete, in bulk
or by cascade, closes the old state in `AccessChange` and opens the new one. The moment is that of the transaction's
start, so all that one transaction changes changed at once.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection, migrations
from django.db.models import Q, QuerySet

from rbac.models import AccessChange
from rbac.sharing import Access, Person, bypasses_access, resource_types

_ACTOR = "nullif(current_setting('owui.actor', true), '')::uuid"
_COLUMNS = "kind, object_type, object_id, principal_type, principal_id, value, changed_by, valid_from, source, row_id"


def acting(by: Person | None) -> None:
    """Names who makes the changes of this transaction, for the history; None is the system itself."""
    if not connection.in_atomic_block:
        raise RuntimeError("acting() belongs in the transaction of the change: use transaction.atomic().")
    who = str(by.id) if by is not None and isinstance(by.id, uuid.UUID) else ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('owui.actor', %s, true)", [who])


# ---------------------------------------------------------------------------------------------------------- triggers
class TrackAccess(migrations.RunSQL):
    """A migration step: from here on the table's states are kept, beginning with those it holds now.

    :param table: the database table
    :param values: SQL of kind, object_type, object_id, principal_type, principal_id and value (jsonb); `r` is the row
    :param watched: columns whose change opens a new state
    :param by: SQL of who made the row, where the row itself tells
    :param only: SQL of which rows count
    """

    def __init__(
        self,
        table: str,
        values: tuple[str, ...],
        watched: Iterable[str],
        by: str = "NULL",
        only: str = "true",
        key: str = "id",
    ) -> None:
        watched = list(watched)
        differs = " OR ".join(f"OLD.{c} IS DISTINCT FROM NEW.{c}" for c in watched)
        row = f"{', '.join(values)}, coalesce({_ACTOR}, {by}), now(), '{table}', r.{key}::text"
        # Names of our own tables and columns only: no value from outside gets here.
        opened = f"INSERT INTO rbac_accesschange ({_COLUMNS}) SELECT {row} FROM %ROWS% r WHERE {only}"  # noqa: S608
        held = f"h.source = '{table}' AND h.row_id = r.{key}::text AND h.valid_until IS NULL"
        ends = f"SET valid_until = greatest(now(), h.valid_from), ended_by = {_ACTOR}"
        closed = f"UPDATE rbac_accesschange h {ends} FROM %ROWS% r WHERE {held}"  # noqa: S608
        # The rows that the table holds already are put in by the same statement the trigger uses.
        up = [
            opened.replace("%ROWS%", table),
            f"CREATE FUNCTION {table}_history() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF TG_OP = 'INSERT' THEN {opened.replace('%ROWS%', 'new_rows')}; "
            f"ELSIF TG_OP = 'DELETE' THEN {closed.replace('%ROWS%', 'old_rows')}; "
            f"ELSE {closed.replace('%ROWS%', '(SELECT OLD.*)')}; {opened.replace('%ROWS%', '(SELECT NEW.*)')}; "
            "END IF; RETURN NULL; END $$",
            f"CREATE TRIGGER {table}_history_new AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_rows "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_history()",
            f"CREATE TRIGGER {table}_history_end AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_history()",
            f"CREATE TRIGGER {table}_history_change AFTER UPDATE OF {', '.join(watched)} ON {table} "
            f"FOR EACH ROW WHEN ({differs}) EXECUTE FUNCTION {table}_history()",
        ]
        down = [f"DROP TRIGGER {table}_history_{when} ON {table}" for when in ("change", "end", "new")]
        super().__init__([*up], [*down, f"DROP FUNCTION {table}_history()"])


def track_shared(resource_type: str, table: str) -> list[TrackAccess]:
    """The steps for a shared type and its two grant tables (named by Django's rule: `<table>usergrant`)."""
    permission = (
        "(SELECT CASE WHEN p.codename LIKE 'change\\_%' THEN 'write' ELSE 'read' END "
        "FROM auth_permission p WHERE p.id = r.permission_id)"
    )
    grant = f"jsonb_build_object('permission', {permission}, 'is_denied', r.is_denied, 'expires_at', r.expires_at)"
    owner = "jsonb_build_object('owner', r.owner_id, 'general_access', r.general_access)"
    steps = [
        TrackAccess(
            table,
            ("'resource'", f"'{resource_type}'", "r.id", "''", "NULL::uuid", owner),
            watched=["owner_id", "general_access"],
        )
    ]
    for kind in ("user", "group"):
        steps.append(
            TrackAccess(
                f"{table}{kind}grant",
                ("'grant'", f"'{resource_type}'", "r.content_object_id", f"'{kind}'", f"r.{kind}_id", grant),
                watched=["permission_id", "is_denied", "expires_at", f"{kind}_id", "content_object_id"],
                by="r.granted_by_id",
            )
        )
    return steps


# ------------------------------------------------------------------------------------------------------- looking back
def states_at(moment: datetime, **which: Any) -> QuerySet[AccessChange]:
    """The states that held at a moment; `which` narrows them by column."""
    held = Q(valid_until=None) | Q(valid_until__gt=moment)
    return AccessChange.objects.filter(held, valid_from__lte=moment, **which)


def role_at(user_id: uuid.UUID, moment: datetime) -> str:
    """The role of an account at a moment; empty when there was none or it was switched off."""
    state = states_at(moment, kind="role", object_id=user_id).first()
    return state.value["role"] if state is not None and state.value["is_active"] else ""


def groups_at(user_id: uuid.UUID, moment: datetime) -> set[uuid.UUID]:
    """The groups somebody counted as a member of at a moment, ancestors included."""
    parents = {s.object_id: s.value["parent"] for s in states_at(moment, kind="group")}
    found: set[uuid.UUID] = set()
    for state in states_at(moment, kind="member", principal_id=user_id):
        group: uuid.UUID | None = state.object_id
        while group is not None and group not in found:
            found.add(group)
            parent = parents.get(group)
            group = uuid.UUID(parent) if parent else None
    return found


def reachable_at(user_id: uuid.UUID, resource_type: str, moment: datetime, *, write: bool = False) -> set[uuid.UUID]:
    """Ids of the objects of a type that somebody could read (or change) at a past moment.

    The rule is that of `SharedQuerySet` over the states of then. The switches of the environment (bypass) are those of
    today: they are not in the database. What a type adds of its own (`extra_access`) is not looked at.
    """
    role, model = role_at(user_id, moment), resource_types()[resource_type]
    resources = {s.object_id: s.value for s in states_at(moment, kind="resource", object_type=resource_type)}
    if role not in ("admin", "user"):
        is_open = model.allows_anyone and not write
        return {pk for pk, v in resources.items() if pk and is_open and v["general_access"] == Access.ANYONE}
    past = _Past(user_id, role)
    # What lets everybody use every model changes none.
    if model.bypass_applies(past) and (not write or model.administered or bypasses_access(past)):
        return {pk for pk in resources if pk}
    if write and model.administered:
        return set()
    granted: dict[bool, dict[uuid.UUID | None, set[str]]] = {True: defaultdict(set), False: defaultdict(set)}
    principals = [user_id, *groups_at(user_id, moment)]
    for state in states_at(moment, kind="grant", object_type=resource_type, principal_id__in=principals):
        ends = state.value["expires_at"]
        if not ends or datetime.fromisoformat(ends) > moment:
            granted[state.value["is_denied"]][state.object_id].add(state.value["permission"])
    open_to_all = {Access.WRITE} if write else {Access.READ, Access.WRITE, Access.ANYONE}
    needed, blocked = ({"write"}, {"read", "write"}) if write else ({"read", "write"}, {"read"})
    return {
        pk
        for pk, value in resources.items()
        if pk
        and (value["owner"] == str(user_id) or value["general_access"] in open_to_all or granted[False][pk] & needed)
        and not granted[True][pk] & blocked
    }


class _Past:
    """Somebody as of then, as far as the bypass asks."""

    def __init__(self, pk: uuid.UUID, role: str) -> None:
        self.id, self.role, self.is_active, self.email, self.name = pk, role, True, "", ""
