"""What the sidebar of every page needs; nothing is read on pages that have none."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from chat import rendering, selectors
from chat.pinned import pinned_models
from rbac.services import manages_groups
from rbac.sharing import is_verified


def sidebar(request: HttpRequest) -> dict[str, Any]:
    """Context processor."""
    user: Any = getattr(request, "user", None)
    return {
        "sidebar": SimpleLazyObject(lambda: selectors.sidebar_of(user) if user and user.is_authenticated else {}),
        "pinned_models": SimpleLazyObject(lambda: pinned_models(user) if is_verified(user) else []),
        "manages_groups": SimpleLazyObject(lambda: is_verified(user) and manages_groups(user)),
        "can": SimpleLazyObject(lambda: rendering.can_of(user)),
    }
