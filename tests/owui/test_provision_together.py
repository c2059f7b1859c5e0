"""`apply` while others change the same things: nobody loses a deadlock, and one comes after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import User
from accounts.services import sign_up
from inference.models import AIModel
from knowledge.models import KnowledgeBase
from owui.lib.errors import UserError
from owui.provision import apply as applying
from owui.provision import locks, writers
from owui.provision.apply import apply_file
from rbac import services
from rbac.grants import Grant, grants_of, version_of
from rbac.models import Group, Membership

FILE = """\
version: 1
groups: [{name: Safety, description: "%(n)s", members: [new@example.org]}]
users: [{email: new@example.org, name: Nora New}]
models: [{id: small, name: "Small %(n)s", access: {groups: {Safety: read}}}]
knowledge_bases: [{name: SOPs, description: "%(n)s", access: {users: {bob@example.org: read}}}]
"""
PATIENCE = 30


class Side(threading.Thread):
    """Something done in a thread of its own; `join` gives its result or its fault."""

    def __init__(self, do: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.do, self.result = do, None
        self.start()

    def run(self) -> None:
        try:
            self.result = self.do()
        except Exception as error:
            self.result = error
        finally:
            connection.close()

    def done(self) -> Any:
        self.join(PATIENCE)
        assert not self.is_alive()
        return self.result

    def wait_until_blocked(self) -> None:
        """Until it waits for somebody's lock, or is through."""
        give_up = time.monotonic() + PATIENCE
        while self.is_alive() and time.monotonic() < give_up:
            if somebody_waits():
                return
            time.sleep(0.01)
        assert not self.is_alive(), "it neither waits nor ends"


class Gate:
    """A place where a thread stops until it is let through."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def stop(self) -> None:
        self.reached.set()
        assert self.opened.wait(PATIENCE)


class Scenes:
    """The two orders in which an apply and another change can meet."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tmp_path, self.monkeypatch, self.number = tmp_path, monkeypatch, 0

    def apply(self) -> Any:
        """An apply of a file that changes something of each object."""
        self.number += 1
        path = self.tmp_path / f"{self.number}.yaml"
        path.write_text(FILE % {"n": self.number})
        return lambda: apply_file(str(path)).count

    def during_apply(self, other: Callable[[], Any]) -> tuple[Any, Any]:
        """`other` begins while an apply has compared and not yet written."""
        gate, write = Gate(), writers.write_settings
        with self.monkeypatch.context() as patch:
            patch.setattr(writers, "write_settings", lambda *args: (gate.stop(), write(*args)))
            ours = Side(self.apply())
            assert gate.reached.wait(PATIENCE), ours.result
            theirs = Side(other)
            theirs.wait_until_blocked()
            gate.opened.set()
            return ours.done(), theirs.done()

    def before_apply(self, other: Callable[[], Any]) -> tuple[Any, Any]:
        """An apply begins while `other` has written and not yet committed."""
        gate, busy, wait = Gate(), threading.Event(), locks.wait

        def whole() -> Any:
            with transaction.atomic():
                result = other()
                gate.stop()
            return result

        with self.monkeypatch.context() as patch:
            patch.setattr(locks, "wait", lambda: (busy.set(), wait()))
            theirs = Side(whole)
            assert gate.reached.wait(PATIENCE), theirs.result
            ours = Side(self.apply())
            while not busy.is_set() and not somebody_waits():
                assert ours.is_alive(), ours.result
                time.sleep(0.01)
            gate.opened.set()
            return ours.done(), theirs.done()


def somebody_waits() -> bool:
    """Whether a backend of this test's database waits for another's lock. Only one side of two can. It is not asked for
    by its number, since a side gives its connection back to the pool while it hashes and may get another one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0)"
        )
        return bool(cursor.fetchone()[0])


def in_one_order(meet: Callable[[Callable[[], Any]], tuple[Any, Any]], people: Any, *, is_first: bool) -> None:
    """Each change once, at the same time as an apply that touches the same things.

    :param is_first: the apply is the first of the two
    """
    kb, model, safety = KnowledgeBase.objects.get(), AIModel.objects.get(), Group.objects.get(name="Safety")
    bob, carol = (Grant("user", str(person.pk), "read") for person in (people.bob, people.carol))
    by_group = Grant("group", str(safety.pk), "read")
    # The same object: both changes hold, since the second reads what the first left.
    ours, theirs = meet(lambda: services.set_grants(kb, [bob, carol], by=people.dana))
    assert ours == 3 and set(theirs) == set(grants_of([kb])[kb.pk]) == {bob, carol}
    # Whoever comes last has the last word.
    ours, theirs = meet(lambda: services.set_grants(model, [carol], by=people.dana))
    assert (ours, theirs) == (3, [carol])
    assert grants_of([model])[model.pk] == ([carol] if is_first else [by_group, carol])
    # Groups: fields, members, and one that goes with its grants.
    ours, theirs = meet(lambda: services.update_group(safety, by=people.dana, meta={"order": is_first}))
    assert (ours, Group.objects.get(pk=safety.pk).meta) == (3, {"order": is_first})
    ours, theirs = meet(lambda: services.add_members(safety, [people.alice.pk], by=people.dana))
    assert (ours, theirs) == (3, [people.alice.pk])
    services.remove_members(safety, [people.alice.pk], by=people.dana)
    extra = services.create_group(name="Extra", by=people.dana)
    services.set_grants(model, [by_group, Grant("group", str(extra.pk), "read")], by=people.dana)
    assert meet(lambda: services.delete_group(extra, by=people.dana)) == (3, None)
    assert grants_of([model])[model.pk] == [by_group]
    # The person of the file signs up at this moment. Who is first is right: the file makes the account and the form is
    # told so, or somebody has signed up with the address, which the file does not take for the person it means.
    User.objects.get(email="new@example.org").delete()
    ours, theirs = meet(lambda: sign_up(name="Nora", email="new@example.org", password="a long password"))
    account = User.objects.get(email="new@example.org")
    if is_first:
        assert ours == 4 and isinstance(theirs, UserError) and theirs.code == "email_taken"
    else:
        assert isinstance(ours, UserError) and "--adopt new@example.org" in str(ours)
        assert theirs == account and account.check_password("a long password")
    assert Membership.objects.get(group=safety).user == account


@pytest.mark.django_db(transaction=True)
def test_an_apply_and_a_change_by_hand_come_one_after_the_other(
    people: Any, set_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = Scenes(tmp_path, monkeypatch)
    scenes.apply()()
    kb = KnowledgeBase.objects.get()
    carol = Grant("user", str(people.carol.pk), "read")
    set_config("auth.enable_signup", True)
    set_config("auth.default_group_id", str(Group.objects.get().pk))
    in_one_order(scenes.during_apply, people, is_first=True)
    in_one_order(scenes.before_apply, people, is_first=False)
    User.objects.filter(email="new@example.org").update(is_address_claimed=False)
    scenes.apply()()

    # Who edits access that is no longer as he saw it is told so, after the apply.
    seen = version_of([Grant("user", str(people.mallory.pk), "read")])
    ours, theirs = scenes.during_apply(lambda: services.set_grants(kb, [carol], by=people.dana, version=seen))
    assert ours == 3 and isinstance(theirs, services.Conflict)

    # Two of one file: one does it, the other finds it done.
    one = scenes.apply()
    sides = [Side(one), Side(one)]
    assert sorted(side.done() for side in sides) == [0, 3]

    # Who never lets go is not waited for without end, and nothing is half applied.
    monkeypatch.setattr(locks, "PATIENCE", 0)
    before = KnowledgeBase.objects.get().description
    with transaction.atomic():
        services.set_grants(kb, [carol], by=people.dana)
        said = Side(scenes.apply()).done()
    assert isinstance(said, UserError) and str(said) == applying.CHANGED_MEANWHILE
    assert KnowledgeBase.objects.get().description == before
