"""What a sign-in or a sync did to an account, as sentences (`ExternalLogin.last_report`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

_FIELDS = {
    "name": lazy("Name"),
    "email": lazy("E-mail"),
    "role": lazy("Role"),
    "active": lazy("May sign in"),
    "profile_image_url": lazy("Picture"),
    "user_name": lazy("User name there"),
    "display_name": lazy("Display name there"),
    "formatted": lazy("Full name there"),
    "given_name": lazy("Given name there"),
    "family_name": lazy("Family name there"),
}


def sentences(report: Mapping[str, Any]) -> list[str]:
    """One for each thing; whatever a report of another release holds besides is left out."""
    found = []
    if report.get("is_new"):
        found.append(_("The account was made then."))
    if report.get("is_linked"):
        found.append(_("An account that was here already was linked."))
    changed = report.get("changed")
    for field, pair in changed.items() if isinstance(changed, Mapping) else ():
        if isinstance(pair, list | tuple) and len(pair) == 2:
            values = {"field": _FIELDS.get(field, field), "before": _shown(pair[0]), "after": _shown(pair[1])}
            found.append(_("%(field)s: %(before)s became %(after)s.") % values)
    found += _about_groups(report.get("groups"))
    kept = report.get("kept")
    for field, reason in kept.items() if isinstance(kept, Mapping) else ():
        values = {"field": _FIELDS.get(field, field), "reason": reason}
        found.append(_("%(field)s stayed as it was: %(reason)s") % values)
    return found or [_("Nothing changed.")]


def _about_groups(groups: Any) -> list[str]:
    if not isinstance(groups, Mapping):
        return []
    texts = {
        "add": _("Joined: %(groups)s."),
        "remove": _("Left: %(groups)s."),
        "create": _("Made and joined: %(groups)s."),
        "unknown": _("Named, but nobody has such groups: %(groups)s."),
        "kept": _("Stayed in, although not named: %(groups)s."),
    }
    found = [text % {"groups": ", ".join(map(str, groups[part]))} for part, text in texts.items() if groups.get(part)]
    return [_("No groups were named at all, so they stayed as they were."), *found] if "absent" in groups else found


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return f"“{value}”" if value else _("nothing")
