"""The list of chats in the sidebar, page by page, and the search dialog."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET

from accounts.web import me, signed_in
from chat import attaching, rendering, search, selectors
from chat.organising import recent_tags

_CHAT = re.compile(r"/c/([0-9a-f-]{36})")
_FOLDER = re.compile(r"/folders/([0-9a-f-]{36})")


def current_chat(request: HttpRequest) -> uuid.UUID | None:
    """The chat of the page that a fragment is for."""
    return _in_address(request, _CHAT)


def _in_address(request: HttpRequest, pattern: re.Pattern[str]) -> uuid.UUID | None:
    found = pattern.search(request.headers.get("HX-Current-URL", ""))
    return next(iter(attaching.uuids([found[1]])), None) if found else None


def list_context(request: HttpRequest) -> dict[str, Any]:
    user = me(request)
    shown = selectors.sidebar_of(user, current_chat(request), folder=_in_address(request, _FOLDER))
    return {"sidebar": shown, "can": rendering.can_of(user)}


def shown_list(request: HttpRequest, *, told: str = "") -> HttpResponse:
    """The whole list anew, in its own place; with a sentence in the corner when there is something to tell."""
    response = render(request, "chat/_chat_list.html", {**list_context(request), "told": told})
    response["HX-Retarget"], response["HX-Reswap"] = "#chat-list", "innerHTML"
    return response


def list_beside(request: HttpRequest) -> str:
    """The list as a second fragment of an answer that goes elsewhere."""
    return render_to_string("chat/_chat_list_beside.html", list_context(request), request)


@require_GET
@signed_in
def chat_list(request: HttpRequest) -> HttpResponse:
    """The list from its beginning, or what comes `after` a place in it."""
    after = request.GET.get("after", "")
    if selectors.place_of(after) is None:
        return render(request, "chat/_chat_list.html", list_context(request))
    current = next(iter(attaching.uuids([request.GET.get("chat", "")])), None)
    context = {"sidebar": selectors.sidebar_of(me(request), current, after=after)}
    return render(request, "chat/_chat_list.html", context)


@require_GET
@signed_in
def search_dialog(request: HttpRequest) -> HttpResponse:
    """The dialog, with the newest chats in it; its field asks `found`."""
    user = me(request)
    context = _found(user, request.GET.get("q", ""))
    context["tag_list"] = recent_tags(user, 6)
    return render(request, "chat/_search.html", context)


@require_GET
@signed_in
def found(request: HttpRequest) -> HttpResponse:
    return render(request, "chat/_search_results.html", _found(me(request), request.GET.get("q", "")))


def _found(user: Any, query: str) -> dict[str, Any]:
    query = query.strip()[: search.QUERY_CHARS]
    asked = search.parse(query)
    return {
        "query": query,
        "asked": asked,
        "found": search.search_chats(user, asked),
        "most": search.SHOWN,
        "far": search.FAR,
    }
