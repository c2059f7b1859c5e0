"""Rights changed somewhere below: tell the sockets that are open."""

from __future__ import annotations

from typing import Any

from chat.nodes import nodes


def on_access_changed(sender: Any, *, resource_type: str, resource_id: str, user_ids: list[str], **_extra: Any) -> None:
    """Receiver of `rbac.signals.access_changed`; runs after the commit. People named: only their sockets ask again."""
    nodes.announce_sync({"kind": "access.changed", "user_ids": user_ids or None})
