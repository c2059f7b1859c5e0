"""Settings in the admin: the list of sections, and one page a section. For administrators only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from owui.config.forms import SectionForm
from owui.config.models import ConfigValue
from owui.config.registry import sections


@admin.register(ConfigValue)
class ConfigAdmin(admin.ModelAdmin[ConfigValue]):
    """Replaces the row-by-row pages: rows are changed only through their section, checked and audited."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_admin(request)

    def has_view_permission(self, request: HttpRequest, obj: ConfigValue | None = None) -> bool:
        return _is_admin(request)

    def has_change_permission(self, request: HttpRequest, obj: ConfigValue | None = None) -> bool:
        return _is_admin(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ConfigValue | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.section_list), name="config_configvalue_changelist"),
            path("<str:prefix>/", wrap(self.section_change), name="config_section_change"),
        ]

    def section_list(self, request: HttpRequest) -> HttpResponse:
        """All sections, in the order of their names."""
        self._check(request)
        listed = sorted(((str(section.label), prefix) for prefix, section in sections.items()), key=str)
        return self._render(request, "admin/config/section_list.html", _("Settings"), {"sections": listed})

    def section_change(self, request: HttpRequest, prefix: str) -> HttpResponse:
        """The form of one section."""
        self._check(request)
        section = sections.get(prefix)
        if section is None:
            raise Http404(f"There is no section {prefix}.")
        form = SectionForm(section, request.POST if request.method == "POST" else None)
        if "_preview" in request.POST:
            form.preview()
        elif form.is_bound and form.is_valid() and form.save(by=request.user):
            messages.success(request, _("Saved. The change holds on all nodes within a second."))
            return HttpResponseRedirect(reverse(f"{self.admin_site.name}:config_section_change", args=[prefix]))
        response = self._render(request, "admin/config/section_change.html", str(section.label), {"form": form})
        response.status_code = 422 if form.errors else 200
        return response

    def _check(self, request: HttpRequest) -> None:
        if not _is_admin(request):
            raise PermissionDenied

    def _render(self, request: HttpRequest, template: str, title: str, extra: dict[str, Any]) -> TemplateResponse:
        context = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, **extra}
        return TemplateResponse(request, template, context)


def _is_admin(request: HttpRequest) -> bool:
    return request.user.is_active and getattr(request.user, "role", "") == "admin"
