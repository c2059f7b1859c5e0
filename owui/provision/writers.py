"""Writes a plan with statements over thousands of rows: services change one thing at a time, and that would take hours.

What services promise holds here as well: ancestry is rebuilt, sessions of people who are switched off end, and every
change has its audit event (`owui.provision.events`) in the same transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.utils import timezone

from accounts.models import Session, User
from inference.models import AIModel
from knowledge.models import KnowledgeBase
from knowledge.services import delete_base
from owui.config import store
from owui.provision.models import Provisioned
from owui.provision.plan import CHANGE, CREATE, REMOVE, Change, GrantChanges, Plan
from owui.provision.progress import Progress
from owui.provision.world import SERVERS, GrantKey, World, in_batches
from rbac.models import Group, GroupManager, Membership, MembershipSource
from rbac.permissions import PERMISSIONS, default_permissions, is_true, nested
from rbac.services import rebuild_ancestry, set_default_permissions
from rbac.sharing import Person, SharedResource, resource_types

BATCH = 1000


def write_settings(plan: Plan, by: Any) -> None:
    """Settings, connections and default permissions, through the store: it keeps its own audit events."""
    if plan.settings:
        store.set_values(plan.settings, by=by)
    if plan.resets:
        store.reset(plan.resets, by=by)
    if plan.permissions:
        present = default_permissions()
        tree = nested({key: plan.permissions.get(key, is_true(present, key)) for key in PERMISSIONS})
        set_default_permissions(tree, by=by)


def write_users(plan: Plan, hashes: dict[str, str], progress: Progress) -> None:
    """Accounts. Administrators are made first: the oldest account is the primary one."""
    new = sorted(plan.of("user", CREATE), key=lambda change: change.values["role"] != "admin")
    started = timezone.now()

    def rows() -> Iterable[User]:
        for change in progress.over(new, "People", len(new)):
            values = {name: value for name, value in change.values.items() if name != "password"}
            password = hashes.get(change.label) or make_password(None)
            yield User(pk=change.pk, password=password, created_at=timezone.now(), updated_at=started, **values)

    _insert(User, rows())
    changed = plan.of("user", CHANGE) + plan.of("user", REMOVE)
    _update(User, changed, ("name", "role", "is_active"), progress)
    gone = [change.pk for change in changed if change.values.get("is_active") is False]
    for some in in_batches(gone, BATCH):
        _end_sessions(some)


def _end_sessions(pks: list[Any]) -> None:
    """Off means off at once, on every node: a new stamp makes old tokens worthless."""
    users = [User(pk=pk, session_stamp=uuid.uuid4()) for pk in pks]
    User.objects.bulk_update(users, ["session_stamp"])
    Session.objects.filter(user_id__in=pks, revoked_at=None).update(revoked_at=timezone.now())


def write_groups(plan: Plan, by: Person, progress: Progress) -> None:
    """Groups and their tree."""
    Group.objects.filter(pk__in=[change.pk for change in plan.of("group", REMOVE)]).delete()
    new = plan.of("group", CREATE)
    blank = {"data": {"config": {"share": "members"}}}
    _insert(Group, (Group(pk=c.pk, name=c.label, created_by_id=by.id, **(blank | c.values)) for c in new))
    changed = [change for change in plan.of("group", CHANGE) if change.values]
    _update(Group, changed, ("description", "parent_id", "permissions", "data"), progress)
    if new or plan.of("group", REMOVE) or any("parent_id" in change.values for change in changed):
        rebuild_ancestry()


def write_members(plan: Plan, by: Person, progress: Progress) -> None:
    """Memberships by hand, and managers."""
    manual: dict[str, Any] = {"source": MembershipSource.MANUAL}
    for model, added, removed, extra in (
        (Membership, plan.members_added, plan.members_removed, manual),
        (GroupManager, plan.managers_added, plan.managers_removed, {}),
    ):
        of_group: dict[uuid.UUID, list[uuid.UUID]] = {}
        for group, user in removed:
            of_group.setdefault(group, []).append(user)
        for group, users in of_group.items():
            model._default_manager.filter(group_id=group, user_id__in=users, **extra).delete()
        pairs = progress.over(added, "Memberships", len(added))
        _insert(model, (model(group_id=g, user_id=u, created_by_id=by.id, **extra) for g, u in pairs))


def write_resources(plan: Plan, by: Person, progress: Progress) -> None:
    """Knowledge bases and models. A base that goes takes its links and chunks with it, so the service does that."""
    for kb in KnowledgeBase.objects.filter(pk__in=[change.pk for change in plan.of("knowledge", REMOVE)]):
        delete_base(kb, by=by)
    _insert(KnowledgeBase, (KnowledgeBase(pk=c.pk, **c.values) for c in plan.of("knowledge", CREATE)))
    _insert(AIModel, (AIModel(pk=c.pk, **c.values) for c in plan.of("model", CREATE)))
    common = ("name", "owner_id", "general_access")
    _update(KnowledgeBase, plan.of("knowledge", CHANGE), (*common, "description"), progress)
    columns = (*common, "base_model_id", "params", "meta", "is_active")
    _update(AIModel, plan.of("model", CHANGE), columns, progress)
    for kind in SERVERS:
        _update(resource_types()[kind], plan.of(kind, CHANGE), ("general_access",), progress)
    # Last, and first taken off one another: a base cannot go before what stands on it.
    gone = AIModel.objects.filter(pk__in=[change.pk for change in plan.of("model", REMOVE)])
    gone.update(base_model=None)
    gone.delete()


def write_grants(plan: Plan, by: Person, progress: Progress) -> None:
    """The rows of the grant tables."""
    types = resource_types()
    for kind, changes in plan.grants.items():
        _write_grants(types[kind], changes, by, progress)


def _write_grants(model: type[SharedResource], changes: GrantChanges, by: Person, progress: Progress) -> None:
    name = model._meta.model_name
    codes = dict(
        Permission.objects.filter(
            content_type__app_label=model._meta.app_label, codename__in=(f"view_{name}", f"change_{name}")
        ).values_list("codename", "pk")
    )
    code = {"read": codes[f"view_{name}"], "write": codes[f"change_{name}"]}
    for kind, table in (("user", model.user_grant_model()), ("group", model.group_grant_model())):
        for some in in_batches([pk for of, pk in changes.remove if of == kind], BATCH):
            table._default_manager.filter(pk__in=some).delete()
        for some in in_batches([row for row in changes.update if row[0] == kind], BATCH):
            rows = [table(pk=pk, expires_at=until, granted_by_id=by.id) for _kind, pk, until in some]
            table._default_manager.bulk_update(rows, ["expires_at", "granted_by"])

        def row(pk: uuid.UUID, key: GrantKey, until: Any, kind: str = kind, table: Any = table) -> Model:
            _kind, principal, permission, is_denied = key
            values = {f"{kind}_id": principal, "permission_id": code[permission], "content_object_id": pk}
            new: Model = table(**values, is_denied=is_denied, expires_at=until, granted_by_id=by.id)
            return new

        new = [entry for entry in changes.add if entry[1][0] == kind]
        _insert(table, (row(*entry) for entry in progress.over(new, f"Grants ({model.resource_type})", len(new))))


def write_ownership(plan: Plan, world: World) -> None:
    """The table of what files gave, as it is after this one."""
    gone = [row.pk for name, row in world.owned.items() if name not in plan.owned]
    for some in in_batches(gone, BATCH):
        Provisioned.objects.filter(pk__in=some).delete()
    changed, new = [], []
    for name, owned in plan.owned.items():
        row = world.owned.get(name)
        if row is None:
            new.append(Provisioned(kind=name[0], key=name[1], object_id=owned.object_id, applied=owned.applied))
        elif (row.object_id, row.applied) != (owned.object_id, owned.applied):
            row.object_id, row.applied, row.applied_at = owned.object_id, owned.applied, timezone.now()
            changed.append(row)
    _insert(Provisioned, new)
    Provisioned.objects.bulk_update(changed, ["object_id", "applied", "applied_at"], batch_size=BATCH)


def _insert(model: Any, rows: Iterable[Any]) -> None:
    for some in in_batches(rows, BATCH):
        model._default_manager.bulk_create(some)


def _update(model: Any, changes: list[Change], columns: tuple[str, ...], progress: Progress) -> None:
    """The changed columns, one statement for each set of them and each thousand rows."""
    by_columns: dict[tuple[str, ...], list[Change]] = {}
    for change in changes:
        names = tuple(name for name in columns if name in change.values)
        if names:
            by_columns.setdefault(names, []).append(change)
    now = timezone.now()
    has_time: Callable[[Any], dict[str, Any]] = lambda m: {"updated_at": now} if hasattr(m, "updated_at") else {}  # noqa: E731
    for names, some in by_columns.items():
        rows = [model(pk=c.pk, **{n: c.values[n] for n in names}, **has_time(model)) for c in some]
        fields = [name.removesuffix("_id") for name in names] + list(has_time(model))
        for batch in in_batches(progress.over(rows, model._meta.verbose_name_plural.capitalize(), len(rows)), 500):
            model._default_manager.bulk_update(batch, fields)
