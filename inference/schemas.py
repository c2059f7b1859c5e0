"""JSON shapes of models and connections."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from ninja import Schema
from pydantic import ConfigDict, Field

from inference.catalogue import ListedModel
from inference.live import LiveModel
from inference.models import AIModel
from inference.records import META
from rbac.grants import Grant
from rbac.schemas import AccessForm, grants_json

# Servers that do not say when a model was made get the time of our start, so that the answer does not change.
_STARTED = int(time.time())


class ModelForm(AccessForm):
    """The field's form of a model; what the record has besides (owner, times) is ignored on input."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    base_model_id: str | None = None
    name: str
    meta: dict[str, Any] = Field(default_factory=dict)
    params: dict[str, Any] = Field(default_factory=dict)
    is_active: bool = True


class ModelAccessForm(AccessForm):
    id: str
    name: str | None = None


class ModelIdForm(Schema):
    id: str


class ModelsForm(Schema):
    """A list of records for import and sync; each is read as a `ModelForm` by the service's caller."""

    models: list[dict[str, Any]]


class OpenAIConfigForm(Schema):
    ENABLE_OPENAI_API: bool | None = None
    OPENAI_API_BASE_URLS: list[str]
    OPENAI_API_KEYS: list[str]
    OPENAI_API_CONFIGS: dict[str, Any] = Field(default_factory=dict)


class OllamaConfigForm(Schema):
    ENABLE_OLLAMA_API: bool | None = None
    OLLAMA_BASE_URLS: list[str]
    OLLAMA_API_CONFIGS: dict[str, Any] = Field(default_factory=dict)


class VerifyForm(Schema):
    url: str
    key: str | None = None
    config: dict[str, Any] | None = None


def record_json(row: AIModel, grants: Iterable[Grant]) -> dict[str, Any]:
    """A stored model and who may use it. `base_model` must be loaded."""
    base_id = row.base_model.model_id if row.base_model else None
    return stored_json(row, base_id) | grants_json(grants)


def stored_json(row: AIModel, base_id: str | None) -> dict[str, Any]:
    """The same without the grants."""
    return {
        "id": row.model_id,
        "user_id": str(row.owner_id) if row.owner_id else None,
        "base_model_id": base_id,
        "name": row.name,
        "params": row.params or {},
        "meta": {**META, **(row.meta or {})},
        "is_active": row.is_active,
        "created_at": int(row.created_at.timestamp()),
        "updated_at": int(row.updated_at.timestamp()),
    }


def live_json(live: LiveModel) -> dict[str, Any]:
    """A model as its server offers it."""
    raw = dict(live.raw)
    first = live.connections[0]
    created = raw.get("created")
    entry: dict[str, Any] = {
        "id": live.id,
        "name": live.name,
        "object": "model",
        "created": created if isinstance(created, int) else _STARTED,
        "owned_by": live.owned_by,
        "connection_type": first.connection_type,
        "tags": list(first.tags),
        "urlIdx": first.index,
        "actions": [],
        "filters": [],
    }
    if live.kind == "ollama":
        return entry | {"ollama": ollama_json(live)}
    return raw | entry | {"openai": raw}


def ollama_json(live: LiveModel) -> dict[str, Any]:
    """A model in Ollama's own list: its id is shown with the prefix, and `urls` says which servers have it."""
    shown = {"name": live.id, "model": live.id, "connection_type": live.connections[0].connection_type}
    return dict(live.raw) | shown | {"urls": [c.index for c in live.connections]}


def listed_json(listed: ListedModel) -> dict[str, Any]:
    """A model as a person sees it in `/api/models`. It must have been loaded with its record."""
    row, info, live = listed.row, listed.info, listed.live
    if row is None:
        return live_json(live)
    assert info is not None
    first = live.connections[0]
    tags = info.tags or list(first.tags)
    if not listed.is_preset:
        return live_json(live) | {"name": row.name, "info": info.json, "tags": tags}
    # A preset is its own thing; the server's description belongs to its base.
    return {
        "id": row.model_id,
        "preset": True,
        "name": row.name,
        "object": "model",
        "owned_by": live.owned_by,
        "connection_type": first.connection_type,
        "tags": tags,
        "actions": [],
        "filters": [],
        "info": info.json,
        "created": info.created,
    }
