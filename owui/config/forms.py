"""The form of one section, made from its declared fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from owui.config import places, store
from owui.config.banners import BannersField
from owui.config.parsing import Kind
from owui.config.registry import InvalidSetting, Section, Setting

_CLEAR = "clear_"


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = forms.Textarea(attrs={"rows": 4, "class": "vLargeTextField"})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, (list, tuple)) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return list(value)
        return [line.strip() for line in (value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(list(initial or []) != self.to_python(data))


class SecretTextarea(forms.Textarea):
    """Never shows what it holds, not even when the form comes back with an error."""

    def format_value(self, value: Any) -> str:
        return ""


class SectionForm(forms.Form):
    """Secrets are write-only: an empty field leaves them as they are, and a box beside it empties them."""

    def __init__(self, section: type[Section], data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data)
        self.section = section
        present = section.load()
        for name, setting in section.settings.items():
            locked = store.origin(setting).locked
            self.fields[name] = _field(setting, getattr(present, name), locked)
            if setting.secret and not locked and getattr(present, name):
                self.fields[_CLEAR + name] = forms.BooleanField(
                    required=False, label=_("Empty “%(label)s”") % {"label": setting.label}
                )

    @property
    def has_preview(self) -> bool:
        """Whether something of it can be looked at before it is saved."""
        return any(isinstance(field, BannersField) and not field.disabled for field in self.fields.values())

    def preview(self) -> None:
        """The form comes back with what was entered, and below it how pages would show it. Nothing is stored."""
        for field in self.fields.values():
            if isinstance(field, BannersField):
                field.widget.is_preview = True

    def save(self, *, by: Any) -> bool:
        """Stores what was changed; False, with errors at the fields, when something cannot be stored."""
        changes: dict[str, Any] = {}
        for name, setting in self.section.settings.items():
            field = self.fields[name]
            if field.disabled:
                continue
            if setting.secret:
                if self.cleaned_data.get(_CLEAR + name):
                    changes[setting.key] = setting.default
                elif self.cleaned_data[name] not in ("", None, [], {}):
                    changes[setting.key] = self.cleaned_data[name]
            elif name in self.changed_data:
                changes[setting.key] = self._value(setting)
        if problems := places.problems(changes):
            for key, problem in problems.items():
                self.add_error(key.rpartition(".")[2], ValidationError(problem))
            return False
        try:
            store.set_values(changes, by=by)
        except InvalidSetting as error:
            name = error.key.rpartition(".")[2]
            self.add_error(name if name in self.fields else None, ValidationError(error.message))
            return False
        return True

    def _value(self, setting: Setting) -> Any:
        value = self.cleaned_data[setting.name]
        if value is None and not setting.optional:
            return setting.default
        if value == "" and setting.optional:
            return None
        if setting.kind is Kind.CHOICE:
            # A form gives text; the declared choices may be numbers.
            return next((choice for choice in setting.choices if str(choice) == value), value)
        return value


#: settings that have a form of their own; as JSON they stay for programs and the command line
_OWN_FIELDS: dict[str, tuple[type[forms.Field], Any]] = {
    "ui.banners": (BannersField, gettext_lazy("At the top of every page, in this order. An empty one is left out.")),
}


def _field(setting: Setting, value: Any, locked: str) -> forms.Field:
    common: dict[str, Any] = {
        "label": setting.label,
        "help_text": " ".join(part for part in (setting.help, locked) if part),
        "required": False,
        "disabled": bool(locked),
        "initial": None if setting.secret else setting.plain(value),
    }
    if setting.secret:
        return _secret_field(setting, common, is_set=bool(value))
    if setting.key in _OWN_FIELDS:
        own, help_text = _OWN_FIELDS[setting.key]
        return own(**common | {"help_text": " ".join(part for part in (str(help_text), locked) if part)})
    match setting.kind:
        case Kind.BOOLEAN:
            return forms.BooleanField(**common)
        case Kind.INTEGER:
            return forms.IntegerField(**common)
        case Kind.NUMBER:
            return forms.FloatField(**common)
        case Kind.CHOICE:
            blank = [("", "---------")] if setting.optional else []
            choices = [(str(choice), str(choice) or "---------") for choice in setting.choices]
            return forms.ChoiceField(choices=blank + choices, **common)
        case Kind.LIST:
            return LinesField(**common)
        case Kind.JSON:
            return forms.JSONField(widget=forms.Textarea(attrs={"rows": 8, "class": "vLargeTextField"}), **common)
        case _:
            text = forms.Textarea(attrs={"rows": 6, "class": "vLargeTextField"})
            line = forms.TextInput(attrs={"class": "vTextField"})
            return forms.CharField(widget=text if setting.declared.multiline else line, strip=False, **common)


def _secret_field(setting: Setting, common: dict[str, Any], *, is_set: bool) -> forms.Field:
    state = _("A value is set; leave empty to keep it.") if is_set else _("No value is set.")
    common["help_text"] = f"{common['help_text']} {state}".strip()
    attrs = {"class": "vLargeTextField", "autocomplete": "off"}
    if setting.kind is Kind.LIST:
        return LinesField(widget=SecretTextarea(attrs={**attrs, "rows": 4}), **common)
    if setting.kind is Kind.JSON:
        return forms.JSONField(widget=SecretTextarea(attrs={**attrs, "rows": 8}), **common)
    widget = forms.PasswordInput(render_value=False, attrs={"class": "vTextField", "autocomplete": "new-password"})
    return forms.CharField(widget=widget, strip=False, **common)
