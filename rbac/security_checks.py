"""Security checks of rights: bypasses, default permissions, groups that open them again, and grants to everyone."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Count
from django.utils.translation import gettext_lazy as _

from owui.config import store
from owui.security.checks import variables
from owui.security.registry import Finding, check, fail, not_applicable, ok, once, warn
from rbac.models import Group
from rbac.permissions import PERMISSIONS, default_permissions, is_true
from rbac.sharing import Access, resource_types

# What the checklist wants closed, and what comes close to running code or publishing.
SENSITIVE = frozenset(
    {
        *("chat.delete", "chat.temporary", "workspace.tools", "workspace.tools_import"),
        *("features.direct_tool_servers", "features.webhooks", "sharing.open_chats"),
    }
)
_CODE = ("workspace.tools", "workspace.tools_import", "features.direct_tool_servers")
_SHOWN = 8

# The one stored object of default permissions is made of these.
variables.knows(*(row.env for row in PERMISSIONS.values()))


def _shown(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return "; ".join(names[:_SHOWN]) + (str(_(" and %(count)d more") % {"count": more}) if more > 0 else "")


@check(
    "6.2.f",
    _("Models are given by grants"),
    repair=_("Set BYPASS_MODEL_ACCESS_CONTROL=False."),
    names=("BYPASS_MODEL_ACCESS_CONTROL",),
)
def model_bypass() -> Finding:
    if settings.BYPASS_MODEL_ACCESS_CONTROL:
        return fail(_("Everybody may use every model, whatever the grants say."))
    return ok(_("Models need a grant."))


@check(
    "6.2.g",
    _("Administrators need grants, too"),
    repair=_("Set BYPASS_ADMIN_ACCESS_CONTROL=False."),
    names=("BYPASS_ADMIN_ACCESS_CONTROL", "ENABLE_ADMIN_WORKSPACE_CONTENT_ACCESS"),
)
def admin_bypass() -> Finding:
    if settings.BYPASS_ADMIN_ACCESS_CONTROL:
        return fail(_("Administrators see all knowledge, models, prompts and tools without a grant."))
    return ok(_("Administrators see what they own or were granted."))


@check(
    "6.2.h",
    _("Retrieval obeys grants"),
    repair=_("Set BYPASS_RETRIEVAL_ACCESS_CONTROL=False and ENABLE_RETRIEVAL_UNSCOPED_COLLECTIONS=False."),
    names=("BYPASS_RETRIEVAL_ACCESS_CONTROL", "ENABLE_RETRIEVAL_UNSCOPED_COLLECTIONS"),
    beyond=True,
)
def retrieval_bypass() -> Finding:
    flags = ("BYPASS_RETRIEVAL_ACCESS_CONTROL", "ENABLE_RETRIEVAL_UNSCOPED_COLLECTIONS")
    if on := [name for name in flags if getattr(settings, name)]:
        return fail(_("Switched on: %(names)s.") % {"names": ", ".join(on)})
    return ok(_("Searches find only what the person may read."))


def _default_is_off(key: str, is_on_text: str, is_off_text: str) -> Finding:
    return fail(is_on_text) if is_true(default_permissions(), key) else ok(is_off_text)


@check(
    "6.3.c",
    _("Chats cannot be deleted"),
    repair=_("Take “Delete chats” out of the default permissions."),
    names=("USER_PERMISSIONS_CHAT_DELETE",),
    key="user.permissions",
)
def chat_delete() -> Finding:
    return _default_is_off(
        "chat.delete", str(_("Everybody may delete their chats.")), str(_("Deleting chats is no default permission."))
    )


@check(
    "6.3.d",
    _("Temporary chats are off"),
    repair=_("Take “Temporary chats” out of the default permissions."),
    names=("USER_PERMISSIONS_CHAT_TEMPORARY",),
    key="user.permissions",
)
def chat_temporary() -> Finding:
    return _default_is_off(
        "chat.temporary",
        str(_("Everybody may hold chats that leave no trace.")),
        str(_("Temporary chats are no default permission.")),
    )


def restricted_keys() -> frozenset[str]:
    """What no default gives although the field's own does, and what is sensitive in any case."""
    defaults = default_permissions()
    closed = {key for key, row in PERMISSIONS.items() if row.default and not is_true(defaults, key)}
    return frozenset(closed | {key for key in SENSITIVE if not is_true(defaults, key)})


@once
def _groups() -> list[tuple[str, Any]]:
    """Name and permissions of every group that brings any."""
    return list(Group.objects.exclude(permissions={}).order_by("name").values_list("name", "permissions"))


@check(
    "6.3.m",
    _("No group opens again what the defaults close"),
    repair=_("Permissions only add up: take the key out of the group, or keep it in a group of the few who need it."),
    key="user.permissions",
    beyond=True,
)
def additive_trap() -> Finding:
    restricted = restricted_keys()
    opened = [
        f"{name} ({', '.join(keys)})"
        for name, tree in _groups()
        if (keys := sorted(key for key in restricted if is_true(tree, key)))
    ]
    if opened:
        return warn(
            _("%(count)d groups open closed permissions again: %(names)s.")
            % {"count": len(opened), "names": _shown(opened)}
        )
    return ok(_("No group opens any of the %(count)d closed permissions.") % {"count": len(restricted)})


@check(
    "6.3.n",
    _("Default permissions are not wider than the variables say"),
    repair=_("Run `manage.py config reset user.permissions`, or close them in the settings."),
    key="user.permissions",
    beyond=True,
)
def wider_than_variables() -> Finding:
    prefix = "user.permissions."
    wider = [
        found.key.removeprefix(prefix)
        for found in store.differences()
        if found.key.startswith(prefix) and found.stored is True and found.wanted is False
    ]
    if wider:
        return fail(_("A variable closes what the stored default gives: %(keys)s.") % {"keys": ", ".join(wider)})
    return ok(_("The stored defaults give nothing that a variable closes."))


@once
def _open_objects() -> dict[tuple[str, str], int]:
    """Number of objects that everyone may write or read without sign-in, by kind and rule."""
    counts = {}
    for kind, model in resource_types().items():
        rows = model._default_manager.filter(general_access__in=(Access.WRITE, Access.ANYONE))
        for access, number in rows.order_by().values_list("general_access").annotate(Count("pk")):
            counts[kind, access] = number
    return counts


def _listed(access: Access) -> str:
    found = [(kind, number) for (kind, rule), number in sorted(_open_objects().items()) if rule == access]
    return ", ".join(f"{kind}: {number}" for kind, number in found)


@check(
    "6.3.o",
    _("Nothing can be changed by everyone"),
    repair=_("Open these objects in the administration and give write to a group instead."),
    beyond=True,
)
def everyone_writes() -> Finding:
    if names := _listed(Access.WRITE):
        return warn(_("Everyone signed in may change %(names)s.") % {"names": names})
    return ok(_("No object may be changed by everyone."))


@check(
    "6.3.p",
    _("Nothing is readable without sign-in"),
    repair=_("Withdraw these links, and take “Share chats without sign-in” from groups and defaults."),
    names=("USER_PERMISSIONS_CHAT_ALLOW_OPEN_SHARING",),
    beyond=True,
)
def anyone_reads() -> Finding:
    if names := _listed(Access.ANYONE):
        return warn(_("Anyone with the link may read %(names)s.") % {"names": names})
    return ok(_("No object is readable without sign-in."))


@check(
    "6.3.q",
    _("Nobody is kept out by a switched-off feature"),
    repair=_(
        "Set ENABLE_DENY_GRANTS=True, or remove the deny grants: they count all the same, and nobody can add one."
    ),
    names=("ENABLE_DENY_GRANTS",),
    beyond=True,
)
def idle_denials() -> Finding:
    number = sum(
        table._default_manager.filter(is_denied=True).count()
        for model in resource_types().values()
        for table in (model.user_grant_model(), model.group_grant_model())
    )
    if not number:
        return not_applicable(_("No deny grant is stored."))
    if not settings.ENABLE_DENY_GRANTS:
        return warn(_("%(count)d deny grants are in force, but the switch is off.") % {"count": number})
    return ok(_("%(count)d deny grants are in force.") % {"count": number})


@check(
    "6.6.c",
    _("Only administrators bring code to the server"),
    repair=_("Take these permissions out of defaults and groups: they are as good as root."),
    names=("USER_PERMISSIONS_WORKSPACE_TOOLS_ACCESS", "USER_PERMISSIONS_WORKSPACE_TOOLS_IMPORT"),
    key="user.permissions",
    beyond=True,
)
def code_writers() -> Finding:
    defaults = default_permissions()
    if given := [key for key in _CODE if is_true(defaults, key)]:
        return fail(_("Everybody has %(keys)s.") % {"keys": ", ".join(given)})
    if names := [name for name, tree in _groups() if any(is_true(tree, key) for key in _CODE)]:
        return warn(_("Members of these groups may: %(names)s.") % {"names": _shown(names)})
    return ok(_("No default and no group lets people write tools or connect tool servers."))
