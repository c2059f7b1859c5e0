"""From a file to the database, in one transaction: all of it or nothing."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, OperationalError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from accounts.backends.password import hash_password
from accounts.models import User
from owui.audit.record import record, record_many
from owui.lib.errors import UserError
from owui.provision import events, locks, plan, world, writers
from owui.provision.kinds.secrets import reference, resolve
from owui.provision.parse import Source, read
from owui.provision.plan import Plan
from owui.provision.progress import Progress
from owui.provision.shape import FileShape, validate
from rbac.history import acting
from rbac.services import announce

CHANGED_MEANWHILE = "Somebody changed the same things at this moment, so nothing was applied. Run the command again."


@dataclass(frozen=True)
class Operator:
    """Who acts when nobody is named: whoever runs the command on the machine."""

    id: Any = None
    email: str = ""
    name: str = "system"
    role: str = "admin"
    is_active: bool = True


def make_plan(path: str, *, prune: bool = False, progress: Progress | None = None, adopt: Collection[str] = ()) -> Plan:
    """What the file would change; nothing is written. BadFile names everything that is wrong with it.

    :param adopt: addresses of people who signed up themselves, and of whom the operator says that it is them
    """
    progress = progress or Progress(is_shown=False)
    source, shape, problems = _read(path, progress)
    with transaction.atomic():
        now = world.load()
        for user in _known(now, adopt):
            user.is_address_claimed = False
        return plan.make(source, shape, problems, now, prune=prune)


def apply_file(
    path: str,
    *,
    by: Any = None,
    prune: bool = False,
    progress: Progress | None = None,
    adopt: Collection[str] = (),
) -> Plan:
    """Makes the database what the file says, and gives the plan that was carried out.

    :param by: the administrator that the audit log and the history shall name; None is the system
    :param adopt: see `make_plan`
    :raises BadFile: something is wrong with the file; nothing was applied
    """
    by, progress = by or Operator(), progress or Progress(is_shown=False)
    source, shape, problems = _read(path, progress)
    hashes = {} if problems else _hashes(shape, progress)

    def once() -> Plan:
        locks.take(shape)
        progress.step("Comparing with the database")
        now = world.load()
        acting(by)
        _adopt(now, adopt, by)
        made = plan.make(source, shape, problems, now, prune=prune)
        if made.count:
            _write(made, now, source, by, hashes, progress)
        writers.write_ownership(made, now)
        return made

    try:
        return _while_busy(once)
    except ProtectedError as error:
        names = ", ".join(sorted(str(o) for o in error.protected_objects)[:3])
        raise UserError(
            f"A model that would be removed is the base of others: {names}. Nothing was applied."
        ) from error
    except IntegrityError as error:
        raise UserError(CHANGED_MEANWHILE) from error


def _known(now: world.World, adopt: Collection[str]) -> list[User]:
    wanted = [email.strip().lower() for email in adopt]
    if missing := [email for email in wanted if email not in now.users]:
        raise UserError(f"There is no person {missing[0]} who could be adopted. Nothing was applied.")
    return [now.users[email] for email in wanted]


def _adopt(now: world.World, adopt: Collection[str], by: Any) -> None:
    """The operator's word for people counts from now on, whatever the file says of them."""
    for user in _known(now, adopt):
        if user.is_address_claimed:
            user.is_address_claimed = False
            User.objects.filter(pk=user.pk).update(is_address_claimed=False)
            record("user.adopt", by=by, object_type="user", object_id=str(user.pk), object_label=user.email)


def _while_busy(once: Callable[[], Plan]) -> Plan:
    """What `once` gives, in a transaction of its own; again from the start when another's change is in the way."""
    give_up = time.monotonic() + locks.PATIENCE
    while True:
        try:
            with transaction.atomic():
                return once()
        except OperationalError as error:
            if not locks.is_contention(error):
                raise
            if time.monotonic() > give_up:
                raise UserError(CHANGED_MEANWHILE) from error
        locks.wait()


def _read(path: str, progress: Progress) -> tuple[Source, FileShape, list[Any]]:
    progress.step("Reading the file")
    source = read(path)
    shape, problems = validate(source)
    return source, shape, problems


def _hashes(shape: FileShape, progress: Progress) -> dict[str, str]:
    """Hashes of new people's passwords, before the transaction: each takes a tenth of a second on purpose."""
    wanted = {e.email: ref for e in shape.users if (ref := reference(e.password_env, e.password_file))}
    known = set(User.objects.filter(email__in=list(wanted)).values_list("email", flat=True))
    new = {email: text for email, ref in wanted.items() if email not in known and (text := resolve(ref))}
    return {email: hash_password(new[email]) for email in progress.over(new, "Passwords", len(new))}


def _write(made: Plan, now: world.World, source: Source, by: Any, hashes: dict[str, str], progress: Progress) -> None:
    writers.write_settings(made, by)
    writers.write_users(made, hashes, progress)
    writers.write_groups(made, by, progress)
    writers.write_members(made, by, progress)
    writers.write_resources(made, by, progress)
    writers.write_grants(made, by, progress)
    progress.step("Audit log")
    record_many(events.events(made, now), by=by)
    record(
        "provision.applied",
        by=by,
        object_type="provision",
        object_id=str(uuid.uuid4()),
        object_label=source.name,
        detail={"sha256": hashlib.sha256(source.text.encode()).hexdigest(), "changes": _counts(made)},
    )
    announce("provision", timezone.now().isoformat())


def _counts(made: Plan) -> dict[str, int]:
    counts: dict[str, int] = {}
    for change in made.changes.values():
        name = f"{change.kind}.{change.verb}"
        counts[name] = counts.get(name, 0) + 1
    counts["members.added"], counts["members.removed"] = len(made.members_added), len(made.members_removed)
    counts["grants.added"] = sum(len(changes.add) for changes in made.grants.values())
    counts["grants.removed"] = sum(len(changes.remove) for changes in made.grants.values())
    return {name: count for name, count in counts.items() if count}
