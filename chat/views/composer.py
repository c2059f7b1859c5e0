"""What the composer asks the server for: what can be picked while typing, texts of prompts, suggestions, pictures."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Sequence
from typing import Any

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.interface import picture_box
from accounts.preferences import preferences_of
from accounts.web import asigned_in, signed_in
from chat import attaching
from chat.background import sees
from chat.config import AudioConfig, ChatConfig
from chat.models import Chat, Folder, Message, Prompt
from chat.oversight import looked_at
from chat.pictures import TYPES, is_picture
from chat.prompt_fields import parts_of
from chat.views.commands import commands_for
from chat.views.models import model_choices
from chat.views.search import current_chat
from inference.catalogue import Resolved, resolve_with
from inference.models import AIModel, Skill
from inference.variables import UNKNOWN, values_for
from knowledge.config import RagConfig
from knowledge.models import Document, DocumentState, KnowledgeBase
from owui.config.sections import SUGGESTIONS, UiConfig
from owui.lib.errors import Missing
from rbac.permissions import is_bound, may
from rbac.shortcuts import get_readable

PICKED, MOST_SUGGESTIONS = 12, 4


def composer_of(request: HttpRequest) -> dict[str, Any]:
    """Limits and choices that the composer's scripts go by; the server holds to them all the same."""
    ui = preferences_of(request.user)["ui"]  # type: ignore[arg-type]
    rag = RagConfig.load()
    endings = [entry.strip().lstrip(".").lower() for entry in rag.allowed_file_extensions if entry.strip()]
    # Whoever comes by a link of another site has not decided to send anything yet.
    own_way = request.headers.get("Sec-Fetch-Site") in ("none", "same-origin")
    return {
        "max_megabytes": rag.file_max_size,
        "max_count": rag.file_max_count,
        "endings": ",".join(f".{ending}" for ending in endings),
        "largest_picture": ChatConfig.load().max_image_bytes,
        "picture_box": [_smaller(*sides) for sides in zip(picture_box(ui), _house_box(rag), strict=True)],
        "picture_types": ",".join(TYPES),
        "large_text_as_file": bool(ui.get("largeTextAsFile")),
        "ctrl_enter": bool(ui.get("ctrlEnterToSend")),
        "dictation": AudioConfig.load().stt_engine,
        "queue": ui.get("enableMessageQueue") is not False,
        "load_url": request.GET.get("load-url", "") if own_way else "",
        "kept": {"id": uuid.UUID(int=0), "name": ""},
        "whole": ui.get("defaultUploadContext") == "full",
        "submit": own_way and bool(request.GET.get("q")) and request.GET.get("submit", "").lower() == "true",
    }


def _house_box(rag: RagConfig) -> tuple[int, int]:
    return rag.file_image_compression_width, rag.file_image_compression_height


def _smaller(own: int, house: int) -> int:
    """The tighter of two limits, of which 0 is none."""
    return min(own, house) if own and house else own or house


@require_GET
@signed_in
def pick(request: HttpRequest, kind: str) -> HttpResponse:
    """What can be put on a message by typing `/`, `#`, `@` or `$` and the beginning of a name."""
    finders = {"prompt": _prompts, "knowledge": _knowledge, "model": _models, "skill": _skills}
    if kind not in finders:
        raise Http404
    query = request.GET.get("q", "").strip()[:2000]
    if kind == "knowledge" and query.startswith(("http://", "https://")):
        return render(request, "chat/_picker.html", _web_page(request.user, query) | {"query": query, "kind": kind})
    groups = finders[kind](request.user, query)
    if kind == "prompt":
        groups = [*_commands(request, query), *groups, *_skills(request.user, query)]
    notice = ""
    if kind == "knowledge" and not query and _attaches_pages(request.user):
        if not any(group["options"] for group in groups):
            notice = _("No knowledge base is shared with you yet.")
        option = _option("web", _("A web page"), "globe", detail=_("Type its address after #"), insert="#https://")
        groups = [*groups, {"label": _("Web"), "options": [option]}]
    groups = [group for group in groups if group["options"]]
    return render(request, "chat/_picker.html", {"group_list": groups, "notice": notice, "query": query, "kind": kind})


@require_GET
@signed_in
def picked_text(request: HttpRequest, kind: str, pk: uuid.UUID) -> HttpResponse:
    """The text of a prompt or skill, in parts, and the form that asks for what is missing in it."""
    user: Any = request.user
    if kind not in ("prompt", "skill"):
        raise Http404
    rows: Any = (Prompt if kind == "prompt" else Skill).objects.filter(is_active=True)
    found = get_readable(rows, user, pk)
    if kind == "skill":
        return JsonResponse({"parts": [found.content], "dialog": ""})
    parts, fields = parts_of(found.content, {"USER_LOCATION": UNKNOWN} | values_for(user, [found.content]))
    context = {"title": found.name, "field_list": fields}
    dialog = render_to_string("chat/_variables_dialog.html", context, request) if fields else ""
    return JsonResponse({"parts": parts, "dialog": dialog})


@require_GET
@asigned_in
async def model_sees(request: HttpRequest) -> HttpResponse:
    """Empty when the model can look at pictures, otherwise a note that it cannot."""
    user: Any = await request.auser()
    _resolved, note = await resolve_with(user, request.GET.get("model", ""), _blind_note, status=404)
    return HttpResponse(note)


def _blind_note(resolved: Resolved) -> str:
    return "" if sees(resolved) else render_to_string("chat/_blind.html", {"model": resolved.name})


@require_GET
@signed_in
def suggestion_list(request: HttpRequest) -> HttpResponse:
    """The first questions of another model."""
    found = suggestions_for(request.user, request.GET.get("model", ""))
    return render(request, "chat/_suggestions.html", {"suggestion_list": found})


@require_GET
@signed_in
def picture(request: HttpRequest, chat_id: uuid.UUID, message_id: uuid.UUID, number: int) -> HttpResponse:
    """One picture of a message: in the page it would be sent with each draw of it."""
    user: Any = request.user
    messages: Any = Message.objects.readable_by(user).select_related("chat")
    found = messages.filter(pk=message_id, chat_id=chat_id).first()
    if found is not None:
        looked_at(found.chat, user)
    items = [item for item in (found.files or [] if found else []) if is_picture(item)]
    head, _comma, body = str(items[number].get("url") or "").partition(",") if number < len(items) else ("", "", "")
    kind = head.removeprefix("data:").partition(";")[0]
    if kind not in TYPES:
        raise Missing(_("This picture does not exist."))
    try:
        data = base64.b64decode(body)
    except binascii.Error as error:  # what a program sent as a picture need not be one
        raise Missing(_("This picture does not exist.")) from error
    response = HttpResponse(data, content_type=kind)
    response["Cache-Control"] = "private, max-age=86400"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def suggestions_for(user: Any, model_id: str) -> list[dict[str, str]]:
    """First questions on an empty chat: the model's own, or else the house's; four at most."""
    rows: Any = AIModel.objects.readable_by(user).filter(model_id=model_id)
    own = rows.values_list("meta__suggestion_prompts", flat=True).first() if model_id else None
    chosen = own if isinstance(own, list) and own else UiConfig.load().default_prompt_suggestions
    shown = [_suggestion(item) for item in chosen if isinstance(item, dict) and item.get("content")]
    return shown[:MOST_SUGGESTIONS]


def _suggestion(item: dict[str, Any]) -> dict[str, str]:
    text, title = str(item["content"]), item.get("title") or item["content"]
    first, *rest = title if isinstance(title, list) else [title]
    found = {"title": str(first), "subtitle": str(rest[0]) if rest else "", "text": text}
    # Our own suggestions are said in the reader's language; those that somebody wrote stay as they were written.
    return {key: _(value) for key, value in found.items()} if item in SUGGESTIONS else found


# -------------------------------------------------------------------------------------------------------- what there is
def _prompts(user: Any, query: str) -> list[dict[str, Any]]:
    rows: Any = Prompt.objects.readable_by(user).filter(is_active=True)
    if query:
        rows = rows.filter(Q(command__icontains=query) | Q(name__icontains=query))
    options = [
        _option(p.pk, f"/{p.command}", "pencil", detail=p.name, text_of="prompt")
        for p in rows.only("command", "name").order_by("command")[:PICKED]
    ]
    return [{"label": _("Prompts"), "options": options}]


def _commands(request: HttpRequest, query: str) -> list[dict[str, Any]]:
    """What can be done with the person's own chat that is open, if there is one."""
    chat_id = current_chat(request)
    chat = Chat.objects.writable_by(request.user).filter(pk=chat_id).first() if chat_id else None  # type: ignore[arg-type]
    if chat is None or is_bound(request.user, "chat.temporary_enforced"):  # type: ignore[arg-type]
        return []
    return [{"label": _("Commands"), "options": commands_for(request.user, chat, query)}]


def _skills(user: Any, query: str) -> list[dict[str, Any]]:
    rows: Any = Skill.objects.readable_by(user).filter(is_active=True)
    if query:
        rows = rows.filter(Q(name__icontains=query) | Q(skill_id__icontains=query))
    options = [
        _option(s.pk, s.name, "info", detail=s.description, text_of="skill")
        for s in rows.only("name", "description").order_by("name", "pk")[:PICKED]
    ]
    return [{"label": _("Skills"), "options": options}]


def _models(user: Any, query: str) -> list[dict[str, Any]]:
    asked = query.casefold()
    options = [
        _option(m["id"], m["name"], "cube", [chip("at", m["id"], m["name"])], detail=m["description"])
        for m in model_choices(user)
        if asked in m["name"].casefold() or asked in m["id"].casefold()
    ]
    return [{"label": _("Models"), "options": options[:PICKED]}]


def _knowledge(user: Any, query: str) -> list[dict[str, Any]]:
    bases: Any = KnowledgeBase.objects.readable_by(user)
    files: Any = Document.objects.readable_by(user).exclude(state=DocumentState.FAILED)
    folders: Any = (
        Folder.objects.readable_by(user).defer("meta") if may(user, "features.folders") else Folder.objects.none()
    )
    if query:
        bases = bases.filter(Q(name__icontains=query) | Q(description__icontains=query))
        files, folders = files.filter(filename__icontains=query), folders.filter(name__icontains=query)
    else:  # one's own: administrators would be shown everybody's
        files = files.filter(owner_id=user.pk)
    of_bases = [
        _option(b.pk, b.name, "book", [chip("knowledge", b.pk, b.name)], detail=b.description)
        for b in bases.order_by("name", "pk")[:PICKED]
    ]
    of_files = [
        _option(d.pk, d.filename, "file", [chip("file", d.pk, d.filename)])
        for d in files.only("filename").order_by("-created_at", "pk")[:PICKED]
    ]
    return [
        {"label": _("Knowledge"), "options": of_bases},
        {"label": _("Folders"), "options": _folders(user, folders.order_by("name", "pk")[:PICKED])},
        {"label": _("Files"), "options": of_files},
    ]


def _attaches_pages(user: Any) -> bool:
    return may(user, "chat.web_upload") and may(user, "chat.file_upload")


def _web_page(user: Any, address: str) -> dict[str, Any]:
    """The page behind an address that is typed after `#`, or why it cannot be attached."""
    if not _attaches_pages(user):
        return {"group_list": [], "notice": _("You may not attach web pages. Ask your administrator.")}
    option = _option(address, address, "globe", detail=_("Attach what is on this page now"), web=address)
    return {"group_list": [{"label": _("Web"), "options": [option]}]}


def _folders(user: Any, folders: Any) -> list[dict[str, Any]]:
    """Folders that have knowledge, each with what of it the person may read."""
    held = [(f, [i for i in (f.data or {}).get("files") or [] if isinstance(i, dict)]) for f in folders]
    ids = attaching.uuids([str(item.get("id")) for _folder, items in held for item in items])
    if not ids:
        return []
    bases: Any = KnowledgeBase.objects.readable_by(user).filter(pk__in=ids)
    files: Any = Document.objects.readable_by(user).filter(pk__in=ids)
    known = {str(pk): chip("knowledge", pk, name) for pk, name in bases.values_list("pk", "name")}
    known |= {str(pk): chip("file", pk, name) for pk, name in files.values_list("pk", "filename")}
    shown = [(f, [known[str(i.get("id"))] for i in items if str(i.get("id")) in known]) for f, items in held]
    return [_option(f.pk, f.name, "folder", chips, count=len(chips)) for f, chips in shown if chips]


def _option(id: Any, name: str, icon: str, chips: Sequence[dict[str, Any]] = (), **more: Any) -> dict[str, Any]:
    return {"id": id, "name": name, "icon": icon, "chips": chips, **more}


def chip(field: str, id: Any, name: str) -> dict[str, Any]:
    """What stands above the text of a message to come: knowledge, a file, or (at) the model that shall answer."""
    return {"field": field, "id": id, "name": name}
