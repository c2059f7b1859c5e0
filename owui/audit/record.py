"""Writing audit events: `record("chat.deleted", by=user, obj=chat)` inside the transaction of the change."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.utils import timezone

from owui.audit import chain
from owui.audit.context import current_request
from owui.audit.models import AuditEvent

T = TypeVar("T")


class Actor(Protocol):
    """Who acts: a user, or anything with the same three attributes."""

    @property
    def id(self) -> Any: ...
    @property
    def email(self) -> Any: ...
    @property
    def name(self) -> Any: ...


def record(
    action: str,
    *,
    by: Actor | None,
    obj: models.Model | None = None,
    object_type: str = "",
    object_id: object = "",
    object_label: str = "",
    detail: dict[str, Any] | None = None,
) -> AuditEvent:
    """Adds one event to the log, in the caller's transaction: it stands or falls with the change it tells of.

    :param action: `noun.verb` in the past tense, for example `knowledge.shared`.
    :param by: who did it; None is the system itself.
    :param detail: what changed, as JSON. Never a secret: no passwords, keys, tokens or message texts; the log cannot be
        cleaned afterwards.
    """
    _check_transaction()
    event = _event(action, by, obj, object_type, object_id, object_label, detail)
    event.save(force_insert=True)
    return event


def record_many(events: Iterable[Mapping[str, Any]], *, by: Actor | None, batch_size: int = 1000) -> int:
    """As `record` for each, in one statement for each thousand: for provisioning, which changes ten thousand things.

    :param events: the other arguments of `record`
    """
    _check_transaction()
    count = 0
    for some in batched((_event(by=by, **event) for event in events), batch_size):
        count += len(AuditEvent.objects.bulk_create(some))
    return count


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most so many (itertools.batched comes with Python 3.12)."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def _check_transaction() -> None:
    if not connection.in_atomic_block:
        raise RuntimeError("record() belongs in the transaction of the change it tells of: use transaction.atomic().")


def _event(
    action: str,
    by: Actor | None,
    obj: models.Model | None = None,
    object_type: str = "",
    object_id: object = "",
    object_label: str = "",
    detail: dict[str, Any] | None = None,
) -> AuditEvent:
    """The event with its hash and mac, not yet stored."""
    if obj is not None:
        object_type = object_type or (obj._meta.model_name or "")
        object_id = object_id or obj.pk
        object_label = object_label or str(obj)
    request = current_request()
    values: dict[str, Any] = {
        "at": timezone.now(),
        "actor_id": actor_id(by),
        "actor_label": _text(_label(by), 255),
        "action": _text(action, 100),
        "object_type": _text(object_type, 100),
        "object_id": _text(str(object_id), 255),
        "object_label": _text(object_label, 255),
        "detail": _plain(detail or {}),
        "ip": _text(request.ip, 64) if request else "",
        "request_id": request.id if request else "",
    }
    digest = chain.event_hash(values)
    return AuditEvent(**values, hash=digest, mac=chain.event_mac(digest))


def actor_id(by: Actor | None) -> UUID | None:
    """The id to store for an actor."""
    return by.id if by is not None and isinstance(by.id, UUID) else None


def _label(by: Actor | None) -> str:
    if by is None:
        return "system"
    return str(by.email or by.name or by.id)


def _text(text: str, length: int) -> str:
    """Text that PostgreSQL gives back letter for letter: no NUL, no half surrogates, not too long."""
    return str(text).replace("\0", "").encode(errors="replace").decode()[:length]


def _plain(value: Any) -> Any:
    """JSON that survives jsonb unchanged, so that its hash can be computed again."""
    return _stable(json.loads(json.dumps(value, cls=DjangoJSONEncoder)))


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_text(key, 1000): _stable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_stable(entry) for entry in value]
    if isinstance(value, str):
        return _text(value, 100_000)
    if isinstance(value, float):
        # jsonb has no NaN, and writes 1e16 as a whole number.
        if not math.isfinite(value):
            return str(value)
        return int(value) if value.is_integer() else value
    return value
