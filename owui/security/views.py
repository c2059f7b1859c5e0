"""The page “Security status” in the administration, and its export. For administrators only."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from owui.audit.record import record
from owui.security.registry import Area, Result, Status, as_report, count, run_checks


@dataclass(frozen=True, slots=True)
class AreaResults:
    """One table of the page."""

    area: Area
    results: list[Result]

    @property
    def worst(self) -> Status:
        order = list(Status)
        return min((result.status for result in self.results), key=order.index)


@require_safe
def security_status(request: HttpRequest) -> HttpResponse:
    """All checks, made now. `?show=open` leaves out what is good."""
    _check(request)
    results = run_checks()
    only_open = request.GET.get("show") == "open"
    shown = [result for result in results if result.needs_repair] if only_open else results
    context = {
        **admin.site.each_context(request),
        "title": _("Security status"),
        "areas": _by_area(shown),
        "counts": [(status, number) for status, number in count(results).items() if number],
        "total": len(results),
        "only_open": only_open,
        "checked_at": timezone.now(),
    }
    return TemplateResponse(request, "admin/security_status.html", context)


@require_POST
def security_export(request: HttpRequest) -> HttpResponse:
    """The same as a file. It leaves the house, so it is audited."""
    _check(request)
    assert request.user.is_authenticated
    results = run_checks()
    counts = {status.value: number for status, number in count(results).items()}
    with transaction.atomic():
        record("security.exported", by=request.user, object_type="security", detail={"counts": counts})
    response = JsonResponse(as_report(results), json_dumps_params={"indent": 2, "ensure_ascii": False})
    response["Content-Disposition"] = 'attachment; filename="security-status.json"'
    return response


def _by_area(results: list[Result]) -> list[AreaResults]:
    found = {area: [result for result in results if result.check.area is area] for area in Area}
    return [AreaResults(area, rows) for area, rows in found.items() if rows]


def _check(request: HttpRequest) -> None:
    if not (request.user.is_active and getattr(request.user, "role", "") == "admin"):
        raise PermissionDenied
