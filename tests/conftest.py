"""People, sign-in and sharing for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from tests import flush
from tests.factories.accounts import PASSWORD, UserFactory
from tests.plugin import THROWN_AWAY

flush.install()
PEOPLE = ("dana", "alice", "bob", "carol", "mallory", "pending")


@pytest.fixture(autouse=True)
def _clean_start(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cheap password hashes, and nothing remembered from the test before.

    Settings that were read stay read until they are changed: a second that ends in mid-test would cost one more
    statement, and tests that count them would depend on how busy the machine is.
    """
    from owui.config import store
    from rbac.permissions import environment_defaults

    monkeypatch.setattr(store, "FRESH_FOR", 3600)
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.MD5PasswordHasher",
        "django.contrib.auth.hashers.Argon2PasswordHasher",
    ]
    # Pages name static files; nothing is collected for tests.
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    environment_defaults.cache_clear()
    cache.clear()
    # Also that settings were written: the transaction that did it was rolled back with its test.
    store.clear_cache()
    yield
    environment_defaults.cache_clear()
    store.clear_cache()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Migrated once for all workers of a run and all sites, then copied."""
    if THROWN_AWAY not in os.environ:
        return
    from django.conf import settings

    from tests.processes.server import copy_of_template

    database = settings.DATABASES["default"]
    # As Django names it; being there, it is only looked at for migrations that it lacks.
    copy_of_template(database.get("TEST", {}).get("NAME") or f"test_{database['NAME']}")


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The built-in server is thrown away whole. Dropping its database first would only fail where a thread or a pool
    still holds a connection."""
    return THROWN_AWAY in os.environ


@pytest.fixture
def people(db: None) -> SimpleNamespace:
    """Everyone at once: alice owns, bob reads by grant, carol writes through a group, mallory is an outsider, dana is
    administrator (and the first account), pending waits. Grants are given by each test, aloud."""
    return SimpleNamespace(
        dana=UserFactory(name="Dana Reyes", email="dana@example.org", role="admin"),
        alice=UserFactory(name="Alice Meyer", email="alice@example.org"),
        bob=UserFactory(name="Bob Lindqvist", email="bob@example.org"),
        carol=UserFactory(name="Carol Osei", email="carol@example.org"),
        mallory=UserFactory(name="Mallory Stone", email="mallory@example.org"),
        pending=UserFactory(name="Pia Waiting", email="pending@example.org", role="pending"),
    )


def _person(name: str) -> Any:
    @pytest.fixture(name=name)
    def person(people: SimpleNamespace) -> Any:
        return getattr(people, name)

    return person


dana, alice, bob, carol, mallory, pending = (_person(name) for name in PEOPLE)


@pytest.fixture
def carols_group(carol: Any, dana: Any) -> Any:
    """A group with carol in it."""
    from rbac import services

    group = services.create_group(name="Pharmacovigilance", by=dana)
    services.add_members(group, [carol.pk], by=dana)
    return group


def token_for(user: Any) -> str:
    from accounts import tokens

    # Read anew: the session stamp may have changed since the test made the person.
    return tokens.issue(type(user).objects.get(pk=user.pk), auth_method="password")[0]


class Api(Client):
    """A program: JSON bodies, a bearer token."""

    def __init__(self, token: str = "", **kwargs: Any) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        super().__init__(headers=headers, **kwargs)

    def _send(self, verb: str, path: str, body: Any = None, **kwargs: Any) -> Any:
        if body is not None:
            kwargs |= {"data": body, "content_type": "application/json"}
        return getattr(super(), verb)(path, **kwargs)

    def post(self, path: str, data: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        if "content_type" in kwargs or kwargs.pop("multipart", False):
            return super().post(path, data, **kwargs)
        return self._send("post", path, data if data is not None else {}, **kwargs)


@pytest.fixture
def client_for(db: None) -> Callable[..., Client]:
    """A browser signed in as somebody (None: signed out): the token in the cookie, requests from our own pages."""

    def make(user: Any = None, *, htmx: bool = False, csrf: bool = False) -> Client:
        headers = {"sec-fetch-site": "same-origin"} | ({"hx-request": "true"} if htmx else {})
        client = Client(headers=headers, enforce_csrf_checks=csrf)
        if user is not None:
            client.cookies["token"] = token_for(user)
        return client

    return make


@pytest.fixture
def api_for(db: None) -> Callable[..., Api]:
    """A program that acts for somebody (None: without a token)."""
    return lambda user=None: Api(token_for(user) if user is not None else "")


@pytest.fixture
def share() -> Callable[..., None]:
    """`share(kb, bob, "read")`, `share(kb, group, "write")`, `share(kb, "*", "read")`: adds one grant."""

    def add(resource: Any, principal: Any, permission: str = "read") -> None:
        from rbac.grants import Grant, grants_of
        from rbac.models import Group
        from rbac.services import set_grants
        from tests.factories.accounts import a_system_admin

        if principal == "*":
            grant = Grant("user", "*", permission)
        else:
            grant = Grant("group" if isinstance(principal, Group) else "user", str(principal.pk), permission)
        set_grants(resource, [*grants_of([resource])[resource.pk], grant], by=a_system_admin())
        resource.refresh_from_db()

    return add


@pytest.fixture
def set_config() -> Callable[..., None]:
    """`set_config("auth.enable_signup", False)` stores a setting."""

    def store_value(key: str, value: Any) -> None:
        from owui.config import store

        store.set_values({key: value}, by=None)

    return store_value


@pytest.fixture
def boot(settings: Any) -> Callable[..., None]:
    """`boot(enable_password_auth=False)` changes boot values for one test."""

    def change(**values: Any) -> None:
        settings.BOOT = settings.BOOT.model_copy(update=values)

    return change


@pytest.fixture
def password() -> str:
    return PASSWORD
