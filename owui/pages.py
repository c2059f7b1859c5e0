"""Pages that belong to no app, and what makes the site an application of a phone."""

from __future__ import annotations

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from owui.health import VERSION
from owui.lib import brand
from owui.lib.errors import ACCESS_PROHIBITED, error_response

#: what the offline page is made of
_OFFLINE_FILES = ("tokens.css", "base.css", "forms.css", "theme.js", "offline.js", "logo.svg")
#: --bg of tokens.css; what a system draws around the page before it is there
_BACKGROUND = "#fcfcfa"


def sign_in_for_admin(request: HttpRequest) -> HttpResponse:
    """Django admin has no sign-in of its own: one door for everybody."""
    if request.user.is_authenticated:
        return error_response(request, 403, ACCESS_PROHIBITED)
    target = request.GET.get("next", "/admin/")
    return HttpResponseRedirect(f"{reverse('accounts:sign-in')}?{urlencode({'next': target})}")


@require_GET
def manifest(request: HttpRequest) -> HttpResponse:
    """How a phone installs the site. What somebody shares from another application becomes a question."""
    name = settings.BOOT.webui_name

    def icon(file: str, size: int, purpose: str) -> dict[str, str]:
        url = static(f"owui/icons/{file}.png")
        return {"src": url, "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}

    body = {
        "name": name,
        "short_name": name[:12].strip(),
        "id": "/",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": _BACKGROUND,
        "theme_color": _BACKGROUND,
        # The organisation's own alone where there are any: ours beside them might be the one that a phone takes.
        "icons": [
            {"src": own.address, "sizes": own.size, "type": own.kind, "purpose": "any"} for own in brand.app_icons()
        ]
        or [
            icon("icon-192", 192, "any"),
            icon("icon-512", 512, "any"),
            icon("icon-maskable", 512, "maskable"),
        ],
        "share_target": {"action": "/", "method": "GET", "params": {"text": "q"}},
    }
    return JsonResponse(body, content_type="application/manifest+json", headers={"Cache-Control": "max-age=3600"})


@require_GET
def brand_picture(request: HttpRequest, name: str) -> HttpResponse:
    """A picture of the organisation's. Only names that pages ask for are looked at."""
    found = brand.picture((name,))
    if found is None:
        raise Http404
    return brand.response(found)


@require_GET
def offline(request: HttpRequest) -> HttpResponse:
    """What the service worker shows when nothing answers; a proxy may do the same."""
    return render(request, "errors/offline.html")


@require_GET
def service_worker(request: HttpRequest) -> HttpResponse:
    """At the root, because a worker sees only pages below its own address. A new release changes its text."""
    files = [static(f"owui/{name}") for name in _OFFLINE_FILES]
    files += [own.address for own in [brand.picture(brand.LOGOS)] if own]
    build = getattr(staticfiles_storage, "manifest_hash", "") or VERSION
    context = {"build": build, "page_url": reverse("offline"), "files": files}
    response = render(request, "service_worker.js", context, content_type="text/javascript")
    response["Cache-Control"] = "no-cache"
    return response
