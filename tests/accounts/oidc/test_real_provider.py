"""Sign-in with a real, certified OpenID provider, end to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import ExternalLogin, OAuthSession, Session, User
from owui.audit.models import AuditEvent
from rbac.models import Group, Membership
from rbac.services import add_members, create_group
from tests.accounts.oidc.world import CALLBACK, Person, reason, variables
from tests.factories.accounts import UserFactory, a_system_admin
from tests.real.servers import Real, needs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process, needs("oidc")]
Make = Callable[..., Person]


def groups_of(user: User) -> set[str]:
    return set(Membership.objects.filter(user=user).values_list("group__name", flat=True))


@pytest.fixture
def first(db: None) -> User:
    """An administrator who was here before, so that people of the provider are later ones."""
    return UserFactory(name="Dana Reyes", email="dana@example.org", role="admin")


def test_signing_in_makes_the_account_with_role_groups_and_sessions(sso: Any, browser: Make, first: User) -> None:
    person = browser("tbecker")
    reply = person.sign_in("?next=/notes")
    assert reply.status_code == 302 and reply["location"] == "/notes", "the page that was wanted is kept"
    user = User.objects.get(email="tom.becker@meridian.test")
    assert (user.role, user.name, groups_of(user)) == ("user", "Tom Becker", {"research"})
    assert not user.has_usable_password()
    assert set(Membership.objects.filter(user=user).values_list("source", flat=True)) == {"oidc"}
    session, kept = Session.objects.get(user=user), OAuthSession.objects.get(user=user)
    assert session.auth_method == "oauth" and session.origin["oauth_session"] == str(kept.pk)
    assert kept.subject == "sub-tbecker" and kept.sid and "access_token" not in kept.tokens
    cookies = reply.cookies
    assert cookies["token"]["httponly"] and cookies["oauth_session_id"].value == str(kept.pk)
    assert cookies["oauth_id_token"]["httponly"] and cookies["oauth_id_token"].value.count(".") == 2
    assert person.here.get("/api/v1/auths/").json()["email"] == user.email
    event = AuditEvent.objects.filter(action="user.admit").get()
    assert event.detail["groups"] == {"create": ["research"]} and event.detail["is_new"]
    # Coming back finds the same account, and the provider does not ask again.
    assert not reason(person.sign_in()) and User.objects.count() == 2


def test_the_first_person_becomes_administrator_whatever_the_claims_say(sso: Any, browser: Make) -> None:
    assert not reason(browser("tbecker").sign_in())
    assert User.objects.get().role == "admin"


def test_a_transfer_in_the_directory_changes_groups_at_the_next_sign_in(
    sso: Any, browser: Make, first: User, settings: Any
) -> None:
    person = browser("tbecker")
    person.sign_in()
    user = User.objects.get(email="tom.becker@meridian.test")
    by_hand = create_group(name="Works council", by=a_system_admin())
    add_members(by_hand, [user.pk], by=a_system_admin())
    settings.ENABLE_GROUP_SYNC_KEEP_MANUAL = True
    sso.person("tbecker", groups=["cmc", "quality"])
    assert not reason(person.sign_in())
    assert groups_of(user) == {"cmc", "quality", "Works council"}
    settings.ENABLE_GROUP_SYNC_KEEP_MANUAL = False
    assert not reason(person.sign_in())
    assert groups_of(user) == {"cmc", "quality"}


def test_an_absent_claim_leaves_groups_alone_and_an_empty_one_takes_people_out(
    sso: Any, browser: Make, first: User, configure: Callable[..., None]
) -> None:
    person = browser("tbecker")
    person.sign_in()
    user = User.objects.get(email="tom.becker@meridian.test")
    configure(OAUTH_GROUP_CLAIM="nothing_of_this_name")
    person.sign_in()
    assert groups_of(user) == {"research"}
    assert ExternalLogin.objects.get(user=user).last_report["groups"] == {"absent": []}
    configure(OAUTH_GROUP_CLAIM="groups", OAUTH_EMPTY_GROUPS_REMOVE="False")
    sso.person("tbecker", groups=[])
    person.sign_in()
    assert groups_of(user) == {"research"}, "the setting makes empty the same as absent"
    configure(OAUTH_EMPTY_GROUPS_REMOVE="True")
    person.sign_in()
    assert groups_of(user) == set()


def test_blocked_groups_are_neither_made_nor_joined_nor_left(
    sso: Any, browser: Make, first: User, configure: Callable[..., None]
) -> None:
    configure(OAUTH_BLOCKED_GROUPS='["secret", "^adm.*$", "ext-*"]')
    sso.person("tbecker", groups=["secret", "administration", "ext-one", "cmc"])
    person = browser("tbecker")
    person.sign_in()
    assert groups_of(User.objects.get(email="tom.becker@meridian.test")) == {"cmc"}
    assert set(Group.objects.values_list("name", flat=True)) == {"cmc"}
    assert Group.objects.get().data["config"]["share"] is True, "OAUTH_GROUP_DEFAULT_SHARE"


def test_roles_follow_the_claim_also_a_nested_one(
    sso: Any, browser: Make, first: User, configure: Callable[..., None]
) -> None:
    person = browser("tbecker")
    person.sign_in()
    user = User.objects.get(email="tom.becker@meridian.test")
    configure(OAUTH_ROLES_CLAIM="realm_access.roles", OAUTH_ADMIN_ROLES="chiefs,admin")
    sso.person("tbecker", roles=["chiefs"])
    person.sign_in()
    user.refresh_from_db()
    assert user.role == "admin"
    sso.person("tbecker", roles=[])
    person.sign_in()
    user.refresh_from_db()
    assert user.role == "admin", "an empty claim keeps the role"
    sso.person("tbecker", roles=["user"])
    person.sign_in()
    user.refresh_from_db()
    assert user.role == "user"
    sso.person("tbecker", roles=["guest"])
    assert reason(person.sign_in()) == "oauth_role"
    assert Session.objects.filter(user=user).count() == 4, "a refusal opens no session"


def test_people_can_be_made_to_wait_for_approval_although_the_claim_says_user(
    sso: Any, browser: Make, first: User, configure: Callable[..., None]
) -> None:
    configure(OAUTH_ROLE_PENDING_FIRST="True")
    person = browser("tbecker")
    reply = person.sign_in()
    user = User.objects.get(email="tom.becker@meridian.test")
    assert user.role == "pending"
    assert person.here.get(reply["location"])["location"] == "/auth/pending"
    person.sign_in()
    user.refresh_from_db()
    assert user.role == "pending", "signing in again approves nobody"
    User.objects.filter(pk=user.pk).update(role="user")
    person.sign_in()
    user.refresh_from_db()
    assert user.role == "user"
    assert not reason(browser("aadmin").sign_in()) and User.objects.get(email="ada.marsh@meridian.test").role == "admin"


def test_who_is_disabled_at_the_provider_does_not_come_in(sso: Any, browser: Make, first: User) -> None:
    with pytest.raises(PermissionError, match="403"):
        browser("vnovak").sign_in()
    assert User.objects.count() == 1


def test_without_sign_up_people_nobody_knows_are_refused(
    sso: Any, browser: Make, first: User, configure: Callable[..., None]
) -> None:
    configure(ENABLE_OAUTH_SIGNUP="False")
    assert reason(browser("tbecker").sign_in()) == "unknown_person"
    assert User.objects.count() == 1 and not ExternalLogin.objects.exists() and not OAuthSession.objects.exists()


def test_accounts_are_merged_only_by_a_verified_address(
    sso: Any, browser: Make, first: User, configure: Callable[..., None]
) -> None:
    mine = UserFactory(email="tom.becker@meridian.test", name="Tom before")
    assert reason(browser("tbecker").sign_in()) == "email_taken"
    configure(OAUTH_MERGE_ACCOUNTS_BY_EMAIL="True")
    sso.person("tbecker", email_verified=False)
    assert reason(browser("tbecker").sign_in()) == "email_taken"
    assert not ExternalLogin.objects.exists()
    sso.person("tbecker", email_verified=True)
    assert not reason(browser("tbecker").sign_in())
    assert ExternalLogin.objects.get().user == mine and User.objects.count() == 2


def test_names_and_addresses_follow_only_where_that_is_switched_on(
    sso: Any, browser: Make, first: User, configure: Callable[..., None]
) -> None:
    person = browser("tbecker")
    person.sign_in()
    sso.person("tbecker", name="Tom Newname", mail="tom.new@meridian.test")
    person.sign_in()
    user = User.objects.get(external_logins__subject="sub-tbecker")
    assert (user.name, user.email) == ("Tom Becker", "tom.becker@meridian.test")
    configure(OAUTH_UPDATE_NAME_ON_LOGIN="True", OAUTH_UPDATE_EMAIL_ON_LOGIN="True")
    person.sign_in()
    user.refresh_from_db()
    assert (user.name, user.email) == ("Tom Newname", "tom.new@meridian.test")


def test_a_picture_in_the_house_is_fetched_only_from_hosts_that_are_named(
    sso: Any, browser: Make, first: User, configure: Callable[..., None]
) -> None:
    person = browser("tbecker")
    person.sign_in()
    user = User.objects.get(email="tom.becker@meridian.test")
    assert user.profile_image_url == "/user.png", "127.0.0.1 is inside"
    configure(OAUTH_PICTURE_PRIVATE_HOSTS="127.0.0.1", OAUTH_UPDATE_PICTURE_ON_LOGIN="True")
    person.sign_in()
    user.refresh_from_db()
    assert user.profile_image_url.startswith("data:image/png;base64,")


@pytest.mark.parametrize("uid", ["mgonzalez", "slindqvist", "poneil", "kwatanabe"])
def test_names_with_all_kinds_of_letters_come_through(sso: Any, browser: Make, first: User, uid: str) -> None:
    sso.person(uid, groups=["Forschung; Süd", "研究, 東京", 'O\'Neil "(x)"'])
    assert not reason(browser(uid).sign_in())
    user = User.objects.exclude(pk=first.pk).get()
    assert user.email == user.email.lower() and groups_of(user) == {"Forschung; Süd", "研究, 東京", 'O\'Neil "(x)"'}


def test_five_thousand_groups_in_a_token_are_taken(
    sso: Any, browser: Make, first: User, configure: Callable[..., None]
) -> None:
    configure(ENABLE_OAUTH_GROUP_CREATION="False")
    create_group(name="group-4711", by=a_system_admin())
    sso.person("tbecker", groups=[f"group-{number}" for number in range(5000)])
    person = browser("tbecker")
    reply = person.sign_in()
    assert not reason(reply) and "oauth_id_token" not in {n for n, c in reply.cookies.items() if c.value}
    assert groups_of(User.objects.get(email="tom.becker@meridian.test")) == {"group-4711"}


def test_keys_that_the_provider_changed_are_fetched_again(
    configure: Callable[..., None], browser: Make, first: User
) -> None:
    """A provider that is started anew has new keys; ours stays up and remembers the former ones."""
    from accounts.backends.oidc import discovery

    with Real() as real:
        before = real.start("oidc", "--redirect", CALLBACK)
        configure(**variables(f"http://127.0.0.1:{before.port}"))
        assert not reason(browser("tbecker").sign_in())
        (known,) = [held.value for held in discovery._keys.values()]
        before.stop()
        real.start("oidc", "--redirect", CALLBACK, port=before.port)
        assert not reason(browser("yliu").sign_in())
        (fresh,) = [held.value for held in discovery._keys.values()]
        assert not {key["kid"] for key in known} & {key["kid"] for key in fresh}


def test_the_public_client_needs_no_secret(
    sso: Any, browser: Make, first: User, configure: Callable[..., None]
) -> None:
    configure(OAUTH_CLIENT_ID="ai-assistant-public", OAUTH_CLIENT_SECRET="")
    assert not reason(browser("tbecker").sign_in())
