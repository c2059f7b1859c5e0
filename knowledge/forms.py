"""Forms of the workspace pages."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class KnowledgeBaseForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=255)
    description = forms.CharField(
        label=_("Description"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("What is in it, for whom. People read this when they choose."),
    )
