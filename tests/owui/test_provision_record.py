"""What an apply leaves in the audit log and in the history of access."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError
from django.utils import timezone

from accounts.models import User
from inference.models import TerminalServer
from knowledge.models import KnowledgeBase
from owui.audit.models import AuditEvent
from rbac.history import reachable_at
from rbac.models import AccessChange, Group
from rbac.sharing import resource_types
from tests.owui.provision_world import WORLD, edited

pytestmark = pytest.mark.django_db


def test_every_change_is_in_the_audit_log_and_the_history(apply: Any, people: Any) -> None:
    apply(WORLD, "--by", "dana@example.org")
    safety, kb = Group.objects.get(name="Safety"), KnowledgeBase.objects.get()
    logged = {e.action: e for e in AuditEvent.objects.all()}
    assert {e.actor_id for e in logged.values()} == {people.dana.pk}
    assert logged["group.members.add"].object_id == str(safety.pk)
    emails = [user["email"] for user in logged["group.members.add"].detail["users"]]
    assert sorted(emails) == ["bob@example.org", "new@example.org"]
    assert logged["provision.applied"].detail["changes"]["grants.added"] == 3
    access = AuditEvent.objects.get(action="access.set", object_id=str(kb.pk))
    assert {"principal_type": "group", "principal_id": str(safety.pk), "permission": "write"} in access.detail["grants"]
    assert "s3cret" not in str(list(AuditEvent.objects.values_list("detail", flat=True)))
    grant = AccessChange.objects.get(kind="grant", object_id=kb.pk, principal_id=safety.pk)
    assert (grant.value["permission"], grant.changed_by, grant.valid_until) == ("write", people.dana.pk, None)
    with pytest.raises(CommandError, match="alice@example.org is not an active administrator"):
        apply(WORLD, "--by", "alice@example.org")


def test_the_chain_of_the_audit_log_holds_events_written_in_bulk(apply: Any) -> None:
    from owui.audit import chain

    apply(WORLD)
    for event in AuditEvent.objects.all():
        values = {name: getattr(event, name) for name in chain.FIELDS}
        assert chain.event_hash(values) == event.hash and chain.event_is_genuine(event.hash, event.mac)


def test_open_pages_are_told_once(apply: Any, django_capture_on_commit_callbacks: Any) -> None:
    from rbac.signals import access_changed

    heard: list[Any] = []

    def hear(sender: Any, **said: Any) -> None:
        heard.append((said["resource_type"], said["user_ids"]))

    access_changed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            apply(WORLD)
    finally:
        access_changed.disconnect(hear)
    assert heard == [("provision", [])]


LISTED = ("knowledge", "model", "terminal_server")
SHELL = "terminals: [{id: shell, access: %s}]\n"
#: what a file says of one base, one model and one terminal, one file after the other
STEPS = [
    ("{groups: {Safety: write}}", "{everyone: read}", "{groups: {Safety: read}}"),
    ("{groups: {Safety: read}, users: {bob@example.org: write}}", "{users: {bob@example.org: read}}", "{}"),
    ("{groups: {Safety: write}, deny: [{user: bob@example.org}]}", "{deny: [{group: Safety}]}", "{everyone: read}"),
    ("{everyone: write, deny: [{group: Safety, permission: write}]}", "{everyone: read}", "{deny: [{group: Safety}]}"),
    ("{users: {carol@example.org: {permission: read, until: 2099-01-31}}}", "{}", "{groups: {Safety: write}}"),
    ("{users: {carol@example.org: {permission: write, until: 2020-01-31}}}", "{groups: {Safety: read}}", "{}"),
    ("{groups: {Safety: read}, users: {bob@example.org: read}, deny: [{user: bob@example.org}]}", "{}", "{}"),
]


def reached(user: Any, kinds: Iterable[str]) -> dict[tuple[str, bool], set[Any]]:
    found = {}
    for kind in kinds:
        objects = resource_types()[kind].objects
        found[kind, False] = set(objects.readable_by(user).values_list("pk", flat=True))
        found[kind, True] = set(objects.writable_by(user).values_list("pk", flat=True))
    return found


def remembered(user: Any, kinds: Iterable[str]) -> dict[tuple[str, bool], set[Any]]:
    now = timezone.now()
    return {(kind, write): reachable_at(user.pk, kind, now, write=write) for kind in kinds for write in (False, True)}


def test_the_history_is_what_the_querysets_say_after_every_apply(
    apply: Any, people: Any, share: Any, settings: Any
) -> None:
    settings.ENABLE_DENY_GRANTS = True
    TerminalServer.objects.create(server_id="shell", name="Shell", url="http://t")
    states = set()
    flagged = [(step, ()) for step in STEPS] + [(step, ("--prune",)) for step in STEPS[-3:]]
    for (base, model, shell), flags in flagged:
        if (kb := KnowledgeBase.objects.first()) is not None:
            share(kb, people.mallory, "read")  # by hand, in between
        text = edited("      groups: {Safety: write}\n", "").replace("access: {everyone: read}", f"access: {model}")
        text = text[: text.rindex("    access:")] + f"    access: {base}\n" + SHELL % shell
        apply(text, *flags)
        for user in User.objects.all():
            found = reached(user, LISTED)
            assert remembered(user, LISTED) == found, (user.email, base, model, shell)
            states.add(str(found))
    assert len(states) > 8  # the files did differ
    apply("version: 1\n", "--prune")
    for user in User.objects.all():
        assert remembered(user, resource_types()) == reached(user, resource_types())


def test_the_history_knows_the_end_that_a_file_wrote(apply: Any, people: Any) -> None:
    apply(WORLD)
    kb = KnowledgeBase.objects.get()
    for year, reads in ((2099, {kb.pk}), (2100, set())):
        assert reachable_at(people.carol.pk, "knowledge", datetime(year, 6, 1, tzinfo=UTC)) == reads


def test_a_changed_end_names_who_changed_it(apply: Any, people: Any) -> None:
    apply(WORLD, "--by", "dana@example.org")
    apply(edited("2099-12-31", "2099-11-30"))
    kb = KnowledgeBase.objects.get()
    states = AccessChange.objects.filter(kind="grant", object_id=kb.pk, principal_id=people.carol.pk)
    by = states.order_by("pk").values_list("changed_by", flat=True)
    assert list(by) == [people.dana.pk, None]
