"""Forms of Django admin for connected servers."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from inference.models import ServerConnection, TerminalServer, ToolServer
from inference.tool_servers import Entry, entry_json, parse_entries
from owui.lib.errors import UserError

_AUTH = [("bearer", _("Key")), ("none", _("None")), ("session", _("The caller's own session"))]
_OTHERS = [("system_oauth", "system_oauth"), ("oauth_2.1", "oauth_2.1"), ("oauth_2.1_static", "oauth_2.1_static")]


class ConnectionForm(forms.ModelForm[Any]):
    """An entry as fields; what has no field here stays as it is stored."""

    auth_type = forms.ChoiceField(label=_("Signs in with"), choices=[*_AUTH, *_OTHERS])
    new_key = forms.CharField(
        label=_("New key"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Empty keeps the stored one. It is kept encrypted and never shown."),
    )
    is_tool = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row: ServerConnection = self.instance
        stored = {} if row._state.adding else entry_json(row, ())
        self.initial.setdefault("auth_type", stored.get("auth_type") or "bearer")
        if "headers" in self.fields:
            self.initial["headers"] = stored.get("headers") or {}
        if "server_id" in self.fields:
            self.fields["server_id"].required = False
            self.fields["server_id"].help_text = _("Empty: one is made from the address.")

    def clean(self) -> dict[str, Any]:
        super().clean()
        row = None if self.instance._state.adding else type(self.instance)._default_manager.get(pk=self.instance.pk)
        if not self.errors:
            try:
                self.cleaned_data["server_id"] = self.entry(row).server_id
            except UserError as error:
                raise ValidationError(error.message) from error
        return self.cleaned_data

    def entry(self, row: ServerConnection | None) -> Entry:
        """The field's entry that the form describes. 400 when it is none."""
        data = self.cleaned_data
        item = entry_json(row, ()) if row is not None else {}
        item |= {"url": data["url"], "auth_type": data["auth_type"]}
        named = {"id": row.server_id if row else data.get("server_id"), "name": data["name"]}
        config = {k: v for k, v in (item.get("config") or {}).items() if k not in ("access_grants", "access_control")}
        if self.is_tool:
            item |= {"type": data["kind"], "headers": data.get("headers") or {}}
            item["info"] = {**(item.get("info") or {}), **named, "description": data["description"]}
            item["config"] = {**config, "enable": data["is_enabled"]}
        else:
            item |= {
                **named,
                "enabled": data["is_enabled"],
                "config": config,
                "info": {"description": data["description"]},
            }
        if data.get("new_key"):
            item["key"] = data["new_key"]
        entry = parse_entries(type(self.instance), [item])[0]
        if row is None and type(self.instance)._default_manager.filter(server_id=entry.server_id).exists():
            raise UserError(_("A connection with this id exists already. Choose another id."), code="id_taken")
        return entry


class ToolServerForm(ConnectionForm):
    headers = forms.JSONField(
        label=_("Headers"),
        required=False,
        help_text=_("JSON. Secrets are shown as dots; leave the dots to keep them."),
    )
    is_tool = True

    class Meta:
        model = ToolServer
        fields = ("server_id", "name", "description", "kind", "url", "is_enabled", "general_access")

    def clean_headers(self) -> dict[str, str]:
        headers = self.cleaned_data["headers"] or {}
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            raise ValidationError(
                _("Write an object of texts, such as %(example)s.") % {"example": json.dumps({"X-A": "b"})}
            )
        return headers


class TerminalServerForm(ConnectionForm):
    class Meta:
        model = TerminalServer
        fields = ("server_id", "name", "description", "url", "is_enabled", "general_access")
