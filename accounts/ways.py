"""The ways in, as the sign-in page and `/api/config` show them: only those that are on, in the configured order.

A way of signing in registers itself here from its own module, so that page and REST need not know which ones there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.http import urlencode

from accounts.config import SignInConfig

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise


@dataclass(frozen=True, slots=True)
class Way:
    """One button of the sign-in page.

    :param key: the field's name: `google`, `microsoft`, `github`, `oidc`, `ldap`
    :param url: where it begins; a path of ours
    """

    key: str
    label: _StrOrPromise
    url: str


_makers: list[tuple[int, Callable[[], Iterable[Way]]]] = []


def register(maker: Callable[[], Iterable[Way]], *, order: int) -> None:
    """Adds a maker of ways; it is asked at each sign-in page and says which are on now.

    :param order: smaller comes first
    """
    _makers.append((order, maker))
    _makers.sort(key=lambda entry: entry[0])


def ways(*, next_url: str = "/") -> list[Way]:
    """Every way that is on, in the order the organisation wants, the page to come back to in its address."""
    first = SignInConfig.load().way_order
    found = [way for _order, maker in _makers for way in maker()]
    found.sort(key=lambda way: first.index(way.key) if way.key in first else len(first))
    if next_url == "/":
        return found
    return [Way(w.key, w.label, f"{w.url}?{urlencode({'next': next_url})}") for w in found]
