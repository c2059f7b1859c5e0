"""The models that a person put on top: first in the composer's list, and in the sidebar."""

from __future__ import annotations

from typing import Any

from accounts import preferences
from inference.catalogue import models_now
from owui.config.sections import UiConfig


def pinned_ids(user: Any) -> list[str]:
    """The person's own, or the house's for those who pinned none; some may be gone, or not theirs to use."""
    return ids_in(preferences.interface_of(user).get("pinnedModels")) or UiConfig.load().default_pinned_models


def pinned_models(user: Any) -> list[dict[str, str]]:
    """What the sidebar shows: those of them that can be asked now. Without a pin it asks the database nothing."""
    wanted = pinned_ids(user)
    if not wanted:
        return []
    known = {m.id: {"id": m.id, "name": m.name} for m in models_now(user) if not m.is_hidden}
    return [known[model_id] for model_id in dict.fromkeys(wanted) if model_id in known]


def ids_in(value: Any) -> list[str]:
    """What of a stored setting can be ids."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
