"""The scheduled directory sync: groups follow it, and who is closed or gone there is out here.

It walks the whole directory a page at a time. Nobody is switched off for not being seen in a walk that failed, in one
that found nobody, when too many would go at once, or while the directory, asked by name, still knows them. Running it
again does no harm, so a run that died is simply begun anew.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.backends import directory
from accounts.config import DirectoryConfig
from accounts.models import DirectoryAbsence, DirectoryRun, ExternalLogin, User
from accounts.services.directory import PROVIDER
from accounts.services.guards import Program
from accounts.services.offboarding import off_board
from accounts.services.people import update_user
from owui.audit.record import record
from owui.lib.errors import Refused, UserError
from rbac.models import Group, Membership, MembershipSource
from rbac.services import apply_sync, plan_sync

log = logging.getLogger(__name__)
#: a run that gave no sign of life for so long has died
DEAD_AFTER = timedelta(minutes=2)
#: so few may always go, whatever part of all they are
ALWAYS = 3
_SHOWN = 1000
#: how long runs are kept in which all was well and nothing happened, in which nothing happened, and all others
_QUIET, _IDLE, _LONGEST = timedelta(hours=1), timedelta(days=2), timedelta(days=90)
SYNC = Program("Directory sync")


class AlreadyRunning(Refused):
    """Somebody else is at it."""

    code = "sync_running"


@dataclass(slots=True)
class _Walk:
    """What one run knows so far."""

    config: DirectoryConfig
    run: DirectoryRun
    is_dry: bool
    seen: set[int] = field(default_factory=set)

    def note(self, user: User, what: str, how: str = "") -> None:
        self.run.changed_count += 1
        if len(self.run.changes) < _SHOWN:
            self.run.changes.append({"user": user.email, "what": what} | ({"how": how} if how else {}))

    def fault(self, text: str) -> None:
        if len(self.run.errors) < _SHOWN:
            self.run.errors.append(text)


def sync_is_due() -> bool:
    """Whether the schedule asks for a run now."""
    config = DirectoryConfig.load()
    if not (config.enable and config.enable_sync):
        return False
    since = timezone.now() - timedelta(seconds=config.sync_interval)
    return not DirectoryRun.objects.filter(started_at__gt=since).exists()


def sync_directory(*, dry_run: bool = False, force: bool = False) -> DirectoryRun:
    """One run; its record says what changed (or would change, which is then not stored).

    :param force: switch off however many are gone
    :raises Refused: another run is at work
    """
    config = DirectoryConfig.load()
    run = DirectoryRun(state=DirectoryRun.State.RUNNING) if dry_run else _begin()
    walk = _Walk(config, run, dry_run)
    try:
        run.state = _run(walk, force)
    except directory.DirectoryProblem as error:
        walk.fault(f"{error.message} ({error.detail})")
        run.state = DirectoryRun.State.FAILED
    except BaseException:
        walk.fault(_("Something unexpected happened. The log has the details."))
        run.state = DirectoryRun.State.FAILED
        raise
    finally:
        if not dry_run:
            _end(run)
    return run


@transaction.atomic
def _begin() -> DirectoryRun:
    now = timezone.now()
    DirectoryRun.objects.filter(state=DirectoryRun.State.RUNNING, beat_at__lt=now - DEAD_AFTER).update(
        state=DirectoryRun.State.FAILED, finished_at=now, errors=["It ended without a word; the next run began anew."]
    )
    try:
        with transaction.atomic():
            return DirectoryRun.objects.create()
    except IntegrityError as error:
        raise AlreadyRunning(_("The directory is being looked through already.")) from error


@transaction.atomic
def _end(run: DirectoryRun) -> None:
    now = timezone.now()
    run.finished_at = now
    run.save()
    old = DirectoryRun.objects.exclude(pk=run.pk).exclude(state=DirectoryRun.State.RUNNING)
    before = old.order_by("-started_at").first()
    quiet = old.filter(changed_count=0)
    quiet.filter(started_at__lt=now - _QUIET, state=DirectoryRun.State.DONE, errors=[]).delete()
    quiet.filter(started_at__lt=now - _IDLE).delete()
    old.filter(started_at__lt=now - _LONGEST).delete()
    # A directory that is away for a night is one event, not two thousand.
    is_news = run.state != (before.state if before else DirectoryRun.State.DONE)
    if is_news and run.errors:
        log.error("directory sync: %s", run.errors[0])
    if run.changed_count or is_news:
        detail = {"state": run.state, "seen": run.seen, "changes": run.changed_count, "errors": len(run.errors)}
        record("directory.sync", by=SYNC, object_type="directory_run", object_id=str(run.pk), detail=detail)


def _run(walk: _Walk, force: bool) -> DirectoryRun.State:
    with directory.connected(walk.config) as server:
        closed = directory.closed_people(server, walk.config)
        groups = directory.Groups(server, walk.config)
        for page in directory.pages(server, walk.config, directory.people_search(walk.config)):
            walk.run.seen += len(page)
            _take(walk, groups, [entry for entry in page if not _is_out(entry, closed)])
            if not walk.is_dry:
                DirectoryRun.objects.filter(pk=walk.run.pk).update(beat_at=timezone.now(), seen=walk.run.seen)
        return _switch_off(walk, server, force)


def _is_out(entry: directory.Entry, closed: set[str]) -> bool:
    return entry.is_closed or entry.dn.lower() in closed


# ------------------------------------------------------------------------------------------------ people who are there
def _take(walk: _Walk, groups: directory.Groups, page: list[directory.Entry]) -> None:
    by_subject = {entry.subject: entry for entry in page}
    logins = ExternalLogin.objects.filter(provider=PROVIDER, subject__in=by_subject).select_related("user", "absence")
    found = list(logins)
    walk.seen |= {login.pk for login in found}
    walk.run.known += len(found)
    for login in found:
        if hasattr(login, "absence"):
            _switch_on(walk, login)
    if not walk.config.enable_group_management:
        return
    named = {login: groups.names(by_subject[login.subject]) for login in found if login.user.is_active}
    for login, names in _that_differ(walk.config, named):
        _sync(walk, login, names)


def _switch_on(walk: _Walk, login: ExternalLogin) -> None:
    if not walk.is_dry:
        with transaction.atomic():
            login.user = update_user(login.user, by=SYNC, is_active=True)
            login.absence.delete()
    walk.note(login.user, "on")


def _that_differ(
    config: DirectoryConfig, named: dict[ExternalLogin, tuple[str, ...] | None]
) -> Iterator[tuple[ExternalLogin, tuple[str, ...]]]:
    """Whose memberships are not what the directory says: three statements for a page, instead of several a person.

    Only a sieve: what really changes is decided by `apply_sync`. No attribute at all changes nothing.
    """
    rows: dict[Any, set[tuple[str, str]]] = {}
    people = [login.user_id for login in named]
    memberships = Membership.objects.filter(user__in=people).values_list("user_id", "group__name", "source")
    for user_id, name, source in memberships:
        rows.setdefault(user_id, set()).add((name, source))
    wanted = {name for names in named.values() for name in names or ()}
    known = set(Group.objects.filter(name__in=wanted).values_list("name", flat=True))
    for login, names in named.items():
        if names is None:
            continue
        have = rows.get(login.user_id, set())
        if settings.ENABLE_GROUP_SYNC_KEEP_MANUAL:
            have = {row for row in have if row[1] == MembershipSource.LDAP}
        should = set(names) if config.enable_group_creation else set(names) & known
        if {name for name, _source in have} != should:
            yield login, names


def _sync(walk: _Walk, login: ExternalLogin, names: Iterable[str]) -> None:
    rules: dict[str, Any] = {
        "source": MembershipSource.LDAP,
        "create_missing": walk.config.enable_group_creation,
    }
    try:
        if walk.is_dry:
            plan = plan_sync(login.user, names, **rules)
        else:
            with transaction.atomic():
                plan = apply_sync(login.user, names, **rules)
                if plan.changes:
                    report = {
                        part: list(v) for part in ("add", "remove", "create", "kept") if (v := getattr(plan, part))
                    }
                    ExternalLogin.objects.filter(pk=login.pk).update(last_report={"groups": report})
    except UserError as error:
        walk.fault(f"{login.user.email}: {error.message}")
        return
    if plan.changes:
        signs = [("+", (*plan.add, *plan.create)), ("-", plan.remove)]
        walk.note(login.user, "groups", " ".join(f"{sign}{name}" for sign, part in signs for name in part))


# ------------------------------------------------------------------------------------------------ people who are gone
def _switch_off(walk: _Walk, server: Any, force: bool) -> DirectoryRun.State:
    active = ExternalLogin.objects.filter(provider=PROVIDER, user__is_active=True).select_related("user")
    total, missing = 0, []
    for login in active.order_by("pk").iterator(chunk_size=500):
        total += 1
        if login.pk not in walk.seen:
            missing.append(login)
    if not missing:
        return DirectoryRun.State.DONE
    if not walk.run.seen:
        walk.fault(_("The directory showed nobody at all, so nobody was switched off."))
        return DirectoryRun.State.REFUSED
    most = max(ALWAYS, total * walk.config.sync_max_removals // 100)
    gone: list[ExternalLogin] = []
    for login in missing:
        if directory.still_there(server, walk.config, login.subject):
            continue
        gone.append(login)
        if len(gone) > most and not force:
            text = _(
                "At least %(count)d of %(total)d people would go, more than %(most)d, so nobody was switched off. "
                "If that is right, run `manage.py sync_directory --force`."
            )
            walk.fault(text % {"count": len(gone), "total": total, "most": most})
            return DirectoryRun.State.REFUSED
    for login in gone:
        _switch_off_one(walk, login)
    return DirectoryRun.State.DONE


def _switch_off_one(walk: _Walk, login: ExternalLogin) -> None:
    # Somebody whom the directory knows under another id as well, after a move to a new directory, stays.
    others = ExternalLogin.objects.filter(user=login.user, provider=PROVIDER, pk__in=walk.seen)
    if others.exists():
        return
    try:
        if not walk.is_dry:
            with transaction.atomic():
                off_board(login.user, by=SYNC, why=PROVIDER)
                DirectoryAbsence.objects.get_or_create(login=login)
    except UserError as error:
        # The first or the last administrator: somebody has to look.
        walk.fault(f"{login.user.email}: {error.message}")
        return
    walk.note(login.user, "off")
