"""Folders: their pages, and what one does with them."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.web import go, me, signed_in
from chat import attaching, folder_tree, folders, rendering, selectors
from chat.forms import FolderForm
from chat.models import Chat, Folder
from chat.oversight import looked_into
from chat.reading import UNREAD, is_running, mark_all_read, state_of
from chat.views.search import shown_list
from knowledge.models import KnowledgeBase
from owui.lib.errors import Missing, UserError
from owui.lib.pictures import TYPES, data_address, image_response
from rbac.permissions import may
from rbac.shortcuts import get_readable, get_writable

PAGE, BASES = 60, 200


def _readable(request: HttpRequest, folder_id: uuid.UUID) -> Folder:
    folders.check_folders(me(request))
    found: Folder = get_readable(Folder.objects.all(), me(request), folder_id)
    looked_into(found, me(request))
    return found


def _writable(request: HttpRequest, folder_id: uuid.UUID) -> Folder:
    folders.check_folders(me(request))
    found: Folder = get_writable(Folder.objects.all(), me(request), folder_id)
    return found


@require_GET
@signed_in
def folder_page(request: HttpRequest, folder_id: uuid.UUID) -> HttpResponse:
    """What lies in a folder: folders and chats, and what its chats inherit. `after` continues the chats."""
    user: Any = me(request)
    folder = _readable(request, folder_id)
    chats: Any = Chat.objects.readable_by(user).filter(folder=folder, archived=False)
    last = selectors.place_of(request.GET.get("after", ""))
    shown = ("id", "title", "updated_at", "read_at", "owner_id", "owner__name", "running")
    rows = list(selectors.beyond(chats, last).annotate(running=is_running()).values(*shown)[: PAGE + 1])
    for row in rows:
        state = state_of(row)
        row["state"] = "" if state == UNREAD and row["owner_id"] != user.pk else state
    next_url = f"{request.path}?after={selectors.place_text(rows[PAGE - 1])}" if len(rows) > PAGE else ""
    context = {"row_list": rows[:PAGE], "next_url": next_url, "is_further": last is not None, "folder": folder}
    if last is not None:
        return render(request, "chat/_folder_chats.html", context)
    others = Folder.objects.readable_by(user).defer("data", "meta")  # pictures are in it
    inside = others.filter(parent=folder).order_by("name", "pk")[: folder_tree.MOST_FOLDERS]
    above = others.filter(pk=folder.parent_id).first() if folder.parent_id else None
    context |= {
        "inside_list": inside,
        "above": above,
        "may_write": Folder.objects.writable_by(user).filter(pk=folder.pk).exists(),
        "is_own": folder.owner_id == user.pk,
        **folder_tree.look_of(folder.meta),
        "has_background": folder_tree.has_background(folder.meta),
        "prompt": str((folder.data or {}).get("system_prompt") or ""),
        "knowledge_list": [item for item in _items(folder) if item.get("type") == "collection"],
        "can": rendering.can_of(user),
    }
    if "part" in request.GET:
        return render(request, "chat/_folder_page.html", context)
    context["sidebar"] = selectors.sidebar_of(user, folder=folder.pk)
    return render(request, "chat/folder_page.html", context)


def _items(folder: Folder) -> list[dict[str, Any]]:
    files = (folder.data or {}).get("files")
    return [item for item in files if isinstance(item, dict)] if isinstance(files, list) else []


@require_http_methods(["GET", "POST"])
@signed_in
def folder_create(request: HttpRequest, folder_id: uuid.UUID | None = None) -> HttpResponse:
    """A new folder at the top, or in one."""
    user = me(request)
    folders.check_folders(user)
    parent = _writable(request, folder_id) if folder_id else None
    form = FolderForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            folders.create_folder(by=user, name=form.cleaned_data["name"], parent_id=str(parent.pk) if parent else None)
            return shown_list(request)
        except UserError as error:
            form.add_error("name", error.message)
    title = _("New folder in %(name)s") % {"name": parent.name} if parent else _("New folder")
    return _form(request, form, {"title": title, "verb": _("Create folder")})


@require_http_methods(["GET", "POST"])
@signed_in
def folder_rename(request: HttpRequest, folder_id: uuid.UUID) -> HttpResponse:
    folder = _writable(request, folder_id)
    form = FolderForm(request.POST or None, initial={"name": folder.name})
    if request.method == "POST" and form.is_valid():
        try:
            folders.update_folder(folder, by=me(request), name=form.cleaned_data["name"])
            return _done(request, folder)
        except UserError as error:
            form.add_error("name", error.message)
    return _form(request, form, {"title": _("Rename folder"), "verb": _("Rename")})


def _form(request: HttpRequest, form: FolderForm, context: dict[str, Any]) -> HttpResponse:
    context |= {"form": form, "action_url": request.path}
    return render(request, "chat/_folder_dialog.html", context, status=422 if form.errors else 200)


def _done(request: HttpRequest, folder: Folder) -> HttpResponse:
    """The list anew; the folder's own page whole, for it shows what was changed."""
    page = reverse("chat:folder-page", args=[folder.pk])
    return go(request, page) if page in request.headers.get("HX-Current-URL", "") else shown_list(request)


@require_POST
@signed_in
def folder_toggle(request: HttpRequest, folder_id: uuid.UUID) -> HttpResponse:
    """Opens or closes it in the list, for whoever may change it."""
    folder = _writable(request, folder_id)
    folders.update_folder(folder, by=me(request), is_expanded=not folder.is_expanded)
    return shown_list(request)


@require_POST
@signed_in
def folder_read(request: HttpRequest, folder_id: uuid.UUID) -> HttpResponse:
    """One's own chats in it are not new any more."""
    mark_all_read(by=me(request), folder_id=_readable(request, folder_id).pk)
    return shown_list(request)


@require_http_methods(["GET", "POST"])
@signed_in
def folder_move(request: HttpRequest, folder_id: uuid.UUID) -> HttpResponse:
    folder = _writable(request, folder_id)
    if request.method == "POST":
        folders.move_folder(folder, by=me(request), parent_id=request.POST.get("parent") or None)
        return _done(request, folder)
    context = {
        "title": _("Move this folder"),
        "name": folder.name,
        "action_url": request.path,
        "field": "parent",
        "place_list": [place for place in folder_tree.places(me(request)) if place["id"] != folder.pk],
        "chosen": folder.parent_id,
        "top": _("At the top"),
    }
    return render(request, "chat/_folder_move.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def folder_delete(request: HttpRequest, folder_id: uuid.UUID) -> HttpResponse:
    """With its chats, or without: then they go back to the list."""
    folder, user = _writable(request, folder_id), me(request)
    if request.method == "POST":
        folders.delete_folder(folder, by=user, delete_contents=request.POST.get("chats") == "delete")
        address = request.headers.get("HX-Current-URL", "")
        is_shown = reverse("chat:folder-page", args=[folder_id]) in address
        return go(request, reverse("chat:chat-new")) if is_shown else shown_list(request)
    context = {"folder": folder, "action_url": request.path, "may_delete": may(user, "chat.delete")}
    return render(request, "chat/_folder_delete.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def folder_settings(request: HttpRequest, folder_id: uuid.UUID) -> HttpResponse:
    """The prompt and the knowledge that the chats of a folder inherit."""
    folder, user = _writable(request, folder_id), me(request)
    may_prompt = may(user, "chat.system_prompt")
    bases = KnowledgeBase.objects.readable_by(user).order_by("name", "pk")[:BASES]
    if request.method == "POST":
        look: dict[str, Any] = {
            "colour": _colour(request.POST.get("colour", "")),
            "icon": _sign(request.POST.get("sign", "")),
        }
        look |= _background(request)
        data: dict[str, Any] = {"files": _chosen(folder, user, request.POST.getlist("knowledge"), bases)}
        if may_prompt:
            data["system_prompt"] = request.POST.get("system_prompt", "").replace("\x00", "").strip()
        folders.update_folder(folder, by=user, data=data, meta=look)
        return go(request, reverse("chat:folder-page", args=[folder.pk]))
    context = {
        "folder": folder,
        "may_prompt": may_prompt,
        "prompt": str((folder.data or {}).get("system_prompt") or ""),
        "base_list": bases,
        "chosen": [item.get("id") for item in _items(folder)],
        "colour_list": folder_tree.COLOURS.items(),
        **folder_tree.look_of(folder.meta),
        "has_background": folder_tree.has_background(folder.meta),
        "picture_types": ",".join(TYPES),
    }
    return render(request, "chat/_folder_settings.html", context)


@require_GET
@signed_in
def folder_background(request: HttpRequest, folder_id: uuid.UUID) -> HttpResponseBase:
    """The picture behind a folder's page: in the page it would be sent with each draw of it."""
    folder = _readable(request, folder_id)
    if not folder_tree.has_background(folder.meta):
        raise Missing(_("This folder has no background."))
    response = image_response(str(folder.meta[folders.BACKGROUND]))
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _background(request: HttpRequest) -> dict[str, Any]:
    """What of the folder's `meta` changes with the form: a chosen picture, or none any more."""
    upload = request.FILES.get("background")
    if upload is None:
        return {folders.BACKGROUND: None} if request.POST.get("no_background") else {}
    folders.check_background_size(upload.size or 0)
    return {folders.BACKGROUND: data_address(upload.read()) or "none"}  # the service says what "none" is


def _colour(name: str) -> str:
    return name if name in folder_tree.COLOURS else ""


def _sign(text: str) -> str:
    """A sign or a few letters; what is invisible is none."""
    return "".join(part for part in text.strip() if part.isprintable() or part in "\u200d\ufe0f")[:8]


def _chosen(folder: Folder, user: Any, keys: list[str], shown: Any) -> list[dict[str, Any]]:
    """The chosen bases beside what the dialog did not offer: files, and bases of others that the person cannot read."""
    offered = {str(base.pk) for base in shown}
    kept = [item for item in _items(folder) if item.get("type") != "collection" or item.get("id") not in offered]
    return [*kept, *attaching.attachable(user, keys, [])]
