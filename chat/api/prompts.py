"""`/api/v1/prompts`: the texts behind `/command`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from ninja import Router, Schema

from accounts.schemas import shown_info
from chat import prompts
from chat.models import Prompt
from owui.lib.guards import verified
from rbac.listings import Listed, listed, listed_page
from rbac.schemas import AccessForm, access_fields
from rbac.shortcuts import get_readable, get_writable

router = Router(tags=["prompts"])


class PromptForm(AccessForm):
    command: str
    name: str | None = None
    title: str | None = None  # what older clients call the name
    content: str
    tags: list[str] | None = None
    data: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None
    is_active: bool | None = None

    def values(self) -> dict[str, Any]:
        """The fields that were sent; old clients know no name and get the command for it."""
        found: dict[str, Any] = {"command": self.command, "content": self.content}
        found["name"] = self.name or self.title or self.command
        if self.tags is not None:
            found["tags"] = self.tags
        if self.meta is not None or self.data is not None:
            found["meta"] = {**(self.meta or {}), **({"data": self.data} if self.data is not None else {})}
        return found


class PromptMetaForm(Schema):
    name: str
    command: str
    tags: list[str] | None = None


@router.get("/", auth=verified)
def list_prompts(request: HttpRequest) -> list[dict[str, Any]]:
    user: Any = request.user
    return _listed_json(listed(Prompt.objects.readable_by(user).order_by("command"), user), user)


@router.get("/list", auth=verified)
def search_prompts(
    request: HttpRequest,
    query: str = "",
    view_option: str = "",
    tag: str = "",
    order_by: str = "",
    direction: str = "",
    page: int = 1,
) -> dict[str, Any]:
    rows: Any = Prompt.objects.readable_by(request.user)  # type: ignore[arg-type]
    if query:
        rows = rows.filter(Q(name__icontains=query) | Q(command__icontains=query))
    if view_option in ("created", "shared"):
        own = Q(owner_id=request.user.pk)
        rows = rows.filter(own if view_option == "created" else ~own)
    if tag:
        rows = rows.filter(tags__contains=[tag])
    field = order_by if order_by in ("name", "command", "created_at", "updated_at") else "updated_at"
    rows = rows.order_by(("" if direction == "asc" else "-") + field, "pk")
    found = listed_page(rows, request.user, page)  # type: ignore[arg-type]
    return {"items": _listed_json(found, request.user), "total": found.total}


@router.get("/tags", auth=verified)
def list_tags(request: HttpRequest) -> list[str]:
    rows: Any = Prompt.objects.readable_by(request.user).exclude(tags=[]).order_by()  # type: ignore[arg-type]
    return sorted({str(tag) for tags in rows.values_list("tags", flat=True) for tag in tags})


@router.post("/create", auth=verified)
def create_prompt(request: HttpRequest, form: PromptForm) -> dict[str, Any]:
    by: Any = request.user
    return _record(prompts.create_prompt(by=by, grants=form.grants() or (), **form.values()), request)


@router.get("/id/{prompt_id}", auth=verified)
def get_prompt(request: HttpRequest, prompt_id: str) -> dict[str, Any]:
    return _record(_readable(request, prompt_id), request)


@router.post("/id/{prompt_id}/update", auth=verified)
def update_prompt(request: HttpRequest, prompt_id: str, form: PromptForm) -> dict[str, Any]:
    return _update(request, _writable(request, prompt_id), form)


@router.post("/id/{prompt_id}/update/meta", auth=verified)
def update_prompt_meta(request: HttpRequest, prompt_id: str, form: PromptMetaForm) -> dict[str, Any]:
    by: Any = request.user
    changes = form.dict(exclude_none=True)
    return _record(prompts.update_prompt(_writable(request, prompt_id), by=by, **changes), request)


@router.post("/id/{prompt_id}/access/update", auth=verified)
def update_access(request: HttpRequest, prompt_id: str, form: AccessForm) -> dict[str, Any]:
    prompt = _writable(request, prompt_id)
    form.update(prompt, by=request.user)  # type: ignore[arg-type]
    return _record(prompt, request)


@router.post("/id/{prompt_id}/toggle", auth=verified)
def toggle_prompt(request: HttpRequest, prompt_id: str) -> dict[str, Any]:
    by: Any = request.user
    prompt = _writable(request, prompt_id)
    return _record(prompts.update_prompt(prompt, by=by, is_active=not prompt.is_active), request)


@router.delete("/id/{prompt_id}/delete", auth=verified)
def delete_prompt(request: HttpRequest, prompt_id: str) -> bool:
    prompts.delete_prompt(_writable(request, prompt_id), by=request.user)  # type: ignore[arg-type]
    return True


# -------------------------------------------------------------------------------------- the same for older clients
@router.get("/command/{command}", auth=verified)
def get_by_command(request: HttpRequest, command: str) -> dict[str, Any]:
    return _record(_readable(request, None, command=command), request)


@router.post("/command/{command}/update", auth=verified)
def update_by_command(request: HttpRequest, command: str, form: PromptForm) -> dict[str, Any]:
    return _update(request, _writable(request, None, command=command), form)


@router.delete("/command/{command}/delete", auth=verified)
def delete_by_command(request: HttpRequest, command: str) -> bool:
    prompts.delete_prompt(_writable(request, None, command=command), by=request.user)  # type: ignore[arg-type]
    return True


# ------------------------------------------------------------------------------------------------------------ helpers
def _readable(request: HttpRequest, pk: str | None, **lookup: Any) -> Prompt:
    user: Any = request.user
    found: Prompt = get_readable(Prompt.objects.all(), user, pk, denied=401, **lookup)
    return found


def _writable(request: HttpRequest, pk: str | None, **lookup: Any) -> Prompt:
    user: Any = request.user
    found: Prompt = get_writable(Prompt.objects.all(), user, pk, denied=401, **lookup)
    return found


def _update(request: HttpRequest, prompt: Prompt, form: PromptForm) -> dict[str, Any]:
    by: Any = request.user
    changes = form.values() | ({"is_active": form.is_active} if form.is_active is not None else {})
    return _record(prompts.update_prompt(prompt, by=by, grants=form.grants(), **changes), request)


def _listed_json(found: Listed, user: Any) -> list[dict[str, Any]]:
    return [_row_json(row, user, found.access[row.pk]) for row in found.rows]


def _record(prompt: Prompt, request: HttpRequest) -> dict[str, Any]:
    prompt.refresh_from_db()
    user: Any = request.user
    return _row_json(prompt, user, access_fields([prompt], user)[prompt.pk])


def _row_json(row: Prompt, user: Any, access: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "command": row.command,
        "user_id": str(row.owner_id) if row.owner_id else "",
        "name": row.name,
        "title": row.name,
        "content": row.content,
        "data": row.meta.get("data"),
        "meta": {key: value for key, value in row.meta.items() if key != "data"} or None,
        "tags": row.tags,
        "is_active": row.is_active,
        "created_at": int(row.created_at.timestamp()),
        "updated_at": int(row.updated_at.timestamp()),
        "user": shown_info(row.owner, to=user),
        **access,
    }
