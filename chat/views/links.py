"""Sharing a chat by link: the owner's dialog, and the page behind the link."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.web import go, signed_in
from chat import copies, links, rendering
from chat.models import SharedChat
from chat.selectors import WINDOW
from owui.lib.errors import Missing
from rbac.permissions import may


@require_http_methods(["GET", "POST"])
@signed_in
def share(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """GET shows the link, if there is one; POST makes it, or brings its snapshot up to date."""
    user: Any = request.user
    if request.method == "POST":
        return _dialog(request, links.share_chat(by=user, chat_id=chat_id), chat_id, is_fresh=True)
    return _dialog(request, links.link_of(user, chat_id), chat_id)


@require_POST
@signed_in
def unshare(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    links.unshare_chat(by=request.user, chat_id=chat_id)  # type: ignore[arg-type]
    return _dialog(request, None, chat_id)


def _dialog(
    request: HttpRequest, shared: SharedChat | None, chat_id: uuid.UUID, *, is_fresh: bool = False
) -> HttpResponse:
    url = request.build_absolute_uri(reverse("chat:shared-page", args=[shared.pk])) if shared else ""
    context = {"shared": shared, "chat_id": chat_id, "url": url, "is_fresh": is_fresh}
    return render(request, "chat/_share_dialog.html", context)


@never_cache
@require_GET
@gzip_page
def shared_page(request: HttpRequest, share_id: uuid.UUID) -> HttpResponse:
    """The snapshot, for whoever may open it; strangers to it learn nothing, and may sign in. `?after=40` are the next
    messages, as a fragment: who scrolls down asks for them."""
    user: Any = request.user if request.user.is_authenticated and request.user.role in ("user", "admin") else None
    try:
        shared = links.readable_link(user, share_id)
    except Missing:
        if request.user.is_authenticated:
            raise
        return go(request, f"{reverse('accounts:sign-in')}?next={request.path}")
    branch, citations = links.shown_branch(shared, user)
    after = request.GET.get("after", "")
    first = int(after) if after.isdecimal() and len(after) < 7 else 0
    last = first + WINDOW
    views = rendering.branch_views(branch[first:last], branch, citations, {})
    for view in views:
        view["cited_list"], view["source_list"] = view.get("source_list") or [], []
        view["no_evidence"] = False
    context = {"shared": shared, "message_list": views, "can": {}, "next": last if branch[last:] else None}
    if first:
        return render(request, "chat/_shared_messages.html", context)
    return render(request, "chat/shared_page.html", {**context, "may_clone": may(user, "chat.import")})


@require_POST
@signed_in
def shared_clone(request: HttpRequest, share_id: uuid.UUID) -> HttpResponse:
    user: Any = request.user
    copy = copies.clone_snapshot(links.readable_link(user, share_id), by=user)
    return go(request, reverse("chat:chat-page", args=[copy.pk]))


@require_POST
@signed_in
def clone(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """One's own copy of a chat one reads, opened at once."""
    user: Any = request.user
    source = copies.readable_chat(user, chat_id)
    if source is None:
        raise Missing(_("This chat does not exist, or it is not yours."))
    return go(request, reverse("chat:chat-page", args=[copies.clone_chat(source, by=user).pk]))
