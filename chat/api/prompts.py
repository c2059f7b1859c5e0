"""`/api/v1/prompts`: the texts behind `/command`."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import unified_diff
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from ninja import Router, Schema

from accounts.schemas import shown_info
from chat import prompts
from chat.models import Prompt, PromptVersion
from owui.lib.guards import verified
from owui.lib.pagination import page_of
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
    commit_message: str = ""

    def values(self) -> dict[str, Any]:
        """The fields that were sent; old clients know no name and get the command for it."""
        found: dict[str, Any] = {"command": self.command, "content": self.content}
        found["name"] = self.name or self.title or self.command
        if self.tags is not None:
            found["tags"] = self.tags
        if self.meta is not None or self.data is not None:
            found["meta"] = {**(self.meta or {}), **({"data": self.data} if self.data is not None else {})}
        return found


class VersionForm(Schema):
    version_id: str | int


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
    grants, message = form.grants() or (), form.commit_message
    return _record(prompts.create_prompt(by=by, grants=grants, message=message, **form.values()), request)


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


# ------------------------------------------------------------------------------------------------------------- history
@router.get("/id/{prompt_id}/history", auth=verified)
def list_versions(request: HttpRequest, prompt_id: str, page: int = 1) -> list[dict[str, Any]]:
    """What it was, the newest first."""
    rows = _readable(request, prompt_id).versions.select_related("saved_by")
    return [_version_json(row, request.user) for row in page_of(rows, page)]


@router.get("/id/{prompt_id}/history/diff", auth=verified)
def diff_versions(request: HttpRequest, prompt_id: str, from_id: str, to_id: str) -> dict[str, Any]:
    """Line by line, as `diff -u` has it."""
    prompt = _readable(request, prompt_id)
    before, after = (prompts.version_of(prompt, key) for key in (from_id, to_id))
    former, later = (str(version.snapshot.get("content") or "").splitlines() for version in (before, after))
    names = [str(version.snapshot.get("name") or "") for version in (before, after)]
    return {
        "from_id": str(before.pk),
        "to_id": str(after.pk),
        "from_snapshot": before.snapshot,
        "to_snapshot": after.snapshot,
        "content_diff": list(unified_diff(former, later, f"v{before.pk}", f"v{after.pk}", lineterm="")),
        "name_changed": names[0] != names[1],
    }


@router.get("/id/{prompt_id}/history/{version_id}", auth=verified)
def get_version(request: HttpRequest, prompt_id: str, version_id: str) -> dict[str, Any]:
    return _version_json(prompts.version_of(_readable(request, prompt_id), version_id), request.user)


@router.delete("/id/{prompt_id}/history/{version_id}", auth=verified)
def delete_version(request: HttpRequest, prompt_id: str, version_id: str) -> bool:
    prompt = _writable(request, prompt_id)
    prompts.delete_version(prompt, prompts.version_of(prompt, version_id), by=request.user)  # type: ignore[arg-type]
    return True


@router.post("/id/{prompt_id}/update/version", auth=verified)
def restore_version(request: HttpRequest, prompt_id: str, form: VersionForm) -> dict[str, Any]:
    """The prompt as it was then."""
    by: Any = request.user
    prompt = _writable(request, prompt_id)
    return _record(prompts.restore(prompt, prompts.version_of(prompt, str(form.version_id)), by=by), request)


def _version_json(row: PromptVersion, user: Any) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "prompt_id": str(row.prompt_id),
        "parent_id": str(row.parent_id) if row.parent_id else None,
        "snapshot": row.snapshot,
        "user_id": str(row.saved_by_id) if row.saved_by_id else "",
        "user": shown_info(row.saved_by, to=user),
        "commit_message": row.message or None,
        "created_at": int(row.created_at.timestamp()),
    }


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
    message = form.commit_message
    return _record(prompts.update_prompt(prompt, by=by, grants=form.grants(), message=message, **changes), request)


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
