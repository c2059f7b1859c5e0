"""Sign-in with a real OpenLDAP: who comes in, as whom, into which groups, and every way it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import ExternalLogin, Session, SignInFailure, User
from owui.audit.models import AuditEvent
from rbac.models import Group, Membership
from tests.accounts import directories
from tests.accounts.directories import add_group, add_person, change, posix, real, remove, use
from tests.real.servers import needs

pytestmark = [pytest.mark.django_db, needs("ldap"), pytest.mark.process]
__all__ = ["posix", "real", "use"]
LDAP = "/api/v1/auths/ldap"


def sign_in(api_for: Any, user: str, password: str | None = None) -> Any:
    return api_for().post(LDAP, {"user": user, "password": f"Test-{user}-1" if password is None else password})


def groups_of(email: str) -> set[str]:
    return set(Membership.objects.filter(user__email=email).values_list("group__name", flat=True))


def test_the_first_person_is_administrator_and_the_next_waits(api_for, use, posix):
    use(posix)
    answer = sign_in(api_for, "aadmin")
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body["email"] == "ada.marsh@meridian.test" and body["name"] == "Ada Marsh" and body["role"] == "admin"
    assert answer.cookies["token"].value == body["token"] and answer.cookies["token"]["httponly"]
    assert sign_in(api_for, "tbecker").json()["role"] == "pending"
    assert set(Session.objects.values_list("auth_method", flat=True)) == {"ldap"}
    subject = ExternalLogin.objects.get(user__email="ada.marsh@meridian.test").subject
    assert len(subject) == 36, "the lasting id is entryUUID"
    assert AuditEvent.objects.filter(action="user.admit", detail__provider="ldap").count() == 2


def test_capitals_in_name_and_address_are_one_person(api_for, use, posix, dana):
    use(posix)
    for user in ("kwatanabe", "KWatanabe"):
        assert sign_in(api_for, user, "Test-kwatanabe-1").json()["email"] == "kenji.watanabe@meridian.test"
    assert ExternalLogin.objects.count() == 1
