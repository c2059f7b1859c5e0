"""Which models one person sees: the catalogue of the servers met with the rows that may be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference.catalogue import CHAIN, LiveModel, bases_of, current, sees_unregistered
from inference.connections import Setup, load_setup
from inference.models import AIModel
from owui.config.sections import UiConfig
from owui.lib.aio import in_thread
from rbac.grants import Grant, grants_of
from rbac.sharing import Person


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
    catalogue = await current(rows.setup, refresh=refresh)
    found = []
    for row in rows.usable:
        live = catalogue.models.get(bases_of(row)[-1].model_id)
        if live is not None:
            found.append(ListedModel(live, row, rows.grants.get(row.pk, ())))
    if rows.registered is not None:
        found += (ListedModel(live, None) for id, live in catalogue.models.items() if id not in rows.registered)
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
