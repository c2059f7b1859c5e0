"""What the sidebar of every page needs; nothing is read on pages that have none."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from chat import rendering, selectors


def sidebar(request: HttpRequest) -> dict[str, Any]:
    """Context processor."""
    user: Any = getattr(request, "user", None)
    return {
        "sidebar": SimpleLazyObject(lambda: selectors.sidebar_of(user) if user and user.is_authenticated else {}),
        "can": SimpleLazyObject(lambda: rendering.can_of(user)),
    }
