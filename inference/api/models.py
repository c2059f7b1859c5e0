"""Models: what a person may use (`/api/models`), and the workspace where they are made (`/api/v1/models`)."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Router
from pydantic import ValidationError

from accounts.schemas import shown_info
from inference import services
from inference.api import openai
from inference.api.relay import aadmin, json_body, model_of
from inference.catalogue import models_for
from inference.live import live_models
from inference.models import AIModel
from inference.schemas import (
    ModelAccessForm,
    ModelForm,
    ModelIdForm,
    ModelsForm,
    listed_json,
    live_json,
    record_json,
    stored_json,
)
from inference.services import ModelValues
from inference.workspace import listed_for
from owui.lib.errors import UserError
from owui.lib.guards import admin, averified, verified
from owui.lib.pictures import image_response
from rbac.grants import grants_of
from rbac.listings import Listed, listed, listed_page
from rbac.permissions import require
from rbac.shortcuts import get_readable, get_writable

listing = Router(tags=["models"])
router = Router(tags=["models"])


# ---------------------------------------------------------------------------------------------- /api, /api/v1 and /v1
@listing.get("/models", auth=averified)
@listing.get("/models/", auth=averified, include_in_schema=False)
async def list_models(request: HttpRequest, refresh: bool = False) -> dict[str, Any]:
    listed = await models_for(request.auth, refresh=refresh, records=True)  # type: ignore[attr-defined]
    return {"object": "list", "data": [listed_json(model) for model in listed]}


@listing.get("/models/base", auth=aadmin)
async def list_live_models(request: HttpRequest, refresh: bool = False) -> dict[str, Any]:
    return {"data": [live_json(model) for model in (await live_models(refresh=refresh)).values()]}


@listing.post("/embeddings", auth=averified)
async def create_embeddings(request: HttpRequest) -> HttpResponseBase:
    return await openai.embeddings(request)


# ---------------------------------------------------------------------------------------------------- /api/v1/models
@router.get("/list", auth=verified)
def list_presets(
    request: HttpRequest,
    query: str = "",
    view_option: str = "",
    tag: str = "",
    order_by: str = "",
    direction: str = "",
    page: int = 1,
) -> dict[str, Any]:
    user: Any = request.user
    rows = listed_for(user).filter(base_model__isnull=False)
    if query:
        rows = rows.filter(Q(name__icontains=query) | Q(model_id__icontains=query))
    if view_option in ("created", "shared"):
        rows = rows.filter(owner_id=user.pk) if view_option == "created" else rows.exclude(owner_id=user.pk)
    if tag:
        rows = rows.filter(meta__tags__contains=[{"name": tag}])
    field = order_by if order_by in ("name", "created_at", "updated_at") else "updated_at"
    rows = rows.order_by(("" if direction == "asc" else "-") + field, "pk")
    found = listed_page(rows, user, page, loaded=_with_base)
    return {"items": _listed_json(found, user), "total": found.total}


@router.get("/all", auth=admin)
def list_all(request: HttpRequest) -> list[dict[str, Any]]:
    user: Any = request.user
    return _listed_json(listed(_with_base(AIModel.objects.readable_by(user)), user), user)


@router.get("/base", auth=admin)
def list_base(request: HttpRequest, tag: str = "") -> list[dict[str, Any]]:
    rows = AIModel.objects.readable_by(request.user).filter(base_model__isnull=True)  # type: ignore[arg-type]
    rows = rows.filter(meta__tags__contains=[{"name": tag}]) if tag else rows
    user: Any = request.user
    return _listed_json(listed(_with_base(rows), user), user)


@router.get("/base/tags", auth=admin)
def list_base_tags(request: HttpRequest) -> list[str]:
    return tag_names(AIModel.objects.readable_by(request.user).filter(base_model__isnull=True))  # type: ignore[arg-type]


@router.get("/tags", auth=verified)
def list_tags(request: HttpRequest) -> list[str]:
    return tag_names(listed_for(request.user))  # type: ignore[arg-type]


@router.post("/create", auth=verified)
def create_model(request: HttpRequest, form: ModelForm) -> dict[str, Any]:
    return _record(services.create_model(values=values_of(form), by=request.user))  # type: ignore[arg-type]


@router.get("/model", auth=verified)
def get_model(request: HttpRequest, id: str) -> dict[str, Any]:  # noqa: A002
    user: Any = request.user
    return records([get_readable(AIModel.objects.all(), user, None, denied=401, model_id=id)], user)[0]


@router.post("/model/update", auth=verified)
def update_model(request: HttpRequest, form: ModelForm) -> dict[str, Any]:
    row = _writable(request, form.id)
    return _record(services.update_model(row, values=values_of(form), by=request.user))  # type: ignore[arg-type]


@router.post("/model/access/update", auth=verified)
def update_access(request: HttpRequest, form: ModelAccessForm) -> dict[str, Any]:
    row = _writable(request, form.id)
    form.update(row, by=request.user)  # type: ignore[arg-type]
    row.refresh_from_db()
    return _record(row)


@router.post("/model/toggle", auth=verified)
def toggle_model(request: HttpRequest, id: str = "") -> dict[str, Any]:  # noqa: A002
    row = _writable(request, id or _id_in_body(request))
    return _record(services.set_active(row, is_active=not row.is_active, by=request.user))  # type: ignore[arg-type]


@router.post("/model/delete", auth=verified)
def delete_model(request: HttpRequest, form: ModelIdForm) -> bool:
    services.delete_model(_writable(request, form.id), by=request.user)  # type: ignore[arg-type]
    return True


@router.delete("/model/delete", auth=verified)
def delete_model_by_query(request: HttpRequest, id: str = "") -> bool:  # noqa: A002
    services.delete_model(_writable(request, id or _id_in_body(request)), by=request.user)  # type: ignore[arg-type]
    return True


@router.delete("/delete/all", auth=admin)
def delete_all(request: HttpRequest) -> bool:
    services.delete_all(by=request.user)  # type: ignore[arg-type]
    return True


@router.get("/export", auth=verified)
def export_models(request: HttpRequest, ids: str = "") -> list[dict[str, Any]]:
    user: Any = request.user
    require(user, "workspace.models_export", status=401)
    rows = AIModel.objects.writable_by(user)
    return _listed_json(listed(_with_base(rows.filter(model_id__in=ids.split(",")) if ids else rows), user), user)


@router.post("/import", auth=verified)
def import_models(request: HttpRequest, form: ModelsForm) -> bool:
    services.import_models(_items(form), by=request.user)  # type: ignore[arg-type]
    return True


@router.post("/sync", auth=admin)
def sync_models(request: HttpRequest, form: ModelsForm) -> list[dict[str, Any]]:
    return records(services.sync_models(_items(form), by=request.user), request.user)  # type: ignore[arg-type]


@router.get("/model/profile/image", auth=verified)
def get_profile_image(request: HttpRequest, id: str) -> HttpResponseBase:  # noqa: A002
    row = AIModel.objects.readable_by(request.user).filter(model_id=id).first()  # type: ignore[arg-type]
    return image_response(str((row.meta or {}).get("profile_image_url") or "") if row else "")


# ------------------------------------------------------------------------------------------------------------ helpers
def _with_base(rows: Any) -> Any:
    """What a record shows of the model below: its id."""
    return rows.annotate(base_id=F("base_model__model_id"))


def _listed_json(found: Listed, user: Any) -> list[dict[str, Any]]:
    return [
        stored_json(row, row.base_id) | found.access[row.pk] | {"user": shown_info(row.owner, to=user)}
        for row in found.rows
    ]


def records(rows: Any, user: Any) -> list[dict[str, Any]]:
    """Records with their owner and what the person may do, in four statements whatever their number."""
    if hasattr(rows, "select_related"):
        rows = rows.select_related("base_model", "owner")
    rows = list(rows)
    grants = grants_of(rows)
    writable = set(AIModel.objects.writable_by(user).filter(pk__in=list(grants)).values_list("pk", flat=True))
    return [
        record_json(row, grants[row.pk]) | {"user": shown_info(row.owner, to=user), "write_access": row.pk in writable}
        for row in rows
    ]


def values_of(form: ModelForm) -> ModelValues:
    return ModelValues(
        model_id=form.id,
        name=form.name,
        base_model_id=form.base_model_id,
        params=form.params,
        meta=form.meta,
        is_active=form.is_active,
        grants=form.grants(),
    )


def tag_names(rows: Any) -> list[str]:
    """The names in use, each once."""
    found = set()
    for tags in rows.filter(meta__has_key="tags").order_by().values_list("meta__tags", flat=True):
        found |= {str(tag["name"]) for tag in tags or [] if isinstance(tag, dict) and tag.get("name")}
    return sorted(found)


def _items(form: ModelsForm) -> list[ModelValues]:
    try:
        return [values_of(ModelForm.model_validate(item)) for item in form.models]
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise UserError(f"A model in the list cannot be read: {where}: {fault['msg']}.", status=422) from error


def _id_in_body(request: HttpRequest) -> str:
    """Clients send the id in the address or in the body, by their age."""
    return model_of(json_body(request), "id")


def _writable(request: HttpRequest, model_id: str) -> AIModel:
    row: AIModel = get_writable(AIModel.objects.all(), request.user, None, denied=401, model_id=model_id)  # type: ignore[arg-type]
    return row


def _record(row: AIModel) -> dict[str, Any]:
    return record_json(row, grants_of([row])[row.pk])
