"""`/api/v1/configs`: stored settings for programs. Secrets can be written here and are never given out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from ninja import Body, Router, Schema

from owui.audit.record import record
from owui.config import places, store
from owui.config.registry import InvalidSetting, Setting, all_settings, find, sections
from owui.config.sections import UiConfig
from owui.lib.errors import Missing, UserError
from owui.lib.guards import admin, verified
from owui.lib.masks import MASK, has_mask

router = Router(tags=["configs"])

#: the field's names of settings that stand together on one page, and our keys for them
CONNECTIONS = {
    "ENABLE_DIRECT_CONNECTIONS": "ui.enable_direct_connections",
    "ENABLE_BASE_MODELS_CACHE": "models.base_models_cache",
}
_JUPYTER = ("URL", "AUTH", "AUTH_TOKEN", "AUTH_PASSWORD", "TIMEOUT")
CODE_EXECUTION = {
    "ENABLE_CODE_EXECUTION": "code_execution.enable",
    "CODE_EXECUTION_ENGINE": "code_execution.engine",
    **{f"CODE_EXECUTION_JUPYTER_{name}": f"code_execution.jupyter_{name.lower()}" for name in _JUPYTER},
    "ENABLE_CODE_INTERPRETER": "code_interpreter.enable",
    "CODE_INTERPRETER_ENGINE": "code_interpreter.engine",
    "CODE_INTERPRETER_PROMPT_TEMPLATE": "code_interpreter.prompt_template",
    **{f"CODE_INTERPRETER_JUPYTER_{name}": f"code_interpreter.jupyter_{name.lower()}" for name in _JUPYTER},
}
SUBAGENTS = {
    "ENABLE_SUBAGENTS": "subagents.enable",
    **{
        f"SUBAGENTS_{name}": f"subagents.{name.lower()}"
        for name in (
            "BACKGROUND_ENABLED", "MAX_CONCURRENT", "MAX_ASYNC", "MAX_ITERATIONS", "MAX_OUTPUT", "SYSTEM_PROMPT",
        )
    },
}  # fmt: skip


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
    DEFAULT_MODEL_METADATA: dict[str, Any] | None = None
    DEFAULT_MODEL_PARAMS: dict[str, Any] | None = None


# ------------------------------------------------------------------------------------------------------------ helpers
def save(changes: Mapping[str, Any], by: Any) -> None:
    """Stores values by dotted key: all, or none and every problem in one refusal (400). The mask of a secret leaves it
    as it is, unless the address it belongs to becomes another server's."""
    changes = {key: value for key, value in changes.items() if not (_is_secret(key) and has_mask(value))}
    problems = []
    for key, value in changes.items():
        try:
            setting = find(key)
            setting.clean(value)
        except InvalidSetting as error:
            problems.append(error.message)
        else:
            if (locked := store.origin(setting).locked) and value != setting.plain(store.value_of(setting)):
                problems.append(f"{key} cannot be changed here. {locked}")
    problems += places.problems(changes).values() if not problems else ()
    if problems:
        raise UserError(" ".join(problems), code="invalid_setting")
    open_keys = {key: value for key, value in changes.items() if not store.origin(find(key)).locked}
    try:
        store.set_values(open_keys, by=by)
    except InvalidSetting as error:
        raise UserError(error.message) from error


def page_of_settings(names: Mapping[str, str]) -> dict[str, Any]:
    """The values of some settings under the field's names; a stored secret is masked."""
    found = {}
    for name, key in names.items():
        setting = find(key)
        value = setting.plain(store.value_of(setting))
        found[name] = (MASK if value else value) if setting.secret else value
    return found


def save_page(names: Mapping[str, str], sent: Mapping[str, Any], by: Any) -> dict[str, Any]:
    """Stores what was sent under the field's names, and gives all back. Names of other releases are ignored."""
    save({key: sent[name] for name, key in names.items() if name in sent}, by)
    return page_of_settings(names)


def _save(changes: dict[str, Any], request: HttpRequest) -> None:
    save(changes, request.user)


def _values(prefix: str = "") -> dict[str, Any]:
    """Settings by dotted key, without secrets."""
    listed = [s for s in all_settings() if not s.secret and (not prefix or s.section.prefix == prefix)]
    return {setting.key: setting.plain(store.value_of(setting)) for setting in listed}


# ------------------------------------------------------------------------------------------------- the whole, by keys
@router.get("/export", auth=admin)
def export_config(request: HttpRequest) -> dict[str, Any]:
    user: Any = request.user
    values = _values()
    with transaction.atomic():
        record("config.exported", by=user, object_type="config", detail={"settings": len(values)})
    return values


@router.post("/import", auth=admin)
def import_config(request: HttpRequest, form: ImportForm) -> dict[str, Any]:
    """Stores the keys that are known and may be changed here; all or nothing when a value does not fit."""
    known = _known(form.config)
    _save({key: value for key, value in known.items() if not store.origin(find(key)).locked}, request)
    return _values()


def _known(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The settings of this release in an export: by dotted keys, or nested as older releases write it."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if _setting(key) is not None:
            found[key] = value
        elif isinstance(value, Mapping):
            found |= _known(value, f"{key}.")
    return found


def _is_secret(key: str) -> bool:
    setting = _setting(key)
    return setting is not None and setting.secret


def _setting(key: str) -> Setting | None:
    try:
        return find(key)
    except InvalidSetting:
        return None  # of another release


@router.get("/namespace/{namespace}", auth=admin)
def get_namespace(request: HttpRequest, namespace: str) -> dict[str, Any]:
    if namespace not in sections:
        raise Missing
    return _values(namespace)


# -------------------------------------------------------------------------------------------------- pages of settings
@router.get("/connections", auth=admin)
def get_connections(request: HttpRequest) -> dict[str, Any]:
    return page_of_settings(CONNECTIONS)


@router.post("/connections", auth=admin)
def set_connections(request: HttpRequest, form: Body[dict[str, Any]]) -> dict[str, Any]:
    return save_page(CONNECTIONS, form, request.user)


@router.get("/code_execution", auth=admin)
def get_code_execution(request: HttpRequest) -> dict[str, Any]:
    return page_of_settings(CODE_EXECUTION)


@router.post("/code_execution", auth=admin)
def set_code_execution(request: HttpRequest, form: Body[dict[str, Any]]) -> dict[str, Any]:
    return save_page(CODE_EXECUTION, form, request.user)


@router.get("/subagents", auth=admin)
def get_subagents(request: HttpRequest) -> dict[str, Any]:
    return page_of_settings(SUBAGENTS)


@router.post("/subagents", auth=admin)
def set_subagents(request: HttpRequest, form: Body[dict[str, Any]]) -> dict[str, Any]:
    return save_page(SUBAGENTS, form, request.user)


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
        "DEFAULT_MODEL_METADATA": config.default_model_metadata,
        "DEFAULT_MODEL_PARAMS": config.default_model_params,
    }


@router.get("/models", auth=admin)
def get_models(request: HttpRequest) -> dict[str, Any]:
    return _models()


@router.post("/models", auth=admin)
def set_models(request: HttpRequest, form: ModelsForm) -> dict[str, Any]:
    sent = form.dict(exclude_unset=True)
    changes = {f"ui.{n.lower()}": (v or {}) if n.startswith("DEFAULT_MODEL_") else _list(v) for n, v in sent.items()}
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
