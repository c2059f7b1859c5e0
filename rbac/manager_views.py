"""The pages of delegated managers: their groups and who is in them. Nothing else of a group is theirs."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from owui.lib.errors import Missing, UserError
from owui.lib.pagination import PAGE_SIZE, page_of
from rbac import services
from rbac.models import Group, Membership, MembershipSource
from rbac.web import go, verified_only

SECTION = "groups"


def _number(text: str) -> int:
    return max(1, int(text)) if text.isdecimal() and len(text) < 7 else 1


def _asked(request: HttpRequest) -> str:
    return " ".join(request.GET.get("q", "").replace("\x00", "").split())[:100]


@never_cache
@require_GET
@verified_only
def group_list(request: HttpRequest) -> HttpResponseBase:
    user: Any = request.user
    query, page = _asked(request), _number(request.GET.get("page", ""))
    groups = services.managed_groups(user).order_by("name", "pk")
    groups = groups.filter(name__icontains=query) if query else groups
    rows = list(page_of(groups, page, PAGE_SIZE).only("name", "description"))
    counts = Membership.objects.filter(group__in=rows).order_by().values_list("group")
    people = dict(counts.annotate(n=Count("user", distinct=True)))
    items = [{"id": g.pk, "name": g.name, "description": g.description, "members": people.get(g.pk, 0)} for g in rows]
    context = {"group_list": items, "section": SECTION, **_pages(groups.count(), page), "query": query}
    return render(request, "rbac/group_list.html", context)


@never_cache
@require_GET
@verified_only
def group_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The page; for htmx only the table of members."""
    user: Any = request.user
    group = services.managed_group(user, pk)
    page = _number(request.GET.get("page", ""))
    context = _members(group, user, _asked(request), page) | {"section": SECTION}
    template = "rbac/_group_members.html" if _is_part(request) else "rbac/group_detail.html"
    return render(request, template, context)


def _is_part(request: HttpRequest) -> bool:
    return bool(getattr(request, "htmx", False)) and not request.headers.get("HX-Boosted")


def _members(group: Group, user: Any, query: str = "", page: int = 1) -> dict[str, Any]:
    """Names and addresses, and why each is in the group; three statements."""
    people = services.members_of(group, query)
    shown = list(page_of(people, page, PAGE_SIZE).only("name", "email"))
    sources: dict[Any, list[str]] = {}
    rows = Membership.objects.filter(group=group, user__in=shown).order_by("source")
    for user_id, source in rows.values_list("user_id", "source"):
        sources.setdefault(user_id, []).append(source)
    items = [_member(person, sources.get(person.pk, []), user) for person in shown]
    return {
        "group": {"id": group.pk, "name": group.name, "description": group.description},
        "member_list": items,
        "query": query,
        **_pages(people.count(), page),
    }


def _member(person: Any, sources: list[str], user: Any) -> dict[str, Any]:
    labels = [str(MembershipSource(source).label) for source in sources]
    why = ""
    if user.role != "admin" and person.pk == user.pk:
        why = _("Somebody else decides whether you are in a group that you manage.")
    elif user.role != "admin" and any(source != MembershipSource.MANUAL for source in sources):
        why = _("Can only be removed where the membership comes from.")
    return {"id": person.pk, "name": person.name, "email": person.email, "sources": labels, "why_not": why}


def _pages(total: int, page: int) -> dict[str, Any]:
    last = max(1, -(-total // PAGE_SIZE))
    return {
        "total": total,
        "page_number": page,
        "page_count": last,
        "previous": page - 1 if page > 1 else None,
        "next": page + 1 if page < last else None,
    }


@never_cache
@require_GET
@verified_only
def group_people(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """A few people who could be added, while somebody types."""
    user: Any = request.user
    group = services.managed_group(user, pk)
    query = _asked(request)
    found = services.people_to_add(group, query, by=user)
    context = {"group": group, "people": found, "is_short": len(query) < services.SHORTEST_QUERY, "query": query}
    return render(request, "rbac/_group_people.html", context)


@require_POST
@verified_only
def member_add(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    user: Any = request.user
    group = services.managed_group(user, pk)
    person = _person(request.POST.get("user_id", ""))
    services.change_members(group, by=user, add=[person.pk])
    if not getattr(request, "htmx", False):
        return go(request, reverse("rbac:group-detail", args=[pk]))
    context = _members(group, user) | {"said": _("%(name)s was added.") % {"name": person.name}}
    return render(request, "rbac/_group_members.html", context)


@require_http_methods(["GET", "POST"])
@verified_only
def member_remove(request: HttpRequest, pk: uuid.UUID, user_id: uuid.UUID) -> HttpResponseBase:
    """GET asks, POST removes."""
    user: Any = request.user
    group = services.managed_group(user, pk)
    person = services.members_of(group).filter(pk=user_id).first()
    if person is None:
        raise Missing(_("This person is not in the group any more."))
    if request.method == "POST":
        services.change_members(group, by=user, remove=[person.pk])
        return go(request, reverse("rbac:group-detail", args=[pk]))
    context = {
        "title": _("Remove this member?"),
        "name": person.name,
        "text": _("What %(group)s opens is closed to this person at once.") % {"group": group.name},
        "action_url": request.path,
        "verb": _("Remove"),
    }
    return render(request, "components/_confirm_dialog.html", context)


def _person(text: str) -> Any:
    try:
        found = get_user_model()._default_manager.filter(pk=uuid.UUID(text), is_active=True).first()
    except ValueError:
        found = None
    if found is None:
        raise UserError(_("This person does not exist any more. Search again."))
    return found
