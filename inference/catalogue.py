"""Which models one person may use: what the servers offer, met with the rows and grants of the database.

What a person may use is never cached; it is one hop to the database each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils.translation import gettext as _

from inference.connections import Setup, load_setup
from inference.live import Lists, LiveModel, current, find
from inference.models import AIModel
from inference.providers.base import ConnectionInfo
from owui.config.sections import UiConfig
from owui.lib.aio import in_thread
from owui.lib.errors import UserError
from rbac.grants import Grant, grants_of
from rbac.sharing import Person, is_verified

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

    @property
    def system(self) -> str:
        """The preset's system prompt."""
        return str(self.params.get("system") or "")


async def resolve_for(user: Person, model_id: str, *, status: int = 400) -> Resolved:
    """The model, if the person may use it: at most two statements, and no network while the cache is warm.

    :param status: of the refusal, which is the same for unknown, inactive and not granted models
    """
    setup, row, is_open = await in_thread(_look_up)(user, model_id)
    if row is None and not is_open:
        raise UserError(NOT_FOUND, status=status, code="model")
    chain = [] if row is None else bases_of(row)
    base_id = chain[-1].model_id if chain else model_id
    live = await find(setup, base_id)
    if live is None:
        if row is None:
            raise UserError(NOT_FOUND, status=status, code="model")
        text = _("The server of “%(name)s” does not offer it at the moment. Choose another model, or try again later.")
        raise UserError(text % {"name": row.name}, status=502, code="model_offline")
    return Resolved(
        model_id=model_id,
        name=row.name if row else live.name,
        connection=live.pick().info,
        upstream_id=live.upstream_id,
        live=live,
        params=_merged([r.params for r in chain]),
        meta=_merged([r.meta for r in chain]),
        row=row,
    )


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
    row = AIModel.objects.usable_by(user).filter(model_id=model_id).select_related(CHAIN).order_by().first()
    is_open = row is None and sees_unregistered(user) and not AIModel.objects.filter(model_id=model_id).exists()
    return setup, row, is_open


def _merged(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """The nearest layer wins; what it leaves empty comes from below."""
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged |= {name: value for name, value in (layer or {}).items() if value not in (None, "", [], {})}
    return merged


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that can answer now. `live` is what answers in the end; `row` is None where nobody registered it."""

    live: LiveModel
    row: AIModel | None
    grants: Sequence[Grant] = ()

    @property
    def id(self) -> str:
        return self.row.model_id if self.row else self.live.id

    @property
    def name(self) -> str:
        return self.row.name if self.row else self.live.name

    @property
    def is_preset(self) -> bool:
        return self.row is not None and self.row.base_model_id is not None

    @property
    def is_hidden(self) -> bool:
        """Flagged by its owner as not to be offered in pickers; it stays usable."""
        return bool(self.row and (self.row.meta or {}).get("hidden"))

    @property
    def description(self) -> str:
        return str((self.row.meta or {}).get("description") or "") if self.row else ""


@dataclass(frozen=True, slots=True)
class _Rows:
    setup: Setup
    order: Sequence[str]
    usable: Sequence[AIModel]
    grants: Mapping[Any, Sequence[Grant]]
    registered: frozenset[str] | None  # None: bare models are not for this person


async def models_for(user: Person, *, refresh: bool = False, grants: bool = False) -> list[ListedModel]:
    """The models the person may use and that a server offers, in the administrator's order, then by name.

    A fixed number of statements however many models there are.

    :param grants: also load who else may use each
    """
    rows = await in_thread(_load)(user, grants)
    return _offered(rows, await current(rows.setup, refresh=refresh))


def models_now(user: Person) -> list[ListedModel]:
    """`models_for` for sync code. The rows are read here, on the connection the caller holds: while sync pages wait for
    a hop with their own connection in hand, enough of them at once would starve each other of connections."""
    rows = _load(user, with_grants=False)
    return _offered(rows, async_to_sync(current)(rows.setup))


async def choices_for(user: Person) -> list[dict[str, str]]:
    """What a picker shows: id, name and description of the models that are not hidden."""
    return _choices(await models_for(user))


def choices_now(user: Person) -> list[dict[str, str]]:
    """`choices_for` for sync code; see `models_now`."""
    return _choices(models_now(user))


def _choices(models: list[ListedModel]) -> list[dict[str, str]]:
    return [{"id": m.id, "name": m.name, "description": m.description} for m in models if not m.is_hidden]


def _offered(rows: _Rows, lists: Lists) -> list[ListedModel]:
    """The usable rows whose server is there, and the bare models where they are to be seen."""
    found = []
    for row in rows.usable:
        live = lists.models.get(bases_of(row)[-1].model_id)
        if live is not None:
            found.append(ListedModel(live, row, rows.grants.get(row.pk, ())))
    if rows.registered is not None:
        found += (ListedModel(live, None) for id, live in lists.models.items() if id not in rows.registered)
    place = {model_id: at for at, model_id in enumerate(rows.order)}
    return sorted(found, key=lambda model: (place.get(model.id, len(place)), model.name.casefold(), model.id))


def _load(user: Person, with_grants: bool) -> _Rows:
    usable = list(AIModel.objects.usable_by(user).select_related(CHAIN).order_by())
    registered = None
    if sees_unregistered(user):
        registered = frozenset(AIModel.objects.values_list("model_id", flat=True))
    return _Rows(
        setup=load_setup(),
        order=UiConfig.load().model_order_list,
        usable=usable,
        grants=grants_of(usable) if with_grants else {},
        registered=registered,
    )
