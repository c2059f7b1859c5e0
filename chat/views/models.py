"""What the composer offers to choose from."""

from __future__ import annotations

from typing import Any

from inference.catalogue import choices_now


def model_choices(user: Any) -> list[dict[str, str]]:
    """The models a person may use now: id, name, description, in the administrator's order."""
    return choices_now(user)
