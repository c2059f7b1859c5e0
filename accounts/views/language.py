"""The section of the settings page for the language."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from accounts import languages
from accounts.panels import register
from accounts.web import me, signed_in


def _language(request: HttpRequest) -> dict[str, Any]:
    return {"language_list": settings.LANGUAGES, "chosen": languages.chosen_by(me(request))}


register("language", _("Language"), "accounts/_language.html", _language, order=22)


@require_POST
@signed_in
def save(request: HttpRequest) -> HttpResponse:
    """One's language; the page comes anew in it."""
    kept = languages.choose(me(request), request.POST.get("language", ""))
    response = HttpResponse(status=204)
    response["HX-Refresh"] = "true"
    languages.keep(response, kept)
    return response
