"""“What would a sync change”, on a person in the administration: claims are pasted, nothing is written."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from owui.lib.errors import Missing
from rbac.models import MembershipSource
from rbac.services.sync import blocked_patterns, describe, plan_sync

app_name = "sync"


class ClaimsForm(forms.Form):
    """The claims as a token or a directory gives them."""

    groups = forms.CharField(
        label=gettext_lazy("Groups as claimed"),
        help_text=gettext_lazy("A JSON list as it stands in a token, or one name a line."),
        widget=forms.Textarea(attrs={"rows": 6}),
        required=False,
        strip=False,
        max_length=100_000,
    )
    is_absent = forms.BooleanField(label=gettext_lazy("The claim is not there at all"), required=False)
    source = forms.ChoiceField(
        label=gettext_lazy("Where they come from"),
        choices=[choice for choice in MembershipSource.choices if choice[0] != MembershipSource.MANUAL],
    )
    create = forms.BooleanField(label=gettext_lazy("Unknown groups are made"), required=False)
    blocked = forms.CharField(
        label=gettext_lazy("Blocked groups"), help_text=gettext_lazy("As in OAUTH_BLOCKED_GROUPS."), required=False
    )

    def clean_groups(self) -> list[str]:
        text: str = self.cleaned_data["groups"]
        if not text.lstrip().startswith("["):
            return text.splitlines()
        try:
            names = json.loads(text)
        except ValueError as error:
            raise forms.ValidationError(_("This is no valid JSON list. Write one name a line instead.")) from error
        if not all(isinstance(name, str) for name in names):
            raise forms.ValidationError(_("The list may only hold names."))
        return list(names)


@require_http_methods(["GET", "POST"])
def preview(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    person: Any = get_user_model()._default_manager.filter(pk=pk).first()
    if person is None:
        raise Missing
    form = ClaimsForm(request.POST or None)
    changes = None
    if form.is_valid():
        said = form.cleaned_data
        plan = plan_sync(
            person,
            None if said["is_absent"] else said["groups"],
            source=said["source"],
            create_missing=said["create"],
            blocked=blocked_patterns(said["blocked"]),
        )
        changes = describe(plan)
    context = {
        **admin.site.each_context(request),
        "title": _("What would a sync change"),
        "person": person,
        "form": form,
        "changes": changes,
    }
    return TemplateResponse(request, "admin/sync_preview.html", context)


urlpatterns = [path("<uuid:pk>/", admin.site.admin_view(preview), name="preview")]
