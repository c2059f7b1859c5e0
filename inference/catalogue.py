"""Which models one person may use: what the servers offer, met with the rows and grants of the database.

What a person may use is never cached; it is one hop to the database each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import orjson
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db.models import F, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from inference.connections import Setup, load_setup
from inference.live import Lists, LiveModel, at_hand, current, find
from inference.models import AIModel, in_scope
from inference.providers.base import ConnectionInfo
from inference.records import Info, infos_for, stamp_column
from owui.config.sections import UiConfig
from owui.lib.aio import few, in_thread
from owui.lib.errors import UserError
from owui.lib.written import Written
from rbac.sharing import Person, is_verified
from rbac.watch import seconds_to_end

T = TypeVar("T")
NOT_FOUND = "Model not found"
MAX_HOPS = 3
CHAIN = "base_model__base_model__base_model"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model a person may use now: where to send the request and what the preset adds to it.

    `params` are the preset's over its base's, the system prompt under `system`; `row` has its bases loaded and is None
    for a model that nobody registered.
    """

    model_id: str
    name: str
    connection: ConnectionInfo
    upstream_id: str
    live: LiveModel
    params: Mapping[str, Any]
    meta: Mapping[str, Any]
    row: AIModel | None
    #: when, by `time.monotonic`, the next of the person's grants on models ends
    rights_end: float | None = None

    @property
    def system(self) -> str:
        """The preset's system prompt."""
        return str(self.params.get("system") or "")


async def resolve_for(user: Person, model_id: str, *, status: int = 400) -> Resolved:
    """The model, if the person may use it: at most two statements, and no network while the cache is warm.

    :param status: of the refusal, which is the same for unknown, inactive and not granted models
    """
    resolved, _nothing = await resolve_with(user, model_id, lambda _resolved: None, status=status)
    return resolved


async def resolve_with(
    user: Person | Callable[[], Person], model_id: str, work: Callable[[Resolved], T], *, status: int = 400
) -> tuple[Resolved, T]:
    """The same, and what a sync function makes of it: in the one hop to the database that the question takes anyway.

    Only when no server is known to offer the model, the work waits for their lists and is a hop of its own.

    :param user: the person, or how to learn in that hop who it is
    """

    def ask() -> tuple[Setup, AIModel | None, tuple[Resolved, T] | None]:
        setup, row, is_open = _look_up(user() if callable(user) else user, model_id)
        if row is None and not is_open:
            raise UserError(NOT_FOUND, status=status, code="model")
        live = at_hand(setup, _base_id(row, model_id))
        if live is None:
            return setup, row, None
        resolved = _resolved(model_id, row, live)
        return setup, row, (resolved, work(resolved))

    setup, row, done = await in_thread(ask, among=few)()
    live = await find(setup, _base_id(row, model_id))
    if done is not None:
        return done
    if live is None:
        if row is None:
            raise UserError(NOT_FOUND, status=status, code="model")
        text = _("The server of “%(name)s” does not offer it at the moment. Choose another model, or try again later.")
        raise UserError(text % {"name": row.name}, status=502, code="model_offline")
    resolved = _resolved(model_id, row, live)
    return resolved, await in_thread(work)(resolved)


async def resolve_for_house(model_id: str) -> Resolved | None:
    """A model for the house's own small work, registered or not, whoever it is done for: nobody's rights are asked, and
    nobody is shown it. None when it is not there now."""
    setup, row = await in_thread(lambda: (load_setup(), _any_row.first(model_id=model_id)))()
    live = await find(setup, _base_id(row, model_id))
    return None if live is None else _resolved(model_id, row, live)


def _base_id(row: AIModel | None, model_id: str) -> str:
    return bases_of(row)[-1].model_id if row else model_id


def _resolved(model_id: str, row: AIModel | None, live: LiveModel) -> Resolved:
    chain = bases_of(row) if row else []
    return Resolved(
        model_id=model_id,
        name=row.name if row else live.name,
        connection=live.pick().info,
        upstream_id=live.upstream_id,
        live=live,
        params=_merged([r.params for r in chain]),
        meta=_merged([r.meta for r in chain]),
        row=row,
        rights_end=getattr(row, "rights_end", None),
    )


def still_usable(user: Person, model_id: str) -> bool:
    """The rule of `resolve_for` for an answer that is under way: three statements at most, no network."""
    _setup, row, is_open = _look_up(user, model_id)
    return row is not None or is_open


def sees_unregistered(user: Person) -> bool:
    """Models without a row are for administrators only; BYPASS_ADMIN_ACCESS_CONTROL=False leaves them that."""
    return is_verified(user) and (user.role == "admin" or bool(settings.BYPASS_MODEL_ACCESS_CONTROL))


def bases_of(row: AIModel) -> list[AIModel]:
    """The row and the bases it stands on, nearest first. The rows must have been loaded with `CHAIN`."""
    chain = [row]
    while chain[-1].base_model_id and len(chain) <= MAX_HOPS:
        base = chain[-1].base_model
        assert base is not None
        chain.append(base)
    return chain


def _look_up(user: Person, model_id: str) -> tuple[Setup, AIModel | None, bool]:
    """The settings, the usable row, and whether the bare model may be used without one."""
    setup = load_setup()
    row = _readable(user, model_id)
    if row is not None:
        return setup, row if _bases_usable(user, row) else None, False
    is_open = sees_unregistered(user) and in_scope(user, model_id)
    return setup, None, is_open and not AIModel.objects.filter(model_id=model_id).exists()


def _readable(user: Person, model_id: str) -> AIModel | None:
    """The active row with its bases, if the person may read it with the credential in use."""
    if not is_verified(user) or not in_scope(user, model_id):
        return None
    found: Any
    if AIModel.bypass_applies(user):
        found = _any_row.first(model_id=model_id)
    else:
        found = _row_by_rights.first(model_id=model_id, user_id=user.id)
        if found is not None and found.rights_end is not None:
            found.rights_end = time.monotonic() + float(found.rights_end)
    return found  # type: ignore[no-any-return]


def _active(rows: Any, model_id: Any) -> Any:
    return rows.filter(model_id=model_id, is_active=True).select_related(CHAIN).order_by()[:1]


_any_row = Written(lambda model_id: _active(AIModel.objects.all(), model_id), model_id=str)


def _by_rights(model_id: Any, user_id: Any) -> Any:
    """With the seconds until a grant ends: an answer is asked about again at that moment."""
    person: Any = SimpleNamespace(id=user_id)
    found = _active(AIModel.objects.by_rights(person, write=False), model_id)
    return found.annotate(rights_end=seconds_to_end(AIModel, person))


_row_by_rights = Written(_by_rights, model_id=str, user_id=UUID)


def _bases_usable(user: Person, row: AIModel) -> bool:
    """The second half of `usable_by`, for one row: asked in one statement it costs three times as much."""
    needed = {base.pk for base in bases_of(row)[1:]}
    if not needed or AIModel.bypass_applies(user):
        return True
    return bool(AIModel.objects.reachable_by(user).filter(pk__in=needed, is_active=True).count() == len(needed))


def _merged(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """The nearest layer wins; what it leaves empty comes from below."""
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged |= {name: value for name, value in (layer or {}).items() if value not in (None, "", [], {})}
    return merged


class StoredModel(NamedTuple):
    """A row of the database as plain values; `stamp` names its version, where records were asked for."""

    pk: str
    model_id: str
    name: str
    base_pk: str | None
    is_active: bool
    hidden: str | None
    description: str | None
    tags: str | None = None
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that can answer now. `live` is what answers in the end; `row` is None where nobody registered it.

    `info` is the row's record, where it was asked for.
    """

    live: LiveModel
    row: StoredModel | None
    info: Info | None = None

    @property
    def id(self) -> str:
        return self.row.model_id if self.row else self.live.id

    @property
    def name(self) -> str:
        return self.row.name if self.row else self.live.name

    @property
    def is_preset(self) -> bool:
        return self.row is not None and self.row.base_pk is not None

    @property
    def is_hidden(self) -> bool:
        """Flagged by its owner as not to be offered in pickers; it stays usable."""
        return self.row is not None and (self.row.hidden or "false") not in _FALSE

    @property
    def description(self) -> str:
        return (self.row.description if self.row else "") or ""

    @property
    def tags(self) -> list[str]:
        """What its owner files it under: `[{name}]` in the field's form, or plain names."""
        try:
            found = orjson.loads((self.row.tags if self.row else "") or "[]")
        except orjson.JSONDecodeError:
            return []
        names = (
            [tag.get("name") if isinstance(tag, dict) else tag for tag in found if tag]
            if isinstance(found, list)
            else []
        )
        return [name for name in names if isinstance(name, str)]


@dataclass(frozen=True, slots=True)
class _Rows:
    setup: Setup
    order: Sequence[str]
    readable: Mapping[str, StoredModel]
    infos: Mapping[str, Info]
    registered: frozenset[str] | None  # None: bare models are not for this person
    bypass: bool


#: how what JSON has instead of "yes" reads as text
_FALSE = ("", "false", "0", "[]", "{}")
#: the columns of `StoredModel`: texts and numbers, which cost nothing to read
_STORED = {
    "c_pk": Cast("pk", TextField()),
    "c_id": F("model_id"),
    "c_name": F("name"),
    "c_base": Cast("base_model_id", TextField()),
    "c_active": F("is_active"),
    "c_hidden": KeyTextTransform("hidden", "meta"),
    "c_description": KeyTextTransform("description", "meta"),
    "c_tags": KeyTextTransform("tags", "meta"),
}


async def models_for(
    user: Person, *, refresh: bool = False, records: bool = False, presets: bool = True
) -> list[ListedModel]:
    """The models the person may use and that a server offers, in the administrator's order, then by name.

    A fixed number of statements however many models there are.

    :param records: also load what `/api/models` shows of a row, and who else may use each
    :param presets: False leaves out what stands on another model
    """
    rows = await in_thread(_load)(user, records, presets)
    return _offered(user, rows, await current(rows.setup, refresh=refresh))


def models_now(user: Person) -> list[ListedModel]:
    """`models_for` for sync code. The rows are read here, on the connection the caller holds: while sync pages wait for
    a hop with their own connection in hand, enough of them at once would starve each other of connections."""
    rows = _load(user, with_records=False, with_presets=True)
    return _offered(user, rows, async_to_sync(current)(rows.setup))


async def choices_for(user: Person) -> list[dict[str, str]]:
    """What a picker shows: id, name and description of the models that are not hidden."""
    return _choices(await models_for(user))


def choices_now(user: Person) -> list[dict[str, str]]:
    """`choices_for` for sync code; see `models_now`."""
    return _choices(models_now(user))


def _choices(models: list[ListedModel]) -> list[dict[str, str]]:
    return [{"id": m.id, "name": m.name, "description": m.description} for m in models if not m.is_hidden]


def _offered(user: Person, rows: _Rows, lists: Lists) -> list[ListedModel]:
    """The usable rows whose server is there, and the bare models where they are to be seen."""
    found = []
    for row in rows.readable.values():
        last = _foundation(row, rows)
        live = lists.models.get(last.model_id) if last else None
        if live is not None:
            found.append(ListedModel(live, row, rows.infos.get(row.pk)))
    if rows.registered is not None:
        found += (ListedModel(live, None) for id, live in lists.models.items() if id not in rows.registered)
    found = [model for model in found if in_scope(user, model.id)]
    place = {model_id: at for at, model_id in enumerate(rows.order)}
    return sorted(found, key=lambda model: (place.get(model.id, len(place)), model.name.casefold(), model.id))


def _foundation(row: StoredModel, rows: _Rows) -> StoredModel | None:
    """What a usable row stands on in the end, itself if on nothing; None when the row is not usable.

    The rule of `usable_by`: as everything readable is at hand, it needs no further statement.
    """
    if not row.is_active:
        return None
    hops = 0
    while row.base_pk and hops < MAX_HOPS:
        base = rows.readable.get(row.base_pk)
        if base is None or not (base.is_active or rows.bypass):
            return None
        row, hops = base, hops + 1
    return row


def _load(user: Person, with_records: bool, with_presets: bool) -> _Rows:
    bypass = AIModel.bypass_applies(user)
    readable = AIModel.objects.reachable_by(user).order_by()
    if not bypass:
        readable = readable.filter(is_active=True)
    if not with_presets:
        readable = readable.filter(base_model__isnull=True)
    columns = _STORED | {"c_stamp": stamp_column()} if with_records else _STORED
    rows = [StoredModel(*row) for row in readable.annotate(**columns).values_list(*columns)]
    registered = None
    if sees_unregistered(user):
        registered = frozenset(AIModel.objects.values_list("model_id", flat=True))
    return _Rows(
        setup=load_setup(),
        order=UiConfig.load().model_order_list,
        readable={row.pk: row for row in rows},
        infos=infos_for({row.pk: row.stamp for row in rows}) if with_records else {},
        registered=registered,
        bypass=bypass,
    )
