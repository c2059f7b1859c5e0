"""Sections of the settings page about chats: how models answer the person, and what of theirs is kept here."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.panels import register
from accounts.preferences import interface_of, may_set
from accounts.web import me, signed_in
from chat import attaching, controls, links, organising
from chat.models import Chat
from chat.views.controls import parameter_rows, saved, typed_in
from chat.views.search import shown_list
from knowledge.models import Document, KnowledgeDocument
from knowledge.services import delete_document
from owui.lib.errors import Missing, UserError
from rbac.permissions import is_bound, may, require

PAGE = 50


# ------------------------------------------------------------------------------------------------------------- answers
def _answers(request: HttpRequest) -> dict[str, Any] | None:
    user = me(request)
    may_system, may_params = may_set(user, "system"), may_set(user, "params")
    if not (may_system or may_params):
        return None
    ui = interface_of(user)
    params = ui.get("params")
    return {
        "may_system": may_system,
        "system": ui.get("system") or "",
        "parameter_list": parameter_rows(params if isinstance(params, dict) else {}) if may_params else [],
    }


@require_POST
@signed_in
def answers(request: HttpRequest) -> HttpResponse:
    """The person's own prompt and parameters, for all their chats that say nothing else."""
    try:
        controls.save_own(by=me(request), system=request.POST.get("system", ""), typed=typed_in(request))
    except UserError as error:
        if error.status in (401, 403):
            raise
        return saved(request, error)
    return saved(request)


# ------------------------------------------------------------------------------------------------------- what is kept
def _data(request: HttpRequest) -> dict[str, Any]:
    user = me(request)
    chats = Chat.objects.writable_by(user)
    return {
        "chat_count": chats.count(),
        "archived_count": chats.filter(archived=True).count(),
        "link_count": links.own_links(user).count(),
        "file_count": _files(user).count(),
        "may_export": may(user, "chat.export"),
        "may_import": may(user, "chat.import") and not is_bound(user, "chat.temporary_enforced"),
        "may_delete": may(user, "chat.delete"),
    }


@require_http_methods(["GET", "POST"])
@signed_in
def delete_all(request: HttpRequest) -> HttpResponse:
    """Every chat of the person, after they were asked."""
    user = me(request)
    if request.method == "POST":
        count = organising.delete_all_chats(by=user)
        told = ngettext("%(count)s chat deleted.", "%(count)s chats deleted.", count) % {"count": count}
        return shown_list(request, told=told)
    require(user, "chat.delete")
    count = Chat.objects.writable_by(user).count()
    text = ngettext(
        "%(count)s chat with all its messages will be deleted, links to it too. This cannot be undone.",
        "%(count)s chats with all their messages will be deleted, links to them too. This cannot be undone.",
        count,
    )
    context = {
        "title": _("Delete all your chats?"),
        "text": text % {"count": count},
        "action_url": request.path,
        "verb": _("Delete all chats"),
    }
    return render(request, "components/_confirm_dialog.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def link_list(request: HttpRequest) -> HttpResponse:
    """Every link to one's own chats; a POST takes the one of `chat` away, or all of them."""
    user = me(request)
    if request.method == "POST":
        if chat := request.POST.get("chat"):
            links.unshare_chat(by=user, chat_id=_id(chat))
        else:
            links.unshare_all(by=user)
    return _listed(request, "links", links.own_links(user).order_by("-updated_at", "pk"))


def _files(user: Any) -> Any:
    """What the person brought, also into bases: theirs to take away."""
    return Document.objects.writable_by(user).filter(owner_id=user.pk)


@require_GET
@signed_in
def file_list(request: HttpRequest) -> HttpResponse:
    """One's own files, the newest first."""
    return _listed(request, "files", _shown_files(me(request)))


@require_POST
@signed_in
def file_delete(request: HttpRequest) -> HttpResponse:
    user = me(request)
    document = _files(user).filter(pk=_id(request.POST.get("file", ""))).first()
    if document is None:
        raise Missing(_("This file does not exist."))
    delete_document(document, by=user)
    return _listed(request, "files", _shown_files(user))


def _shown_files(user: Any) -> Any:
    in_base = KnowledgeDocument.objects.filter(document=OuterRef("pk"))
    return _files(user).annotate(in_base=Exists(in_base)).order_by("-created_at", "pk")


def _listed(request: HttpRequest, kind: str, found: Any) -> HttpResponse:
    """A dialog with a list, or what follows in it."""
    number = int(page) if (page := request.GET.get("page", "")).isdecimal() and len(page) < 6 else 1
    start = (max(1, number) - 1) * PAGE
    rows = list(found[start : start + PAGE + 1])
    context = {"row_list": rows[:PAGE], "next": number + 1 if len(rows) > PAGE else 0, "is_further": number > 1}
    return render(request, f"chat/_my_{kind}{'_rows' if number > 1 else ''}.html", context)


def _id(text: str) -> uuid.UUID:
    return next(iter(attaching.uuids([text])), uuid.UUID(int=0))


register("answers", gettext_lazy("Answers"), "chat/_settings_answers.html", _answers, order=23)
register("data", gettext_lazy("Your data"), "chat/_settings_data.html", _data, order=70)
