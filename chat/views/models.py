"""What the composer offers to choose from."""

from __future__ import annotations

from typing import Any

from inference.catalogue import choices_now
from owui.config.sections import UiConfig


def model_choices(user: Any) -> list[dict[str, str]]:
    """The models a person may use now: id, name, description, in the administrator's order."""
    return choices_now(user)


def suggestions() -> list[dict[str, str]]:
    """First questions on an empty chat, four at most."""
    out = []
    for item in UiConfig.load().default_prompt_suggestions[:4]:
        title = item.get("title") or [item.get("content", "")]
        parts = title if isinstance(title, list) else [title]
        out.append(
            {
                "title": str(parts[0]),
                "subtitle": str(parts[1]) if len(parts) > 1 else "",
                "text": item.get("content", ""),
            }
        )
    return out
