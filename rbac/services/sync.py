"""Memberships as a directory or a sign-in provider says them: the one place that every way of signing in calls.

`plan_sync` only reads and tells what would change; `apply_sync` does it. Names are exact group names. Names that are
None (the claim is absent) change nothing and are noted; an empty list takes the person out.
"""

from __future__ import annotations

import fnmatch
import json
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils.translation import gettext as _

from owui.audit.record import record
from rbac.history import acting
from rbac.models import Group, Membership, MembershipSource
from rbac.services.announce import announce
from rbac.services.groups import create_group, lock_tree
from rbac.sharing import Person

log = logging.getLogger(__name__)
LONGEST_NAME = 255
_REGEX_SIGNS = frozenset(r"^$[](){}+\|")


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a sync changes, by group name, sorted.

    :param create: unknown groups that are made, and joined
    :param unknown: groups the claims name and nobody has; reported, nothing else
    :param kept: memberships the claims do not name and that stay: of another source, or in a blocked group
    :param is_absent: the claim was not there at all
    """

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    create: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    is_absent: bool = False

    @property
    def changes(self) -> bool:
        return bool(self.add or self.remove or self.create)


@dataclass(frozen=True, slots=True)
class _Sync:
    """The person in the log when nobody in particular acts."""

    name: str
    id: Any = None
    email: str = ""
    role: str = "admin"
    is_active: bool = True


def plan_sync(
    user: Person,
    names: Iterable[str] | None,
    *,
    source: str,
    create_missing: bool,
    keep_manual: bool | None = None,
    blocked: Sequence[str] = (),
) -> SyncPlan:
    """What a sync would change: two statements, nothing written.

    :param source: where the names come from, a `MembershipSource`
    :param create_missing: whether groups that nobody has are made
    :param keep_manual: True limits removals to rows of this source; None is ENABLE_GROUP_SYNC_KEEP_MANUAL. SCIM always
        limits itself
    :param blocked: patterns (see `is_blocked`) of groups that the sync neither joins, leaves nor makes
    """
    if names is None:
        return SyncPlan(is_absent=True)
    own_only = _is_own_only(source, keep_manual)
    wanted = {name for name in _clean(names) if not is_blocked(name, blocked)}
    rows = Membership.objects.filter(user_id=user.id).values_list("group__name", "source")
    sources: dict[str, set[str]] = {}
    for name, of in rows:
        sources.setdefault(name, set()).add(of)
    known = set(Group.objects.filter(name__in=wanted).values_list("name", flat=True)) if wanted else set()
    missing = wanted - known
    create = {name for name in missing if create_missing and len(name) <= LONGEST_NAME}
    unnamed = {name for name in sources if name not in wanted}
    remove = {name for name in unnamed if not is_blocked(name, blocked) and (not own_only or source in sources[name])}
    # What stays although the claims do not say it; a group left by this source may be held by another one.
    kept = {name for name in unnamed if name not in remove or (own_only and sources[name] - {source})}
    # Whoever keeps sources apart needs the row of his own; otherwise being in the group is enough.
    add = {name for name in known if (source not in sources.get(name, ()) if own_only else name not in sources)}
    return SyncPlan(
        add=tuple(sorted(add)),
        remove=tuple(sorted(remove)),
        create=tuple(sorted(create)),
        unknown=tuple(sorted(missing - create)),
        kept=tuple(sorted(kept)),
    )


def apply_sync(
    user: Person,
    names: Iterable[str] | None,
    *,
    source: str,
    create_missing: bool,
    keep_manual: bool | None = None,
    blocked: Sequence[str] = (),
    by: Person | None = None,
    share: bool | str | None = None,
) -> SyncPlan:
    """Makes the memberships what the names say, and tells what was changed. Nothing is written when nothing differs.

    :param by: who caused it; the sync itself by default
    :param share: who may share with groups that are made (True, False, `members`); None as for any new group
    """
    names = None if names is None else list(names)
    rules: dict[str, Any] = {
        "source": source,
        "create_missing": create_missing,
        "keep_manual": keep_manual,
        "blocked": blocked,
    }
    plan = plan_sync(user, names, **rules)
    actor: Any = by or _Sync(f"Group sync ({source})")
    if plan.is_absent:
        log.warning("group claim absent: the memberships of %s stay as they are (%s)", user.id, source)
        _note("user.groups.claim_absent", user, actor, {"source": source})
        return plan
    if plan.unknown:
        log.info("groups nobody has, named for %s by %s: %s", user.id, source, ", ".join(plan.unknown))
    return _apply(user, names, actor, rules, plan, share) if plan.changes else plan


@transaction.atomic
def _apply(
    user: Person,
    names: Iterable[str] | None,
    actor: Any,
    rules: dict[str, Any],
    plan: SyncPlan,
    share: bool | str | None,
) -> SyncPlan:
    """Two sign-ins of one person come one after the other; the second plans again with what the first did."""
    if plan.create:
        # Before the person's row, as whoever deletes a group does. Who waits here may find the group made.
        lock_tree()
    if not get_user_model()._default_manager.select_for_update(no_key=True).filter(pk=user.id).exists():
        return SyncPlan()  # deleted this moment
    plan = plan_sync(user, names, **rules)
    if not plan.changes:
        return plan
    acting(actor)
    for name in plan.create:
        create_group(name=name, by=actor, data=None if share is None else {"config": {"share": share}})
    joined = [*plan.add, *plan.create]
    # Held until the end: a group must not be deleted between here and the new row.
    groups = list(Group.objects.filter(name__in=joined).order_by("pk").select_for_update(of=("self",), no_key=True))
    gone = Membership.objects.filter(user_id=user.id, group__name__in=plan.remove)
    if _is_own_only(rules["source"], rules["keep_manual"]):
        gone = gone.filter(source=rules["source"])
    touched = {*(group.pk for group in groups), *gone.values_list("group_id", flat=True)}
    gone.delete()
    Membership.objects.bulk_create(
        (Membership(user_id=user.id, group=g, source=rules["source"], created_by_id=actor.id) for g in groups),
        ignore_conflicts=True,
    )
    detail = {
        key: list(value) for key in ("add", "remove", "create", "unknown", "kept") if (value := getattr(plan, key))
    }
    _note("user.groups.sync", user, actor, {"source": rules["source"], **detail})
    for group_id in touched:
        announce("group", str(group_id), [user.id])
    return plan


def _is_own_only(source: str, keep_manual: bool | None) -> bool:
    keep = settings.ENABLE_GROUP_SYNC_KEEP_MANUAL if keep_manual is None else keep_manual
    return source == MembershipSource.SCIM or bool(keep)


@transaction.atomic
def _note(action: str, user: Person, by: Any, detail: dict[str, Any]) -> None:
    record(action, by=by, object_type="user", object_id=str(user.id), object_label=user.email, detail=detail)


def _clean(names: Iterable[str]) -> set[str]:
    """Names without what no group can be called."""
    return {name for raw in names if isinstance(raw, str) and (name := raw.replace("\x00", "").strip())}


def blocked_patterns(text: str) -> list[str]:
    """OAUTH_BLOCKED_GROUPS as people write it: a JSON array, or names with commas between."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    parts = [str(part) for part in found] if isinstance(found, list) else text.split(",")
    return [part.strip() for part in parts if part.strip()]


def is_blocked(name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern takes a group out of every sync: the name itself, a regular expression where the pattern has
    one's signs (one that is none is ignored), else `*` and `?` as in a shell."""
    if len(name) > LONGEST_NAME:
        return False  # no group is called so; a pattern must not work through a megabyte
    for pattern in patterns:
        if name == pattern:
            return True
        if _REGEX_SIGNS & set(pattern):
            try:
                if re.search(pattern, name):
                    return True
            except re.error:
                continue
        elif fnmatch.fnmatchcase(name, pattern):
            return True
    return False


def describe(plan: SyncPlan) -> list[tuple[str, tuple[str, ...]]]:
    """The plan as sentences and the groups they are about, for the preview; empty parts are left out."""
    if plan.is_absent:
        return [(_("No groups were named at all: every membership stays as it is, and the log says so."), ())]
    parts = [
        (_("Joins these groups"), plan.add),
        (_("Leaves these groups"), plan.remove),
        (_("Joins these groups, which are made first"), plan.create),
        (_("Nobody has groups of these names; nothing happens"), plan.unknown),
        (_("Stays in these groups although they were not named"), plan.kept),
    ]
    return [part for part in parts if part[1]] or [(_("Nothing changes."), ())]


__all__ = ["SyncPlan", "apply_sync", "blocked_patterns", "describe", "is_blocked", "plan_sync"]
