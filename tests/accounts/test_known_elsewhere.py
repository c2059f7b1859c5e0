"""What an account says of who else knows the person."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import ExternalLogin
from tests.factories.accounts import UserFactory

pytestmark = pytest.mark.django_db


def test_ids_elsewhere_stand_in_the_fields_of_an_account(alice: Any, dana: Any, api_for: Any) -> None:
    for provider, subject in (("oidc", "sub-1"), ("github", "583231"), ("scim:default", "x-1")):
        ExternalLogin.objects.create(user=alice, provider=provider, subject=subject)
    oauth, scim = {"oidc": {"sub": "sub-1"}, "github": {"sub": "583231"}}, {"default": {"external_id": "x-1"}}
    shown = api_for(dana).get(f"/api/v1/users/{alice.pk}").json()
    assert (shown["oauth"], shown["scim"]) == (oauth, scim)
    listed = {row["id"]: row for row in api_for(dana).get("/api/v1/users/").json()["users"]}
    assert (listed[str(alice.pk)]["oauth"], listed[str(alice.pk)]["scim"]) == (oauth, scim)
    assert (listed[str(dana.pk)]["oauth"], listed[str(dana.pk)]["scim"]) == (None, None)


def test_a_list_of_people_asks_no_more_for_many_than_for_few(dana: Any, api_for: Any) -> None:
    api = api_for(dana)

    def statements() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert api.get("/api/v1/users/").status_code == 200
        return len(seen)

    statements()
    few = statements()
    for user in UserFactory.create_batch(10):
        ExternalLogin.objects.create(user=user, provider="oidc", subject=str(user.pk))
    assert statements() == few
