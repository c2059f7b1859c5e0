"""`/api/v1/configs`: stored settings for programs. Secrets can be written here and are never given out."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Body, Router, Schema

from owui.config import store
from owui.config.registry import InvalidSetting, all_settings, find, sections
from owui.config.sections import UiConfig
from owui.lib.errors import Missing, UserError
from owui.lib.guards import admin, verified

router = Router(tags=["configs"])


class ImportForm(Schema):
    config: dict[str, Any]


class BannersForm(Schema):
    banners: list[dict[str, Any]]


class SuggestionsForm(Schema):
    suggestions: list[dict[str, Any]]


class ModelsForm(Schema):
    DEFAULT_MODELS: str | list[str] | None = None
    DEFAULT_PINNED_MODELS: str | list[str] | None = None
    MODEL_ORDER_LIST: list[str] | None = None


def _save(changes: dict[str, Any], request: HttpRequest) -> None:
    user: Any = request.user
    try:
        store.set_values(changes, by=user)
    except InvalidSetting as error:
        raise UserError(error.message) from error


def _values(prefix: str = "") -> dict[str, Any]:
    """Settings by dotted key, without secrets."""
    listed = [s for s in all_settings() if not s.secret and (not prefix or s.section.prefix == prefix)]
    return {setting.key: setting.plain(store.value_of(setting)) for setting in listed}


@router.get("/export", auth=admin)
def export_config(request: HttpRequest) -> dict[str, Any]:
    return _values()


@router.post("/import", auth=admin)
def import_config(request: HttpRequest, form: ImportForm) -> dict[str, Any]:
    """Stores the keys that are known and may be changed here; all or nothing when a value does not fit."""
    wanted: dict[str, Any] = {}
    for key, value in form.config.items():
        try:
            setting = find(key)
        except InvalidSetting:
            continue  # of another release
        if not store.origin(setting).locked:
            wanted[key] = value
    _save(wanted, request)
    return _values()


@router.get("/namespace/{namespace}", auth=admin)
def get_namespace(request: HttpRequest, namespace: str) -> dict[str, Any]:
    if namespace not in sections:
        raise Missing
    return _values(namespace)


@router.get("/banners", auth=verified)
def list_banners(request: HttpRequest) -> list[dict[str, Any]]:
    return UiConfig.load().banners


@router.post("/banners", auth=admin)
def set_banners(request: HttpRequest, form: BannersForm) -> list[dict[str, Any]]:
    _save({"ui.banners": form.banners}, request)
    return UiConfig.load().banners


@router.post("/suggestions", auth=admin)
def set_suggestions(request: HttpRequest, form: SuggestionsForm) -> list[dict[str, Any]]:
    _save({"ui.default_prompt_suggestions": form.suggestions}, request)
    return UiConfig.load().default_prompt_suggestions


@router.post("/interface/visibility", auth=admin)
def set_visibility(request: HttpRequest, form: Body[dict[str, Any]]) -> dict[str, Any]:
    _save({"ui.visibility": form}, request)
    return UiConfig.load().visibility


def _models() -> dict[str, Any]:
    config = UiConfig.load()
    return {
        "DEFAULT_MODELS": ",".join(config.default_models),
        "DEFAULT_PINNED_MODELS": ",".join(config.default_pinned_models),
        "MODEL_ORDER_LIST": config.model_order_list,
    }


@router.get("/models", auth=admin)
def get_models(request: HttpRequest) -> dict[str, Any]:
    return _models()


@router.post("/models", auth=admin)
def set_models(request: HttpRequest, form: ModelsForm) -> dict[str, Any]:
    changes = {f"ui.{name.lower()}": _list(value) for name, value in form.dict(exclude_unset=True).items()}
    _save(changes, request)
    return _models()


@router.get("/models/defaults", auth=verified)
def get_model_defaults(request: HttpRequest) -> dict[str, Any]:
    values = _models()
    return {name: values[name] for name in ("DEFAULT_MODELS", "DEFAULT_PINNED_MODELS")}


def _list(value: str | list[str] | None) -> list[str]:
    """The field's clients send comma separated text or a list."""
    entries = value.split(",") if isinstance(value, str) else value or []
    return [entry.strip() for entry in entries if entry.strip()]
