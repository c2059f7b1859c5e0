"""The models page of the workspace: what is stored and readable, and for administrators all that is live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db.models import Q
from django.utils.translation import gettext as _

from inference.catalogue import CHAIN, bases_of
from inference.live import LiveModel
from inference.models import AIModel, AIModelQuerySet
from owui.lib.pagination import keys_of, rows_of
from rbac.permissions import may
from rbac.sentences import access_sentences
from rbac.sharing import Person

#: rows of a page
SHOWN = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the page. `id` is the model's id, `pk` the row's; without a row `pk` is empty."""

    id: str
    pk: str
    name: str
    connection: str
    access_sentence: str
    is_active: bool
    writable: bool
    is_preset: bool = False


def listed_for(user: Person) -> AIModelQuerySet:
    """What the lists of the workspace show of the readable models: those flagged as hidden only to their owners and to
    people with the permission. Hidden is not secret: such a model stays usable, and readable by its id."""
    readable: AIModelQuerySet = AIModel.objects.readable_by(user)
    if may(user, "workspace.models_hidden"):
        return readable
    return readable.filter(~Q(meta__contains={"hidden": True}) | Q(owner_id=user.id))


@dataclass(frozen=True, slots=True)
class Shown:
    """One page of the rows; `last` is the number of the last page."""

    entries: list[Entry]
    total: int
    page: int
    last: int


def entries(user: Person, models: Mapping[str, LiveModel], *, query: str = "", page: int = 1) -> Shown:
    """Rows by name, then what nobody registered yet. A fixed number of statements; what they cost follows the page."""
    rows = listed_for(user).order_by("name", "pk")
    if query:
        rows = rows.filter(Q(name__icontains=query) | Q(model_id__icontains=query))
    bare = _unregistered(user, models, query)
    page = max(1, page)
    keys, registered = keys_of(rows, page, SHOWN)
    last = max(1, -(-(registered + len(bare)) // SHOWN))
    if page > last:
        page = last
        keys, registered = keys_of(rows, page, SHOWN)
    start = max(0, (page - 1) * SHOWN - registered)
    found = _entries(user, rows_of(rows.select_related(CHAIN), keys), models)
    found += (_bare(live) for live in bare[start : start + SHOWN - len(found)])
    return Shown(found, registered + len(bare), page, last)


def _unregistered(user: Person, models: Mapping[str, LiveModel], query: str) -> list[LiveModel]:
    """What servers offer and nobody registered: for administrators."""
    if user.role != "admin":
        return []
    stored = set(AIModel.objects.filter(model_id__in=list(models)).values_list("model_id", flat=True))
    word = query.casefold()
    return [
        live
        for id, live in sorted(models.items())
        if id not in stored and (word in id.casefold() or word in live.name.casefold())
    ]


def _entries(user: Person, rows: list[AIModel], models: Mapping[str, LiveModel]) -> list[Entry]:
    sentences = access_sentences(rows)
    writable = set(AIModel.objects.writable_by(user).filter(pk__in=list(sentences)).values_list("pk", flat=True))
    return [
        Entry(
            id=row.model_id,
            pk=str(row.pk),
            name=row.name,
            connection=_connection(models.get(bases_of(row)[-1].model_id), with_address=user.role == "admin"),
            access_sentence=sentences[row.pk],
            is_active=row.is_active,
            writable=row.pk in writable,
            is_preset=row.base_model_id is not None,
        )
        for row in rows
    ]


def _bare(live: LiveModel) -> Entry:
    connection = _connection(live, with_address=True)
    return Entry(live.id, "", live.name, connection, _("Only administrators."), is_active=True, writable=True)


def _connection(live: LiveModel | None, *, with_address: bool) -> str:
    if live is None:
        return _("Not available now")
    kind = "Ollama" if live.kind == "ollama" else _("OpenAI-compatible")
    if not with_address:
        return kind
    hosts = sorted({urlsplit(c.info.base_url).netloc.rpartition("@")[2] for c in live.connections})
    return f"{kind}, {', '.join(hosts)}"
