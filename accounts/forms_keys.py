"""The form for a new API key."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.forms import ServiceForm
from accounts.key_limits import listed

_DAYS = [("30", _("In 30 days")), ("90", _("In 90 days")), ("365", _("In a year")), ("", _("Never"))]


class _Lines(forms.CharField):
    """Entries, a line each."""

    widget = forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "autocapitalize": "none"})

    def clean(self, value: Any) -> Any:
        return listed(super().clean(value))


class KeyForm(ServiceForm):
    refusals = {
        "name": "name",
        "expires_at": "days",
        "paths": "paths",
        "models": "models",
        "addresses": "addresses",
    }

    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        help_text=_("What the key is for, so that you know it again."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    days = forms.ChoiceField(label=_("Ends"), choices=_DAYS, initial="90", required=False)
    paths = _Lines(
        label=_("Only these paths"),
        required=False,
        max_length=4000,
        help_text=_("One a line, such as /api/chat/completions; a path covers everything below it."),
    )
    models = _Lines(
        label=_("Only these models"), required=False, max_length=4000, help_text=_("Ids of models, one a line.")
    )
    addresses = _Lines(
        label=_("Only from these addresses"),
        required=False,
        max_length=4000,
        help_text=_("Addresses or networks, one a line, such as 10.20.0.0/16."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # The page has other forms with a name.
        super().__init__(*args, auto_id="key-%s", **kwargs)

    @property
    def limit_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in ("paths", "models", "addresses")]

    @property
    def has_limits(self) -> bool:
        """Whether the folded part holds something that the person should see."""
        return self.is_bound and any(self.data.get(field.html_name) or field.errors for field in self.limit_fields)
