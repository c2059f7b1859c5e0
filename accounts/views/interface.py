"""The sections of the settings page for the look of the chat page and its keys."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from accounts import interface, preferences
from accounts.panels import Maker, register
from accounts.web import me, signed_in
from owui.lib.errors import UserError
from rbac.permissions import may, require


def _section(group: str) -> Maker:
    """The switches and choices of one section."""

    def make(request: HttpRequest) -> dict[str, Any] | None:
        user = me(request)
        ui = preferences.interface_of(user)
        toggles = [
            {"name": t.name, "label": t.label, "help": t.help, "on": interface.value_of(ui, t)}
            for t in interface.TOGGLES
            if t.group == group and interface.shown_to(user, t)
        ]
        choices = [
            {"name": c.name, "label": c.label, "values": _values(c, chosen), "chosen": chosen, "most": c.most}
            for c in interface.CHOICES
            if c.group == group and interface.shown_to(user, c) and (chosen := interface.choice_of(ui, c)) is not None
        ]
        return {"group": group, "toggle_list": toggles, "choice_list": choices} if toggles or choices else None

    return make


def _values(choice: interface.Choice, chosen: str) -> list[tuple[str, Any]]:
    known = list(choice.values)
    return known if chosen in {value for value, _label in known} else [*known, (chosen, chosen)]


def _keyboard(request: HttpRequest) -> dict[str, Any] | None:
    user = me(request)
    if not may(user, preferences.INTERFACE):
        return None
    first = {s.name: s.keys for s in interface.SHORTCUTS}
    shortcuts = [s for s in interface.shortcuts_of(preferences.interface_of(user)) if s.is_free]
    return {"key_list": [{"shortcut": s, "changed": s.keys != first[s.name]} for s in shortcuts], "key_error": ""}


register("interface", _("Chat page"), "accounts/_interface.html", _section(interface.CHAT), order=24)
register("keyboard", _("Keyboard"), "accounts/_keyboard.html", _keyboard, order=26)
register("notices", _("Notifications"), "accounts/_notices.html", _section(interface.NOTICES), order=27)
register("speech", _("Speech"), "accounts/_speech.html", _section(interface.SPEECH), order=28)


@require_POST
@signed_in
def save(request: HttpRequest) -> HttpResponse:
    """All switches of a section as they are now; sent at every change."""
    group = request.POST.get("group", interface.CHAT)
    interface.save_interface(me(request), group, request.POST.getlist("on"), request.POST.dict())
    return HttpResponse(status=204)


@require_POST
@signed_in
def shortcut(request: HttpRequest) -> HttpResponse:
    """Other keys for one action; answers with the section."""
    user, error = me(request), ""
    require(user, preferences.INTERFACE, status=403)
    try:
        interface.save_shortcut(user, request.POST.get("name", ""), request.POST.get("keys", ""))
    except UserError as refused:
        error = refused.message
    context = (_keyboard(request) or {}) | {"key_error": error}
    return render(request, "accounts/_keyboard.html", context, status=422 if error else 200)
