"""The page “Preview access” in the administration: what somebody reaches now, or reached then, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from owui.lib.errors import Missing
from owui.lib.pagination import PAGE_SIZE
from rbac import previews
from rbac.grants import WRITE
from rbac.models import Group, MembershipSource
from rbac.permission_table import PERMISSIONS
from rbac.previews import DENIED, READS, WRITES, Entry, Held, Path, Preview
from rbac.sharing import NewMember, SharedResource, is_verified

app_name = "preview"
FOUND = 20
#: the section that lists permission keys instead of objects
KEYS = "permissions"
SHOWN = {
    READS: gettext_lazy("Everything reached"),
    WRITES: gettext_lazy("Only what may be changed"),
    DENIED: gettext_lazy("What a denial keeps away"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One object of the page, in words."""

    entry: Entry
    access: str
    reasons: list[str]
    denials: list[str]


@require_safe
def choose(request: HttpRequest) -> HttpResponse:
    """People and groups by name, to choose whose access to look at."""
    query = request.GET.get("q", "").strip()[:100]
    people = get_user_model()._default_manager.order_by("name", "pk")
    groups = Group.objects.order_by("name", "pk")
    if query:
        people = people.filter(Q(name__icontains=query) | Q(email__icontains=query))
        groups = groups.filter(name__icontains=query)
    context = {
        **admin.site.each_context(request),
        "title": _("Preview access"),
        "query": query,
        "people": people[:FOUND],
        "groups": groups[:FOUND],
        "limit": FOUND,
    }
    return TemplateResponse(request, "admin/access_preview_choice.html", context)


@require_safe
def preview_user(request: HttpRequest, pk: str) -> HttpResponse:
    person = previews.person(pk)
    if person is None:
        raise Missing
    preview = Preview(person, request.user)  # type: ignore[arg-type]
    memberships = [_membership(group, preview) for group in preview.groups]
    about = {
        "label": person.name,
        "detail": f"{person.email}, {person.get_role_display()}",
        "change_url": reverse("admin:accounts_user_change", args=[person.pk]),
        "is_idle": not is_verified(person),
        "memberships": memberships,
    }
    return _page(request, preview, about, can_look_back=True)


@require_safe
def preview_group(request: HttpRequest, pk: str) -> HttpResponse:
    group = previews.group(pk)
    if group is None:
        raise Missing
    preview = Preview(NewMember(group.pk), request.user)  # type: ignore[arg-type]
    about = {
        "label": group.name,
        "detail": _("Group: what a member reaches who has nothing else"),
        "change_url": reverse("admin:rbac_group_change", args=[group.pk]),
        "is_idle": False,
        "memberships": [_("%(group)s, a group above") % {"group": g.name} for g in preview.groups if g.pk != group.pk],
    }
    return _page(request, preview, about, can_look_back=False)


def _page(request: HttpRequest, preview: Preview, about: dict[str, Any], *, can_look_back: bool) -> HttpResponse:
    asked = request.GET
    types = previews.sections()
    section = asked.get("section", "")
    section = section if section in (*types, KEYS) else next(iter(types))
    moment, error = _moment(asked.get("at", "")) if can_look_back else (None, "")
    query = asked.get("q", "").strip()[:100]
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Preview access: %(name)s") % {"name": about["label"]},
        "about": about,
        "section": section,
        "query": query,
        "at": asked.get("at", "") if can_look_back else "",
        "moment": moment,
        "error": error,
        "can_look_back": can_look_back,
        "shown": SHOWN,
        "tabs": [
            *(_tab(asked, name, str(model._meta.verbose_name_plural), section) for name, model in types.items()),
            _tab(asked, KEYS, _("permission keys"), section),
        ],
    }
    if section == KEYS:
        models, source = preview.default_models()
        group = next((g.name for g in preview.groups if g.pk == source), "")
        context |= {"held": [(held, _source(held, preview)) for held in preview.permissions()]}
        context |= {"default_models": models, "default_models_group": group}
    else:
        context |= _listing(request, preview, types[section], moment, query)
    return TemplateResponse(request, "admin/access_preview.html", context)


def _listing(
    request: HttpRequest, preview: Preview, model: type[SharedResource], moment: datetime | None, query: str
) -> dict[str, Any]:
    show = request.GET.get("show", READS)
    show = show if show in SHOWN and not (moment and show == DENIED) else READS
    number = _number(request.GET.get("page", ""))
    gone = 0
    if moment is None:
        page = preview.page(model, show=show, query=query, page=number)
        entries, total = page.entries, page.total
    else:
        past = previews.past_page(preview.who.id, model, moment, preview.viewer, show=show, query=query, page=number)
        entries, total, gone = past.entries, past.total, past.gone
    last = max(1, -(-total // PAGE_SIZE))
    return {
        "lines": [_line(entry) for entry in entries],
        "total": total,
        "gone": gone,
        "show": show,
        "page_number": number,
        "last_page": last,
        "previous_url": _url(request.GET, page=number - 1) if number > 1 else "",
        "next_url": _url(request.GET, page=number + 1) if number < last else "",
        "is_tree": previews.goes_down(model),
    }


# ---------------------------------------------------------------------------------------------------------- in words
def _line(entry: Entry) -> Line:
    access = _("reads and changes") if entry.writes else _("reads") if entry.reads else _("no access")
    reasons = [path_text(path) for path in entry.paths]
    if entry.reads and not entry.is_usable:
        reasons.append(_("Not to be used now: it is switched off, or the model it is based on may not be read."))
    return Line(entry, access, reasons, [denial_text(path) for path in entry.denials])


def path_text(path: Path) -> str:
    """One way to an object as a sentence."""
    may = _("changes") if path.permission == WRITE else _("reads")
    texts = {
        "owner": _("Owner"),
        "user": _("A grant of their own: %(may)s") % {"may": may},
        "group": _("A grant to the group %(group)s: %(may)s") % {"group": path.group, "may": may},
        "general": _("General access, for everyone: %(may)s") % {"may": may},
        "above": _("What holds above it: %(may)s") % {"may": may},
        "administrator": _("Administrators reach everything of this kind on this instance"),
        "switch": _("A switch of this instance opens everything of this kind to everyone"),
    }
    return texts[path.kind] + _how(path)


def denial_text(path: Path) -> str:
    """One denial as a sentence."""
    what = _("changing") if path.permission == WRITE else _("reading")
    texts = {
        "user": _("%(what)s is denied to them") % {"what": what},
        "group": _("%(what)s is denied to the group %(group)s") % {"what": what, "group": path.group},
        "above": _("%(what)s is denied above it") % {"what": what},
    }
    text = texts[path.kind]
    return text[:1].upper() + text[1:] + _how(path)


def _how(path: Path) -> str:
    """Through which memberships, and until when."""
    text = ""
    below = [f"{via.group} ({_sources(via.sources)})" for via in path.via]
    if below:
        text = _(", as a member of %(groups)s") % {"groups": ", ".join(below)}
    if path.expires_at is not None:
        ends = date_format(timezone.localtime(path.expires_at), "Y-m-d H:i e")
        text += _(", until %(ends)s") % {"ends": ends}
    return text


def _sources(sources: tuple[str, ...]) -> str:
    return ", ".join(str(MembershipSource(source).label).lower() for source in sources)


def _membership(group: Group, preview: Preview) -> str:
    """A group of a person, and why they count as a member of it."""
    ways = [
        _sources(via.sources) if via.group_id == group.pk else _("through %(group)s") % {"group": via.group}
        for via in preview.via[group.pk]
    ]
    return f"{group.name}: {', '.join(ways)}"


def _source(held: Held, preview: Preview) -> str:
    """Who gives a key, or what it waits for."""
    if preview.who.role == "admin" and held.is_held:
        return _("Administrators may do everything")
    names = [_("default") if not name else _("group %(name)s") % {"name": name} for name in held.sources]
    if names and not held.is_held and held.row.parent:
        names.append(_("counts only together with “%(key)s”") % {"key": PERMISSIONS[held.row.parent].label})
    return ", ".join(names)


# ------------------------------------------------------------------------------------------------------- what is asked
def _moment(text: str) -> tuple[datetime | None, str]:
    """The moment to look back to, and what is wrong with what was typed."""
    if not text:
        return None, ""
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        return None, _("This is no date and time. Write it like 2026-11-22 09:30.")
    if timezone.is_naive(found):
        found = timezone.make_aware(found)
    if found > timezone.now():
        return None, _("This moment has not come yet. Choose one in the past.")
    return found, ""


def _number(text: str) -> int:
    return max(1, int(text)) if text.isdecimal() and len(text) < 9 else 1


def _url(asked: Any, **changes: Any) -> str:
    kept = {name: asked[name] for name in ("section", "show", "q", "at", "page") if asked.get(name)}
    return "?" + urlencode(kept | changes)


def _tab(asked: Any, name: str, label: str, current: str) -> dict[str, Any]:
    at = {"at": asked["at"]} if asked.get("at") else {}
    return {"url": "?" + urlencode({"section": name, **at}), "label": label, "is_current": name == current}


urlpatterns = [
    path("", admin.site.admin_view(choose), name="choose"),
    path("user/<str:pk>/", admin.site.admin_view(preview_user), name="user"),
    path("group/<str:pk>/", admin.site.admin_view(preview_group), name="group"),
]
