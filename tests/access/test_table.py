"""Tries every row of the table with every kind of person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from tests.access.rows import PEOPLE, TASK, WS, Row, World, all_rows, body_for, path_for
from tests.conftest import token_for
from tests.factories.accounts import UserFactory

ROWS = [row for row in all_rows() if row.method not in (WS, TASK)]


def make_world() -> World:
    admin = UserFactory(name="Admin", role="admin", password=None)
    people = {who: UserFactory(name=who.title(), password=None) for who in ("outsider", "reader", "writer", "owner")}
    return World(admin=admin, pending=UserFactory(role="pending", password=None), **people)


def ask(row: Row, who: str, world: World) -> int:
    """The code that a row's route answers to one person."""
    headers = {"sec-fetch-site": "same-origin"}
    client = Client(headers=headers, raise_request_exception=False)
    if who != "out":
        token = token_for(getattr(world, who))
        if row.page:
            client.cookies["token"] = token
        else:
            client = Client(headers={"authorization": f"Bearer {token}"}, raise_request_exception=False)
    path = path_for(row, world)
    send: Any = getattr(client, row.method.lower())
    if row.json is not None:
        response = send(path, body_for(row.json, world, row), content_type="application/json")
    elif row.data is not None:
        response = send(path, body_for(row.data, world, row))
    else:
        response = send(path)
    return int(response.status_code)


def _make_things(row: Row, world: World) -> None:
    path_for(row, world)
    body_for(row.json if row.json is not None else row.data, world, row)


def try_everyone(row: Row, world: World, *, rolled_back: bool) -> None:
    # Made once, outside the transactions that are rolled back.
    _make_things(row, world)
    wrong = []
    for who in PEOPLE:
        from owui.config import store

        if rolled_back:
            with transaction.atomic():
                code = ask(row, who, world)
                transaction.set_rollback(True)
            store.clear_cache()
        else:
            code = ask(row, who, world)
        if code != row.codes[who]:
            wrong.append(f"{who}: {code}, should be {row.codes[who]}")
    assert not wrong, f"{row}: {'; '.join(wrong)}"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("row", [row for row in ROWS if row.live], ids=str)
def test_live_row(row: Row) -> None:
    """Rows whose routes work outside of one transaction: async ones, with threads of their own."""
    try_everyone(row, make_world(), rolled_back=False)


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """One for all other rows, in a transaction of its own to which each is rolled back: people and things made anew for
    each of five hundred rows took most of their time.

    Without the mark `django_db`, which closes the connection after each test; tests that have it run before these.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        world = make_world()
        for row in ROWS:
            if not row.live:
                _make_things(row, world)
        yield world
        transaction.set_rollback(True)


@pytest.mark.parametrize("row", [row for row in ROWS if not row.live], ids=str)
def test_row(row: Row, world: World) -> None:
    try_everyone(row, world, rolled_back=True)
