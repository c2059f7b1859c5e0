"""Who still needs a document. The apps above say so: documents know nothing of what they went into."""

from __future__ import annotations

from collections.abc import Callable

from knowledge.models import Document
from rbac.sharing import Person

#: gives the reason, in a sentence for the person who wants it gone, or nothing
Keeper = Callable[[Document, Person], str]
_keepers: list[Keeper] = []


def register(keeper: Keeper) -> None:
    if keeper not in _keepers:
        _keepers.append(keeper)


def reason_to_keep(document: Document, by: Person) -> str:
    """The first reason why this person may not delete the document; empty for none."""
    return next((reason for keeper in _keepers if (reason := keeper(document, by))), "")
