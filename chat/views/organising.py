"""What people do with their chats in the sidebar: tags, moves, the archive, files out and in."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.preferences import interface_of
from accounts.web import me, signed_in
from chat import copies, exports, folder_tree, listed, organising, rendering, selectors, services
from chat.folders import check_folders, with_inner
from chat.models import Chat, Folder
from chat.views.search import list_beside, shown_list
from owui.lib.errors import Missing, UserError
from owui.lib.guards import refuse_pictures
from rbac.permissions import may, require
from rbac.shortcuts import get_readable

#: of a file of chats; it is held in memory to be read
MOST_BYTES = 32 * 1024 * 1024
ARCHIVE_PAGE = 50


# ----------------------------------------------------------------------------------------------------------------- tags
@require_http_methods(["GET", "POST"])
@signed_in
def tags(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """The tags of a chat; POST adds `name`, or takes `remove` away."""
    user, fault = me(request), ""
    chat = services.own_chat(user, chat_id, lock=False)
    if request.method == "POST":
        try:
            chat = _change_tags(user, chat_id, request.POST.get("name", ""), request.POST.get("remove", ""))
        except UserError as error:
            fault = error.message
    names = organising.tags_of(chat)
    others = [name for name in organising.recent_tags(user, 100) if name not in names]
    context = {"chat": chat, "tag_list": names, "other_list": others, "fault": fault, "mark": listed.tags_mark(names)}
    if "part" in request.GET:
        return render(request, "chat/_tag_list.html", context)
    return render(request, "chat/_tags_dialog.html", context, status=422 if fault else 200)


def _change_tags(user: Any, chat_id: uuid.UUID, name: str, gone: str) -> Chat:
    if gone:
        return organising.remove_tag(by=user, chat_id=chat_id, name=gone)
    return organising.add_tag(by=user, chat_id=chat_id, name=name)


# ---------------------------------------------------------------------------------------------------------------- moves
@require_http_methods(["GET", "POST"])
@signed_in
def move(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """Into a folder, or out of all: the keyboard's way for what the mouse drags."""
    user = me(request)
    if request.method == "POST":
        organising.move_chat(by=user, chat_id=chat_id, folder_id=request.POST.get("folder"))
        return shown_list(request)
    chat = services.own_chat(user, chat_id, lock=False)
    context = {
        "title": _("Move this chat"),
        "name": chat.title,
        "action_url": request.path,
        "field": "folder",
        "place_list": folder_tree.places(user),
        "chosen": chat.folder_id,
        "top": _("No folder"),
    }
    return render(request, "chat/_folder_move.html", context)


# -------------------------------------------------------------------------------------------------------------- archive
@require_GET
@signed_in
def archived(request: HttpRequest) -> HttpResponse:
    """The archive as a dialog; `q` looks in titles, `after` continues."""
    part = "q" in request.GET or "after" in request.GET
    return render(request, f"chat/{'_archive_rows' if part else '_archive'}.html", _archive(request))


def _archive(request: HttpRequest) -> dict[str, Any]:
    user, query = me(request), request.GET.get("q", "").replace("\x00", "").strip()[:200]
    chats: Any = Chat.objects.writable_by(user).filter(archived=True)
    if query:
        chats = chats.filter(title__icontains=query)
    last = selectors.place_of(request.GET.get("after", ""))
    rows = list(selectors.beyond(chats, last).values("id", "title", "updated_at")[: ARCHIVE_PAGE + 1])
    after = selectors.place_text(rows[ARCHIVE_PAGE - 1]) if len(rows) > ARCHIVE_PAGE else ""
    return {
        "row_list": rows[:ARCHIVE_PAGE],
        "after": after,
        "is_further": last is not None,
        "query": query,
        "may_export": may(user, "chat.export"),
        "may_delete": may(user, "chat.delete"),
    }


@require_POST
@signed_in
def unarchive(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """One out of the archive; once more does nothing."""
    user = me(request)
    if services.own_chat(user, chat_id, lock=False).archived:
        organising.toggle_archived(by=user, chat_id=chat_id)
    return _archive_anew(request)


@require_http_methods(["GET", "POST"])
@signed_in
def archive_all(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        count = organising.set_all_archived(by=me(request), archived=True)
        told = ngettext("%(count)s chat archived.", "%(count)s chats archived.", count) % {"count": count}
        return shown_list(request, told=told)
    context = {
        "title": _("Archive all chats?"),
        "text": _("They leave the sidebar and stay in the archive, from where you can take them back."),
        "action_url": request.path,
        "verb": _("Archive all"),
    }
    return render(request, "components/_confirm_dialog.html", context)


@require_POST
@signed_in
def unarchive_all(request: HttpRequest) -> HttpResponse:
    organising.set_all_archived(by=me(request), archived=False)
    return _archive_anew(request)


def _archive_anew(request: HttpRequest) -> HttpResponse:
    response = render(request, "chat/_archive.html", _archive(request))
    response.content += list_beside(request).encode()
    return response


# -------------------------------------------------------------------------------------------------------------- exports
@require_GET
@signed_in
def download(request: HttpRequest, chat_id: uuid.UUID, form: str) -> HttpResponseBase:
    """One of one's own chats as `json` or `txt`; what others share is cloned first."""
    refuse_pictures(request)
    user = me(request)
    chats = Chat.objects.writable_by(user).filter(pk=chat_id)
    chat: Any = chats.first()
    if chat is None or form not in ("json", "txt"):
        raise Missing(_("This chat does not exist, or it is not yours."))
    exports.begin_export(chats, by=user, form=form)
    name = _file_name(chat.title)
    if form == "txt":
        return _attached(HttpResponse(exports.as_text(chat), content_type="text/plain; charset=utf-8"), f"{name}.txt")
    return _attached(_stream(chats, user), f"{name}.json")


@require_GET
@signed_in
def print_page(request: HttpRequest, chat_id: uuid.UUID) -> HttpResponse:
    """The visible path on a page of its own, which opens the browser's print dialog: that knows every script and font,
    and saves PDF as well as it prints. `?plain` leaves out what paper has no use for."""
    refuse_pictures(request)
    user: Any = me(request)
    chats = Chat.objects.writable_by(user).filter(pk=chat_id)
    chat: Any = chats.first()
    if chat is None:
        raise Missing(_("This chat does not exist, or it is not yours."))
    exports.begin_export(chats, by=user, form="pdf")
    branch = selectors.load_branch(chat, reader=user)
    views = rendering.branch_views(branch.messages, branch.messages, branch.citations, branch.running)
    for view in views:
        view["cited_list"], view["source_list"] = view.get("source_list") or [], []
    stylized = interface_of(user).get("stylizedPdfExport") is not False
    plain = "plain" in request.GET or not stylized
    return render(request, "chat/print_page.html", {"chat": chat, "message_list": views, "can": {}, "is_plain": plain})


@require_GET
@signed_in
def download_folder(request: HttpRequest, folder_id: uuid.UUID) -> HttpResponseBase:
    """One's own chats in a folder and in those below it."""
    refuse_pictures(request)
    user: Any = me(request)
    check_folders(user)
    folder: Any = get_readable(Folder.objects.all(), user, folder_id)
    inside = Folder.objects.readable_by(user).filter(pk__in=with_inner(folder)).values("pk")
    chats: Any = Chat.objects.writable_by(user).filter(folder__in=inside).order_by("-updated_at", "id")
    exports.begin_export(chats, by=user, folder=folder)
    return _attached(_stream(chats, user), f"{_file_name(folder.name)}.json")


@require_GET
@signed_in
def download_all(request: HttpRequest) -> HttpResponseBase:
    """All of one's chats; `?archived=1` those in the archive."""
    refuse_pictures(request)
    user = me(request)
    chats: Any = Chat.objects.writable_by(user).order_by("-updated_at", "id")
    if request.GET.get("archived"):
        chats = chats.filter(archived=True)
    exports.begin_export(chats, by=user)
    return _attached(_stream(chats, user), f"chats-{timezone.localdate().isoformat()}.json")


def _file_name(title: str) -> str:
    return re.sub(r"[^\w .-]+", "_", title).strip(" .")[:80] or "chat"


def _stream(chats: Any, reader: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(exports.exported(chats, reader=reader), content_type="application/json")


def _attached(response: Any, name: str) -> HttpResponseBase:
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response  # type: ignore[no-any-return]


# -------------------------------------------------------------------------------------------------------------- imports
@require_http_methods(["GET", "POST"])
@signed_in
def bring_in(request: HttpRequest) -> HttpResponse:
    """Chats from a file: an export of this product or ChatGPT's. A fault is said in the dialog."""
    user = me(request)
    require(user, "chat.import", status=403)
    context: dict[str, Any] = {"most": MOST_BYTES, "most_mb": MOST_BYTES // 1024**2}
    if request.method == "GET":
        return render(request, "chat/_import_dialog.html", context)
    try:
        made = copies.import_chats(_entries(request), by=user)
    except UserError as error:
        status = 422 if getattr(request, "htmx", False) else error.status
        return render(request, "chat/_import_dialog.html", {**context, "fault": error.message}, status=status)
    told = ngettext("%(count)s chat imported.", "%(count)s chats imported.", len(made)) % {"count": len(made)}
    return shown_list(request, told=told)


def _entries(request: HttpRequest) -> list[Any]:
    too_big = _("This file is larger than %(most)s MB. Split it, or export fewer chats at once.")
    upload = request.FILES.get("file")
    if upload is None:
        raise UserError(_("Choose a file first."), code="no_file")
    if (upload.size or 0) > MOST_BYTES:
        raise UserError(too_big % {"most": MOST_BYTES // 1024**2}, status=413, code="too_big")
    data = upload.read()
    if data.startswith(b"PK"):
        text = _("This is a ZIP file. Unpack it, and choose the file conversations.json that is in it.")
        raise UserError(text, code="no_json")
    try:
        found = orjson.loads(data)
    except (json.JSONDecodeError, RecursionError):
        text = _("This file is not JSON. Choose the file that an export gave you, unpacked and unchanged.")
        raise UserError(text, code="no_json") from None
    if isinstance(found, dict) and isinstance(found.get("chats"), list):
        found = found["chats"]  # as programs send it
    entries = found if isinstance(found, list) else [found]
    if not all(isinstance(entry, dict) for entry in entries):
        raise UserError(
            _("This file holds no chats. Choose an export of this product, of ChatGPT or of Claude."), code="no_chats"
        )
    return entries
