"""`/api/v1/skills`: written know-how that is put into prompts by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import Field

from accounts.schemas import shown_info
from inference import library
from inference.models import Skill
from owui.lib.guards import verified
from rbac.listings import Listed, listed, listed_page
from rbac.permissions import require
from rbac.schemas import AccessForm, access_fields
from rbac.shortcuts import get_readable, get_writable

router = Router(tags=["skills"])


class SkillForm(AccessForm):
    id: str
    name: str
    description: str | None = ""
    content: str
    meta: dict[str, Any] = Field(default_factory=dict)
    is_active: bool = True


@router.get("/", auth=verified)
def list_skills(request: HttpRequest) -> list[dict[str, Any]]:
    user: Any = request.user
    return _listed_json(listed(Skill.objects.readable_by(user).order_by("name", "pk"), user), user)


@router.get("/list", auth=verified)
def search_skills(
    request: HttpRequest,
    query: str = "",
    view_option: str = "",
    tag: str = "",
    order_by: str = "",
    direction: str = "",
    page: int = 1,
) -> dict[str, Any]:
    user: Any = request.user
    rows: Any = Skill.objects.readable_by(user)
    if query:
        rows = rows.filter(Q(name__icontains=query) | Q(skill_id__icontains=query) | Q(description__icontains=query))
    if view_option in ("created", "shared"):
        own = Q(owner_id=user.pk)
        rows = rows.filter(own if view_option == "created" else ~own)
    if tag:
        rows = rows.filter(meta__tags__contains=[tag])
    field = order_by if order_by in ("name", "created_at", "updated_at") else "updated_at"
    rows = rows.order_by(("" if direction == "asc" else "-") + field, "pk")
    found = listed_page(rows, user, page)
    return {"items": _listed_json(found, user), "total": found.total}


@router.get("/export", auth=verified)
def export_skills(request: HttpRequest, ids: str = "", format: str = "json") -> Any:  # noqa: A002
    """As a JSON list, or as one Markdown text with front matter (`format=skill`) when one skill is asked for."""
    user: Any = request.user
    require(user, "workspace.skills_export", status=403)
    rows: Any = Skill.objects.writable_by(user).select_related("owner")
    found = list(rows.filter(skill_id__in=ids.split(",")) if ids else rows)
    if format == "skill" and len(found) == 1:
        answer = HttpResponse(_markdown(found[0]), content_type="text/markdown; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{found[0].skill_id}.md"'
        return answer
    return _json(found, user)


@router.post("/create", auth=verified)
def create_skill(request: HttpRequest, form: SkillForm) -> dict[str, Any]:
    by: Any = request.user
    skill = library.create_skill(by=by, skill_id=form.id, grants=form.grants() or (), **_values(form))
    return _record(skill, request)


@router.get("/id/{skill_id}", auth=verified)
def get_skill(request: HttpRequest, skill_id: str) -> dict[str, Any]:
    user: Any = request.user
    return _record(get_readable(Skill.objects.all(), user, None, denied=401, skill_id=skill_id), request)


@router.post("/id/{skill_id}/update", auth=verified)
def update_skill(request: HttpRequest, skill_id: str, form: SkillForm) -> dict[str, Any]:
    by: Any = request.user
    skill = library.update_skill(_writable(request, skill_id), by=by, grants=form.grants(), **_values(form))
    return _record(skill, request)


@router.post("/id/{skill_id}/access/update", auth=verified)
def update_access(request: HttpRequest, skill_id: str, form: AccessForm) -> dict[str, Any]:
    skill = _writable(request, skill_id)
    form.update(skill, by=request.user)  # type: ignore[arg-type]
    return _record(skill, request)


@router.post("/id/{skill_id}/toggle", auth=verified)
def toggle_skill(request: HttpRequest, skill_id: str) -> dict[str, Any]:
    by: Any = request.user
    skill = _writable(request, skill_id)
    return _record(library.update_skill(skill, by=by, is_active=not skill.is_active), request)


@router.delete("/id/{skill_id}/delete", auth=verified)
def delete_skill(request: HttpRequest, skill_id: str) -> bool:
    library.delete_skill(_writable(request, skill_id), by=request.user)  # type: ignore[arg-type]
    return True


def _values(form: SkillForm) -> dict[str, Any]:
    values = form.dict(include={"name", "content", "meta", "is_active"})
    return {**values, "description": form.description or ""}


def _writable(request: HttpRequest, skill_id: str) -> Skill:
    user: Any = request.user
    found: Skill = get_writable(Skill.objects.all(), user, None, denied=401, skill_id=skill_id)
    return found


def _record(skill: Skill, request: HttpRequest) -> dict[str, Any]:
    skill.refresh_from_db()
    return _json([skill], request.user)[0]


def _json(rows: Sequence[Skill], user: Any) -> list[dict[str, Any]]:
    access = access_fields(rows, user)
    return [_row_json(row, user, access[row.pk]) for row in rows]


def _listed_json(found: Listed, user: Any) -> list[dict[str, Any]]:
    return [_row_json(row, user, found.access[row.pk]) for row in found.rows]


def _row_json(row: Skill, user: Any, access: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row.skill_id,
        "user_id": str(row.owner_id) if row.owner_id else "",
        "name": row.name,
        "description": row.description,
        "content": row.content,
        "meta": {"tags": [], **row.meta},
        "is_active": row.is_active,
        "created_at": int(row.created_at.timestamp()),
        "updated_at": int(row.updated_at.timestamp()),
        "user": shown_info(row.owner, to=user),
        **access,
    }


def _markdown(skill: Skill) -> str:
    """The field's exchange form. Values are written as JSON texts, which YAML reads as they are."""
    head = "".join(
        f"{key}: {json.dumps(value, ensure_ascii=False)}\n"
        for key, value in (("name", skill.name), ("description", skill.description))
    )
    return f"---\n{head}---\n\n{skill.content}\n"
