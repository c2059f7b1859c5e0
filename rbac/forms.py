"""The form of a group in Django admin: every permission key is one box."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _

from rbac.models import Group
from rbac.permissions import PERMISSIONS, is_true, nested

_SHARE = {"members": "members", "true": True, "false": False}


def permission_field(key: str) -> str:
    """The form field of a permission key."""
    return f"permission__{key.replace('.', '__')}"


class GroupAdminForm(forms.ModelForm[Group]):
    share = forms.ChoiceField(
        label=_("Who may share with this group"),
        choices=[("members", _("its members")), ("true", _("everyone signed in")), ("false", _("administrators only"))],
        initial="members",
    )

    class Meta:
        model = Group
        fields = ["name", "description", "parent"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = self.instance.data.get("config") if isinstance(self.instance.data, dict) else None
        share = config.get("share", True) if isinstance(config, dict) else True
        if not self.instance._state.adding:
            self.initial["share"] = next((text for text, value in _SHARE.items() if value == share), "true")
        for row in PERMISSIONS.values():
            self.initial[permission_field(row.key)] = is_true(self.instance.permissions, row.key)

    def permissions(self) -> dict[str, Any]:
        """The keys that are ticked, nested; what the form does not know stays as it is stored."""
        ticked = nested({key: True for key in PERMISSIONS if self.cleaned_data.get(permission_field(key))})
        stored = self.instance.permissions if isinstance(self.instance.permissions, dict) else {}
        known = {(row.section, row.key.partition(".")[2]) for row in PERMISSIONS.values()}
        kept: dict[str, Any] = {}
        for section, branch in stored.items():
            if isinstance(branch, dict):
                kept[section] = {name: value for name, value in branch.items() if (section, name) not in known}
        merged = {section: {**kept.get(section, {}), **ticked.get(section, {})} for section in {**kept, **ticked}}
        return {section: branch for section, branch in merged.items() if branch}

    def sharing(self) -> dict[str, Any]:
        """`data` with the chosen rule of who may share with the group."""
        data = self.instance.data if isinstance(self.instance.data, dict) else {}
        stored = data.get("config")
        config: dict[str, Any] = stored if isinstance(stored, dict) else {}
        return {**data, "config": {**config, "share": _SHARE[self.cleaned_data["share"]]}}


# Declared on the class, so that admin's fieldsets know them.
for _row in PERMISSIONS.values():
    GroupAdminForm.base_fields[permission_field(_row.key)] = forms.BooleanField(
        label=cast(Any, _row.label), required=False, help_text=_row.key
    )
    GroupAdminForm.declared_fields[permission_field(_row.key)] = GroupAdminForm.base_fields[permission_field(_row.key)]
