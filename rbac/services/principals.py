"""Groups and people as somebody may see them: the choices of a sharing dialog."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count, Q

from rbac.models import Group
from rbac.permissions import may
from rbac.sharing import Person, groups_of


def effective_groups(user: Person) -> Any:
    """All groups a person counts as a member of, ancestors included."""
    return Group.objects.filter(pk__in=groups_of(user.id))


def shareable_groups(user: Person) -> Any:
    """Groups a person may pick as a target: open ones, and their own where members may; administrators may any."""
    if user.role == "admin":
        return Group.objects.all()
    share = "data__config__share"
    is_open = Q(**{share: True}) | Q(**{f"{share}__isnull": True}) | Q(**{share: None})
    return Group.objects.filter(is_open | Q(**{share: "members"}, pk__in=groups_of(user.id)))


def search_principals(query: str, *, by: Person, limit: int = 8) -> list[dict[str, Any]]:
    """People and groups that match, as far as the person may share with them; for the access dialog."""
    found: list[dict[str, Any]] = []
    if by.role == "admin" or may(by, "access_grants.allow_groups"):
        groups = shareable_groups(by).filter(name__icontains=query)
        rows = groups.annotate(people=Count("memberships__user", distinct=True)).order_by("name", "pk")[:limit]
        found += [
            {"kind": "group", "id": str(g.pk), "name": g.name, "email": "", "member_count": g.people} for g in rows
        ]
    if by.role == "admin" or may(by, "access_grants.allow_users"):
        users = get_user_model()._default_manager.filter(is_active=True, role__in=("user", "admin")).exclude(pk=by.id)
        matching = users.filter(Q(name__icontains=query) | Q(email__icontains=query)).order_by("name", "pk")[:limit]
        found += [{"kind": "user", "id": str(u.pk), "name": u.name, "email": u.email} for u in matching]
    return found
