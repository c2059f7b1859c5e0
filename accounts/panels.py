"""The sections of the settings page. A subject registers its own, so that the page need not know which there are.

    panels.register("devices", _("Devices"), "accounts/_devices.html", section, order=50)

The maker gets the request and gives what the template needs beside the page's own context, or None when the section is
not for this person. Orders: profile 10, appearance 20, language 22, password 30, second factor 40, devices 50, API
keys 60.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.template.loader import render_to_string

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

Maker = Callable[[HttpRequest], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Panel:
    """One section.

    :param key: the anchor, which is also the id of the template's root
    """

    key: str
    label: _StrOrPromise
    html: str


_makers: list[tuple[int, str, _StrOrPromise, str, Maker]] = []


def register(key: str, label: _StrOrPromise, template: str, maker: Maker, *, order: int) -> None:
    """Adds a section."""
    _makers.append((order, key, label, template, maker))
    _makers.sort(key=lambda entry: entry[:2])


def panels(request: HttpRequest, **instead: Any) -> list[Panel]:
    """The sections for this person.

    :param instead: values that stand in for a section's own: a form with its errors
    """
    found = []
    for _order, key, label, template, maker in _makers:
        context = maker(request)
        if context is not None:
            context |= {name: value for name, value in instead.items() if name in context}
            found.append(Panel(key, label, render_to_string(template, context, request)))
    return found
