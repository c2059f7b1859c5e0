"""From somebody else's word to an account: found, taken over or made, by one path."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.backends.identity import Admission, ExternalIdentity
from accounts.models import ExternalLogin, User
from accounts.services import admit
from owui.audit.models import AuditEvent
from owui.lib.errors import Refused, UserError
from rbac.models import Group, Membership, MembershipSource
from rbac.services import create_group
from tests.factories.accounts import UserFactory, a_system_admin

pytestmark = pytest.mark.django_db

OPEN = Admission(may_create=True, may_merge=True, source=MembershipSource.OIDC)


def nora(**changes: Any) -> ExternalIdentity:
    values = {"provider": "oidc", "subject": "sub-nora", "email": "Nora@Example.org", "name": "Nora New"}
    return ExternalIdentity(**(values | changes))


def test_the_first_person_by_any_way_is_administrator_and_the_next_waits():
    first, report = admit(nora(role="pending"), OPEN)
    assert first.role == "admin" and first.email == "nora@example.org" and report.is_new
    second, _report = admit(nora(provider="ldap", subject="other", email="other@example.org"), OPEN)
    assert second.role == "pending" and not second.has_usable_password()


def test_who_comes_back_is_known_by_the_lasting_id_not_by_the_address(dana):
    user, _report = admit(nora(), OPEN)
    again, report = admit(nora(email="married@example.org"), OPEN)
    assert again.pk == user.pk and again.email == "nora@example.org" and not report.is_new
    moved, report = admit(nora(email="married@example.org"), Admission(updates=frozenset({"email", "name"})))
    assert moved.pk == user.pk and moved.email == "married@example.org"
    assert report.changed == {"email": ("nora@example.org", "married@example.org")}


def test_an_account_of_the_same_address_is_taken_over_only_when_that_is_allowed_and_vouched_for(dana):
    alice = UserFactory(email="nora@example.org", name="Nora Old")
    for identity, rules in ((nora(), Admission(may_create=True)), (nora(is_verified=False), OPEN)):
        with pytest.raises(UserError) as refused:
            admit(identity, rules)
        assert refused.value.code == "email_taken" and not ExternalLogin.objects.exists()
    user, report = admit(nora(), OPEN)
    assert user.pk == alice.pk and report.is_linked and user.name == "Nora Old"


def test_who_opened_an_account_with_another_ones_address_keeps_no_way_in(dana, set_config):
    """A stranger signs up with Nora's address and waits; Nora comes by her provider and takes the account over."""
    from accounts import tokens
    from accounts.services import open_session, sign_up
    from tests.conftest import Api

    set_config("auth.enable_signup", True)
    set_config("auth_api_key.enable", True)
    set_config("user.permissions", {"features": {"api_keys": True}})
    stranger = sign_up(name="Stranger", email="nora@example.org", password="correct horse battery")
    User.objects.filter(pk=stranger.pk).update(role="user")
    session, _row = open_session(stranger, auth_method="password")
    key = tokens.new_api_key(stranger)
    for credential in (session, key):
        assert Api(credential).get("/api/v1/auths/").status_code == 200
    user, report = admit(nora(), OPEN)
    assert user.pk == stranger.pk and report.is_linked and "password" in report.changed
    for credential in (session, key):
        assert Api(credential).get("/api/v1/auths/").status_code == 401
    answer = Api().post("/api/v1/auths/signin", {"email": user.email, "password": "correct horse battery"})
    assert answer.status_code == 400


def test_the_first_administrators_password_stays_when_a_provider_is_connected_later():
    from accounts.services import sign_up

    first = sign_up(name="Dana", email="nora@example.org", password="correct horse battery")
    user, report = admit(nora(), OPEN)
    assert user.pk == first.pk and user.check_password("correct horse battery") and not report.changed


def test_strangers_get_no_account_where_none_is_to_be_made(dana):
    with pytest.raises(Refused) as refused:
        admit(nora(), Admission())
    assert refused.value.status == 403 and User.objects.count() == 6


def test_who_is_switched_off_does_not_come_in_and_nothing_changes(dana):
    user, _report = admit(nora(), OPEN)
    User.objects.filter(pk=user.pk).update(is_active=False)
    with pytest.raises(Refused):
        admit(nora(role="admin", name="Else"), Admission(updates=frozenset({"name"})))
    user.refresh_from_db()
    assert user.role == "pending" and user.name == "Nora New"


def test_roles_follow_the_claims_and_the_last_administrator_stays():
    first, _report = admit(nora(), OPEN)
    same, report = admit(nora(role="user"), OPEN)
    assert same.role == "admin" and "role" in report.kept
    other, _report = admit(nora(subject="2", email="two@example.org", role="user"), OPEN)
    assert other.role == "user"
    other, report = admit(nora(subject="2", email="two@example.org", role="admin"), OPEN)
    assert other.role == "admin" and report.changed["role"] == ("user", "admin")
    other, report = admit(nora(subject="2", email="two@example.org"), OPEN)
    assert other.role == "admin" and not report.changed, "no claim keeps the role"


def test_an_address_of_somebody_else_is_reported_and_does_not_keep_the_person_out(dana):
    UserFactory(email="taken@example.org")
    admit(nora(), OPEN)
    user, report = admit(nora(email="taken@example.org", role="user"), Admission(updates=frozenset({"email"})))
    assert user.email == "nora@example.org" and user.role == "user" and "email" in report.kept


def test_groups_follow_the_claims_with_their_source_and_the_sync_is_in_the_log(dana):
    create_group(name="Safety", by=a_system_admin())
    create_group(name="Quality", by=a_system_admin())
    user, report = admit(nora(groups=("Safety", "Unknown")), OPEN)
    assert report.groups == {"add": ["Safety"], "unknown": ["Unknown"]}
    assert Membership.objects.get(user=user).source == "oidc" and not Group.objects.filter(name="Unknown").exists()
    _user, report = admit(nora(groups=("Quality",)), OPEN)
    assert report.groups == {"add": ["Quality"], "remove": ["Safety"]}
    _user, report = admit(nora(groups=None), OPEN)
    assert report.groups == {"absent": []} and Membership.objects.get(user=user).group.name == "Quality"
    last = AuditEvent.objects.filter(action="user.admit").order_by("-pk").first()
    assert last is not None and last.detail["groups"] == {"absent": []} and last.detail["provider"] == "oidc"
    assert ExternalLogin.objects.get().last_report["groups"] == {"absent": []}


def test_a_bad_address_makes_no_account(dana):
    with pytest.raises(UserError):
        admit(nora(email="no address"), OPEN)
    assert not ExternalLogin.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_fifty_first_sign_ups_by_mixed_ways_make_one_administrator_and_each_person_once():
    """Five ways, ten people each; everybody of the four outside ways comes twice at once, as from two devices."""
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    from accounts.services import sign_up

    def come(number: int) -> str:
        way, person = ("form", "oidc", "ldap", "header", "github")[number % 5], number // 5
        try:
            if way == "form":
                sign_up(name="Form", email=f"form{person}@example.org", password="a long password")
            else:
                admit(nora(provider=way, subject=f"s{person // 2}", email=f"{way}{person // 2}@example.org"), OPEN)
        except UserError as error:
            return error.code
        finally:
            connection.close()
        return ""

    with ThreadPoolExecutor(25) as pool:
        said = list(pool.map(come, range(50)))
    assert User.objects.filter(role="admin").count() == 1
    assert not any(said[number] for number in range(50) if number % 5), "nobody from outside is turned away"
    assert ExternalLogin.objects.count() == 4 * 5
    assert User.objects.count() == 4 * 5 + said[::5].count("")


# ---------------------------------------------------------------------------------------------------------- take-overs
def test_another_providers_login_does_not_survive_when_the_owner_of_the_address_comes(dana):
    """Whoever opened an account at a provider that vouches for no address keeps no way into its owner's."""
    squatter = nora(provider="github", subject="1", is_verified=False)
    account, _report = admit(squatter, OPEN)
    owner, report = admit(nora(), OPEN)
    assert owner.pk == account.pk and report.is_linked
    assert set(ExternalLogin.objects.values_list("provider", flat=True)) == {"oidc"}
    with pytest.raises(UserError) as refused:
        admit(squatter, OPEN)
    assert refused.value.code == "email_taken"
    assert AuditEvent.objects.get(action="user.displace").detail == {"logins": ["github"]}


def test_an_address_that_follows_an_unverified_claim_stays_a_claim(dana):
    following = Admission(may_create=True, may_merge=True, updates=frozenset({"email"}))
    user, _report = admit(nora(provider="github", subject="1", email="me@example.org"), following)
    assert not user.is_address_claimed
    user, report = admit(nora(provider="github", subject="1", email="boss@example.org", is_verified=False), following)
    user.refresh_from_db()
    assert user.email == "boss@example.org" and user.is_address_claimed and "email" in report.changed
    user, _report = admit(nora(provider="github", subject="1", email="me@example.org"), following)
    user.refresh_from_db()
    assert not user.is_address_claimed


def test_a_sign_that_only_looks_like_a_letter_leads_to_nobodys_account(dana):
    UserFactory(email="kate@example.org")
    with pytest.raises(UserError) as refused:
        admit(nora(email="\N{KELVIN SIGN}ate@example.org"), OPEN)
    assert refused.value.code == "email_invalid" and not ExternalLogin.objects.exists()
