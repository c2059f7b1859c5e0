"""Groups, and one factory for each shared type: the smallest valid object, owned by whom the test says."""

from __future__ import annotations

from typing import Any

from rbac.models import Group
from rbac.sharing import SharedResource, resource_types
from tests.factories.accounts import a_system_admin


def make_group(name: str = "", *, members: Any = (), parent: Group | None = None, permissions: Any = None) -> Group:
    """A group through the services, so that its ancestry is right."""
    from rbac import services

    group = services.create_group(
        name=name or f"Group {next(_numbers)}",
        by=a_system_admin(),
        parent_id=parent.pk if parent else None,
        permissions=permissions,
    )
    services.add_members(group, [user.pk for user in members], by=a_system_admin())
    return group


def types_people_share() -> list[str]:
    """The types that have owners. Connections are lent by administrators: tests/inference/test_tool_servers.py."""
    return sorted(kind for kind, model in resource_types().items() if not getattr(model, "administered", False))


def _count() -> Any:
    number = 0
    while True:
        number += 1
        yield number


_numbers = _count()


def make_shared(resource_type: str, owner: Any, **fields: Any) -> SharedResource:
    """An object of any shared type, private to its owner."""
    number = next(_numbers)
    model = resource_types()[resource_type]
    names = {field.name for field in model._meta.get_fields()}
    values: dict[str, Any] = {"owner": owner}
    for field in ("name", "title"):
        if field in names:
            values[field] = f"{resource_type} {number}"
    for field in ("model_id", "tool_id", "skill_id", "server_id", "command"):
        if field in names:
            values[field] = f"{resource_type}-{number}"
    if resource_type == "shared_chat":
        from chat.models import Chat

        values["chat"] = fields.pop("chat", None) or Chat.objects.create(owner=owner, title=f"chat {number}")
    return model.objects.create(**{**values, **fields})
