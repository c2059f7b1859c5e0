"""Rights changed somewhere below: tell the sockets that are open."""

from __future__ import annotations

from typing import Any

from chat.nodes import Message, nodes
from rbac.watch import watch


def on_access_changed(sender: Any, *, resource_type: str, resource_id: str, user_ids: list[str], **_extra: Any) -> None:
    """Receiver of `rbac.signals.access_changed`; after the commit. People named: only theirs is asked for."""
    nodes.announce_sync({"kind": "access.changed", "user_ids": user_ids or None, "resource_type": resource_type})


def hear_access_changed(message: Message) -> None:
    """Handler of the same news in each process."""
    watch.doubt(message.get("resource_type", ""), message["user_ids"])
