"""A statement that is put together once answers as the queryset does, for whoever asks."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Session, User
from accounts.tokens import issue
from owui.lib.written import Written
from rbac.models import Group

sessions = Written(lambda pk: Session.objects.select_related("user").filter(pk=pk)[:1], pk=UUID)


def test_rows_come_with_what_belongs_to_them(alice: Any, bob: Any) -> None:
    for person in (alice, bob):
        _token, session = issue(person, auth_method="password")
        with CaptureQueriesContext(connection) as captured:
            found = sessions.first(pk=session.pk)
            assert (found, found.user, found.user.settings) == (session, person, person.settings)
        assert len(captured) == 1
    assert sessions.first(pk=uuid4()) is None


def test_what_changed_since_is_seen(alice: Any) -> None:
    _token, session = issue(alice, auth_method="password")
    assert sessions.first(pk=session.pk).user.role == "user"
    User.objects.filter(pk=alice.pk).update(role="pending")
    assert sessions.first(pk=session.pk).user.role == "pending"
    session.delete()
    assert sessions.first(pk=session.pk) is None


def test_single_columns_and_texts_of_any_kind(db: None) -> None:
    names = Written(lambda name: Group.objects.filter(name=name).values_list("permissions", flat=True), name=str)
    for name in ("plain", "100 % 'quoted' \"twice\"", "%s", "\\"):
        Group.objects.create(name=name, permissions={"chat": {"delete": name == "%s"}})
    assert names(name="%s") == [{"chat": {"delete": True}}]
    assert names(name="100 % 'quoted' \"twice\"") == [{"chat": {"delete": False}}]
    assert names(name="\\") == [{"chat": {"delete": False}}]
    assert names(name="nothing") == []


def test_a_value_that_would_not_reach_the_statement_is_refused(db: None) -> None:
    with pytest.raises(TypeError, match="name"):
        Written(lambda pk, name: Group.objects.filter(pk=pk), pk=UUID, name=str)(pk=uuid4(), name="x")
