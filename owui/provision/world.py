"""What the database holds of the things a file can name, read in a few statements whatever their number."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from accounts.models import User
from accounts.services import primary_admin_id
from inference.models import AIModel, ServerConnection, TerminalServer, ToolServer
from knowledge.models import KnowledgeBase
from owui.provision.models import Provisioned
from rbac.grants import READ, WRITE
from rbac.models import Group, GroupManager, Membership, MembershipSource
from rbac.sharing import SharedResource

Pair = tuple[uuid.UUID, uuid.UUID]
#: kind of the connection to its section in the file and its table
SERVERS: dict[str, tuple[str, type[ServerConnection]]] = {
    "tool_server": ("tool_servers", ToolServer),
    "terminal_server": ("terminals", TerminalServer),
}
BATCH = 2000


@dataclass(slots=True)
class GrantRow:
    """One row of a grant table, ended or not."""

    pk: int
    until: datetime | None


#: What there is one row of on an object: kind and id of the principal, permission, whether it is a denial. A grant and
#: a denial of the same permission may stand side by side, and are never turned into one another.
GrantKey = tuple[str, uuid.UUID, str, bool]


@dataclass(slots=True)
class World:
    """Everything by the name that files use."""

    users: dict[str, User]
    emails: dict[uuid.UUID, str]
    primary: uuid.UUID | None
    groups: dict[str, Group]
    members: set[Pair]
    managers: set[Pair]
    models: dict[str, AIModel]
    bases: dict[uuid.UUID, KnowledgeBase]
    servers: dict[str, dict[str, ServerConnection]]
    owned: dict[tuple[str, str], Provisioned]
    group_names: dict[uuid.UUID, str] = field(default_factory=dict)

    def owner_email(self, owner_id: uuid.UUID | None) -> str | None:
        return self.emails.get(owner_id) if owner_id else None

    def principal(self, kind: str, pk: uuid.UUID) -> str:
        """What people call a person or a group."""
        return self.group_names.get(pk, str(pk)) if kind == "group" else self.emails.get(pk, str(pk))


def load() -> World:
    """The world of now. Memberships are those made by hand: what a directory brought is the directory's."""
    columns = ("pk", "email", "name", "role", "is_active", "session_stamp", "created_at", "is_address_claimed")
    users = {user.email: user for user in User.objects.only(*columns).order_by().iterator(BATCH)}
    groups = {group.name: group for group in Group.objects.order_by("name")}
    manual = Membership.objects.filter(source=MembershipSource.MANUAL)
    return World(
        users=users,
        emails={user.pk: email for email, user in users.items()},
        primary=primary_admin_id(),
        groups=groups,
        members=set(manual.values_list("group_id", "user_id").iterator(BATCH)),
        managers=set(GroupManager.objects.values_list("group_id", "user_id")),
        models={model.model_id: model for model in AIModel.objects.order_by("model_id")},
        bases={kb.pk: kb for kb in KnowledgeBase.objects.order_by("name", "created_at")},
        servers={
            kind: {row.server_id: row for row in table._default_manager.order_by("position", "server_id")}
            for kind, (_section, table) in SERVERS.items()
        },
        owned={(row.kind, row.key): row for row in Provisioned.objects.order_by("pk").iterator(BATCH)},
        group_names={group.pk: name for name, group in groups.items()},
    )


def grant_rows(
    model: type[SharedResource], pks: Sequence[uuid.UUID] | None = None
) -> dict[uuid.UUID, dict[GrantKey, GrantRow]]:
    """All grant rows of some objects (None: of all objects of the type)."""
    found: dict[uuid.UUID, dict[GrantKey, GrantRow]] = defaultdict(dict)
    change = f"change_{model._meta.model_name}"
    for kind, table in (("user", model.user_grant_model()), ("group", model.group_grant_model())):
        rows = table._default_manager.all()
        if pks is not None:
            rows = rows.filter(content_object_id__in=pks)
        columns = ("pk", "content_object_id", f"{kind}_id", "permission__codename", "is_denied", "expires_at")
        for pk, obj, principal, codename, is_denied, until in rows.values_list(*columns).iterator(BATCH):
            permission = WRITE if codename == change else READ
            # To the second, as files write it.
            until = until.replace(microsecond=0) if until else None
            found[obj][(kind, principal, permission, is_denied)] = GrantRow(pk, until)
    return found


def in_batches(items: Iterable[Any], size: int = BATCH) -> Iterable[list[Any]]:
    """Lists of at most so many."""
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
