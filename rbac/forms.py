"""The form of a group in Django admin, where every permission key is one box, and what the access dialog sends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from owui.lib.errors import UserError
from rbac.ends import end_of
from rbac.grants import READ, WRITE, Grant, parse_grants, wildcards_of
from rbac.models import Group
from rbac.permissions import PERMISSIONS, is_true
from rbac.sentences import with_names
from rbac.services.matrix import with_keys
from rbac.sharing import Access

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
        return with_keys(
            self.instance.permissions, {key for key in PERMISSIONS if self.cleaned_data.get(permission_field(key))}
        )

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


# ------------------------------------------------------------------------------------------------------ access dialog
@dataclass(slots=True)
class GrantRow:
    """One line of the dialog's list as it was sent: shown again when something about it is refused."""

    kind: str
    id: str
    permission: str
    day: str = ""
    hour: str = ""
    name: str = ""
    email: str = ""
    error: str = ""


class AccessDialogForm:
    """What the dialog sends: the general rule, and rows of `principal`, `permission` and an end, for those who have
    access and (`denied_…`, from administrators) for those who are kept out.

    A form without fields for the end leaves the ends as they are; one without the part for denials leaves those.
    """

    def __init__(self, data: QueryDict, general_access: str) -> None:
        access = data.get("general_access", general_access)
        self.general_access = access if access in Access.values else general_access
        self.version = data.get("version") or None
        self.rows = _rows(data, "")
        self.denial_rows = _rows(data, "denied_")
        self.grants: list[Grant] = []
        self.denials: list[Grant] | None = None
        ends_known, denials_known = "until" in data or not self.rows, "has_denials" in data
        self.grants = wildcards_of(self.general_access) + self._parsed(self.rows, ends_known)
        if denials_known:
            self.denials = self._parsed(self.denial_rows, True)

    @property
    def errors(self) -> list[str]:
        return [row.error for row in (*self.rows, *self.denial_rows) if row.error]

    @staticmethod
    def _parsed(rows: list[GrantRow], ends_known: bool) -> list[Grant]:
        items: list[dict[str, Any]] = []
        for row in rows:
            item: dict[str, Any] = {"principal_type": row.kind, "principal_id": row.id, "permission": row.permission}
            if ends_known:
                try:
                    ends = end_of(row.day, row.hour)
                except UserError as error:
                    row.error = error.message
                    continue
                item["expires_at"] = ends.isoformat() if ends else None
            items.append(item)
        return parse_grants(items)

    def name_rows(self) -> None:
        """Puts names to the rows, and drops those of nobody; for a form that is shown again."""
        self.rows, self.denial_rows = _named(self.rows), _named(self.denial_rows)
        for row in (*self.rows, *self.denial_rows):
            row.error = f"{row.name}: {row.error}" if row.error else ""


def _rows(data: QueryDict, part: str) -> list[GrantRow]:
    lists = [data.getlist(f"{part}{name}") for name in ("principal", "permission", "until", "until_time")]
    found = []
    for number, (principal, permission) in enumerate(zip(lists[0], lists[1], strict=False)):
        kind, _colon, principal_id = principal.partition(":")
        day, hour = (values[number] if number < len(values) else "" for values in lists[2:])
        if principal_id != "*":
            found.append(GrantRow(kind, principal_id, permission, day, hour))
    return found


def _named(rows: list[GrantRow]) -> list[GrantRow]:
    grants = parse_grants(
        {"principal_type": row.kind, "principal_id": row.id, "permission": row.permission} for row in rows
    )
    known = {(named.kind, named.id): named for named in with_names(grants)}
    found = []
    for row in rows:
        if named := known.get((row.kind, row.id)):
            row.name, row.email = named.name, named.email
            found.append(row)
    return found


def with_hidden_reads(wanted: list[Grant], present: list[Grant]) -> list[Grant]:
    """The list without the reads that a right to change makes superfluous in forms, with those reads again: clients
    of the field store both, and saving a form that changed nothing must change nothing."""
    shown = {(g.principal_type, g.principal_id, g.permission) for g in wanted}
    stored = {g.key for g in present}
    return wanted + [
        replace(g, permission=READ)
        for g in wanted
        if g.permission == WRITE
        and g.principal_id != "*"
        and (g.principal_type, g.principal_id, READ) in stored
        and (g.principal_type, g.principal_id, READ) not in shown
    ]
