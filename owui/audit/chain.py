"""Hashes of the audit log: what exactly is hashed, in one place for writer, sealer and verifier."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from owui.lib import crypto

GENESIS = "0" * 64
FIELDS = (
    "at",
    "actor_id",
    "actor_label",
    "action",
    "object_type",
    "object_id",
    "object_label",
    "detail",
    "ip",
    "request_id",
)


def event_hash(event: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of an event's fields: sorted keys, no blanks, UTC time in microseconds."""
    values = {name: event[name] for name in FIELDS}
    at: datetime = values["at"]
    values["at"] = at.astimezone(UTC).isoformat(timespec="microseconds")
    values["actor_id"] = None if values["actor_id"] is None else str(values["actor_id"])
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def event_mac(digest: str) -> str:
    return crypto.sign(digest.encode(), "audit-event")


def event_is_genuine(digest: str, mac: str) -> bool:
    return crypto.signed(digest.encode(), mac, "audit-event")


def seal_hash(sequence: int, event_id: int, digest: str, is_genuine: bool, previous: str) -> str:
    return hashlib.sha256(f"{previous}:{sequence}:{event_id}:{digest}:{int(is_genuine)}".encode()).hexdigest()


def head_mac(sequence: int, digest: str) -> str:
    return crypto.sign(f"{sequence}:{digest}".encode(), "audit-head")


def head_is_ours(sequence: int, digest: str, mac: str) -> bool:
    return crypto.signed(f"{sequence}:{digest}".encode(), mac, "audit-head")
