"""Sign-in with a real OpenLDAP: who comes in, as whom, into which groups, and every way it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import ExternalLogin, Session, SignInFailure, User
from owui.audit.models import AuditEvent
from rbac.models import Membership
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


@pytest.mark.parametrize("changes", [{}, {"use_tls": True, "use_starttls": False}], ids=["starttls", "ldaps"])
def test_both_kinds_of_tls_work_with_a_private_authority(api_for, use, posix, dana, changes):
    use(posix, **changes, server_port=posix.port + bool(changes))
    assert sign_in(api_for, "rpatel").status_code == 200


def test_names_with_signs_and_letters_of_all_kinds_come_through(api_for, use, posix, dana):
    use(posix)
    assert sign_in(api_for, "poneil").json()["name"] == "Peter O'Neil, PhD (ext)"
    assert sign_in(api_for, "slindqvist").json()["name"] == "Zoë Ångström-Lindqvist"
    uid = "q.o(x)*,=Ж"
    dn = add_person(posix, uid, cn="Жанна \"(X)*, d'Arc", mail="zhanna@meridian.test")
    try:
        assert sign_in(api_for, uid).json()["name"] == "Жанна \"(X)*, d'Arc"
        assert sign_in(api_for, "q.o(x)*", f"Test-{uid}-1").status_code == 400
    finally:
        remove(posix, dn)


# -------------------------------------------------------------------------------------------------------------- groups
def test_groups_follow_the_directory_and_unknown_ones_are_made_only_where_that_is_on(api_for, use, posix, dana):
    from tests.factories.rbac import make_group

    make_group(name="research")
    use(posix)
    sign_in(api_for, "yliu")
    assert groups_of("yan.liu@meridian.test") == {"research"}
    assert ExternalLogin.objects.get().last_report["groups"] == {"add": ["research"], "unknown": ["biostatistics"]}
    use(posix, enable_group_creation=True)
    sign_in(api_for, "yliu")
    assert groups_of("yan.liu@meridian.test") == {"research", "biostatistics"}
    assert set(Membership.objects.values_list("source", flat=True)) == {"ldap"}
    use(posix, enable_group_management=False)
    sign_in(api_for, "tbecker")
    assert groups_of("tom.becker@meridian.test") == set()


def test_groups_inside_groups_count_where_that_is_on_and_a_circle_ends(api_for, use, posix, dana):
    use(posix, enable_group_creation=True, nested_groups=True)
    # development is in r-and-d and gxp-users; now r-and-d is in development, too.
    change(posix, directories.group("development"), member=[
        directories.group("clinical"), directories.group("biostatistics"), directories.group("r-and-d"),
    ])  # fmt: skip
    try:
        sign_in(api_for, "rpatel")
        assert groups_of("raj.patel@meridian.test") == {"biostatistics", "development", "r-and-d", "gxp-users"}
    finally:
        change(posix, directories.group("development"), member=[
            directories.group("clinical"), directories.group("biostatistics"),
        ])  # fmt: skip


def test_groups_that_name_their_members_by_user_name_or_by_dn(api_for, use, posix, dana):
    base = f"ou=posix,{directories.SUFFIX}"
    use(posix, attribute_for_groups="ou", attribute_for_members="memberUid", group_search_base=base,
        enable_group_creation=True)  # fmt: skip
    sign_in(api_for, "cdubois")
    assert groups_of("claire.dubois@meridian.test") == {"medical", "regulatory"}
    use(posix, attribute_for_groups="ou", attribute_for_members="member", enable_group_creation=True)
    sign_in(api_for, "yliu")
    assert groups_of("yan.liu@meridian.test") == {"research", "biostatistics"}


def test_group_names_with_commas_and_letters_of_all_kinds_and_a_group_named_like_an_attack(api_for, use, posix, dana):
    names = ["Safety, Risk & Co (EU)", "Qualité + Ångström", 'O\'Brien "team"', "東京", "cn=admins"]
    made = [add_group(posix, name, directories.person("akoch")) for name in names]
    use(posix, enable_group_creation=True)
    try:
        sign_in(api_for, "akoch")
        assert groups_of("anneliese.koch@meridian.test") == {"cmc", *names}
    finally:
        for dn in made:
            remove(posix, dn)


def test_no_group_any_more_ends_memberships_but_a_directory_without_groups_says_nothing(api_for, use, posix, dana):
    use(posix, enable_group_creation=True)
    dn = add_person(posix, "solo")
    club = add_group(posix, "club", dn, directories.person("akoch"))
    try:
        sign_in(api_for, "solo")
        assert groups_of("solo@meridian.test") == {"club"}
        use(posix, enable_group_creation=True, attribute_for_groups="ou")
        sign_in(api_for, "solo")
        assert groups_of("solo@meridian.test") == {"club"}, "nobody has this attribute: that is no answer"
        assert ExternalLogin.objects.get().last_report["groups"] == {"absent": []}
        change(posix, club, member=[directories.person("akoch")])
        use(posix, enable_group_creation=True, attribute_for_groups="memberOf")
        sign_in(api_for, "solo")
        assert groups_of("solo@meridian.test") == set(), "others have the attribute: this person is in no group"
    finally:
        remove(posix, dn), remove(posix, club)


@pytest.mark.parametrize("keeps", [False, True])
def test_a_transfer_in_the_directory_changes_what_the_person_reaches_at_the_next_sign_in(
    api_for, use, posix, dana, share, settings, keeps
):
    from rbac.services import add_members
    from tests.factories.rbac import make_group, make_shared

    settings.ENABLE_GROUP_SYNC_KEEP_MANUAL = keeps
    groups = {name: make_group(name=name) for name in ("cmc", "regulatory", "by hand")}
    bases = {name: make_shared("knowledge", dana, name=name) for name in groups}
    models = {name: make_shared("model", dana, name=name) for name in groups}
    for name, group in groups.items():
        share(bases[name], group), share(models[name], group)
    use(posix)

    def reached() -> tuple[set[str], set[str]]:
        person = User.objects.get(email="anneliese.koch@meridian.test")
        User.objects.filter(pk=person.pk).update(role="user")
        person.refresh_from_db()
        return tuple(  # type: ignore[return-value]
            {thing.name for thing in type(things["cmc"]).objects.readable_by(person)} for things in (bases, models)
        )

    sign_in(api_for, "akoch")
    assert reached() == ({"cmc"}, {"cmc"})
    person = User.objects.get(email="anneliese.koch@meridian.test")
    add_members(groups["by hand"], [person.pk], by=dana)
    change(posix, directories.group("cmc"), member=[directories.person("tbecker")])
    change(posix, directories.group("regulatory"), member=[directories.person("akoch")])
    try:
        sign_in(api_for, "akoch")
        wanted = {"regulatory", "by hand"} if keeps else {"regulatory"}
        assert reached() == (wanted, wanted)
    finally:
        change(posix, directories.group("cmc"), member=[directories.person("akoch")])
        change(posix, directories.group("regulatory"), member=[
            directories.person("kwatanabe"), directories.person("cdubois"),
        ])  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- attacks
@pytest.mark.parametrize("password", ["", "\x00", "\x00x"])
@pytest.mark.parametrize("app_dn", [directories.POSIX["app_dn"], ""], ids=["searcher", "anonymous"])
def test_nobody_comes_in_without_a_password_although_the_server_would_let_them(
    api_for, use, posix, dana, password, app_dn
):
    import ldap

    connection = ldap.initialize(f"ldap://127.0.0.1:{posix.port}")
    connection.simple_bind_s(directories.person("tbecker"), "")  # the server takes this for "anonymous"
    connection.unbind_s()
    use(posix, app_dn=app_dn)
    assert sign_in(api_for, "tbecker", password).status_code == 400
    assert not Session.objects.filter(auth_method="ldap").exists() and not ExternalLogin.objects.exists()


@pytest.mark.parametrize(
    "user",
    ["*", "tb*", "tbecker)(uid=*", "*)(uid=*", "tbecker)(|(uid=*", "\\2a", "tbecker\x00", "(", "ldap://x/", "x" * 5000,
     "tbecker,ou=people", "uid=tbecker", "", " "],
)  # fmt: skip
def test_a_user_name_is_never_a_filter(api_for, use, posix, dana, user):
    use(posix)
    answer = sign_in(api_for, user, "Test-tbecker-1")
    assert answer.status_code in (400, 422), answer.content
    assert not ExternalLogin.objects.exists()


def test_wrong_password_and_unknown_name_read_the_same_and_are_counted(api_for, use, posix, dana):
    use(posix)
    texts = {sign_in(api_for, user, "wrong").json()["detail"] for user in ("tbecker", "nobody")}
    assert len(texts) == 1 and SignInFailure.objects.count() == 2
    for _try in range(20):
        if sign_in(api_for, "tbecker", "wrong").status_code == 429:
            break
    assert sign_in(api_for, "tbecker").status_code == 429, "the right one has to wait as well"
    assert sign_in(api_for, "akoch").status_code == 200


def test_a_user_name_that_several_entries_have_lets_nobody_in(api_for, use, posix, dana, caplog):
    use(posix, attribute_for_username="sn", enable_group_management=False)
    one, two = add_person(posix, "twin1", sn="Twin"), add_person(posix, "twin2", sn="Twin")
    try:
        answer = sign_in(api_for, "Twin", "Test-twin1-1")
        assert answer.status_code == 400 and "not unique" in answer.json()["detail"]
        assert "matches several people" in caplog.text
    finally:
        remove(posix, one), remove(posix, two)


def test_the_address_of_another_entry_never_opens_its_account(api_for, use, posix, dana):
    use(posix)
    sign_in(api_for, "aadmin")
    dn = add_person(posix, "copycat", mail="Ada.Marsh@meridian.test")
    try:
        answer = sign_in(api_for, "copycat")
        assert answer.status_code == 400 and "Another person of the directory" in answer.json()["detail"]
        assert ExternalLogin.objects.count() == 1
        assert not Session.objects.exclude(user__external_logins__isnull=False).exists()
    finally:
        remove(posix, dn)


def test_an_account_of_the_same_address_is_taken_over_unless_that_is_off(api_for, use, posix, dana, alice):
    User.objects.filter(pk=alice.pk).update(email="raj.patel@meridian.test")
    use(posix, merge_accounts_by_email=False)
    assert sign_in(api_for, "rpatel").status_code == 400 and not ExternalLogin.objects.exists()
    use(posix, merge_accounts_by_email=True)
    answer = sign_in(api_for, "rpatel").json()
    assert answer.get("id") == str(alice.pk), answer


def test_who_is_closed_in_the_directory_stays_out_and_strangers_do_not_learn_it(api_for, use, posix, dana, caplog):
    use(posix)
    answer = sign_in(api_for, "vnovak")
    assert answer.status_code == 403 and "closed" in answer.json()["detail"]
    assert sign_in(api_for, "vnovak", "wrong").json()["detail"].startswith("The user name or password is wrong")
    assert not ExternalLogin.objects.exists()


# ---------------------------------------------------------------------------------------------------------- bad things
@pytest.mark.parametrize(
    ("changes", "status", "text", "log"),
    [
        ({"app_password": "wrong"}, 400, "does not accept this site", "refuses the searching account"),
        ({"search_base": "ou=nowhere,dc=meridian,dc=test"}, 400, "not set up correctly", "ou=nowhere"),
        ({"search_base": "not a dn"}, 400, "not set up correctly", "not a dn"),
        ({"search_filter": "(((uid=*"}, 400, "not set up correctly", "filter is wrong"),
        ({"attribute_for_username": "uid=*)(x"}, 503, "not set up correctly", "is no attribute name"),
        ({"server_port": 1}, 503, "does not answer", "Can't contact"),
        ({"ca_cert_file": "/etc/ssl/certs/ca-certificates.crt"}, 503, "does not answer", "TLS: see LDAP_CA_CERT_FILE"),
        ({"ca_cert_file": "/nowhere.pem"}, 503, "does not answer", "/nowhere.pem, which cannot be read"),
        ({"server_host": "localhost.localdomain"}, 503, "does not answer", "no server answers"),
        ({"server_host": "http://localhost"}, 503, "not set up correctly", "neither ldap"),
        ({"ciphers": "NO-SUCH-CIPHER"}, 503, "does not answer", "no server answers"),
        ({"server_host": ""}, 503, "does not answer", "names no server"),
    ],
)
def test_each_fault_has_a_text_for_the_person_and_a_fuller_one_in_the_log(
    api_for, use, posix, dana, caplog, changes, status, text, log
):
    use(posix, **changes)
    answer = sign_in(api_for, "tbecker")
    assert answer.status_code == status and text in answer.json()["detail"], answer.content
    assert log in caplog.text and "Test-tbecker-1" not in caplog.text and "reader-secret" not in caplog.text
    assert not ExternalLogin.objects.exists() and not SignInFailure.objects.exists()


def test_a_certificate_of_another_name_is_refused(api_for, use, real, dana, tmp_path, caplog):
    import subprocess

    from tests.real.servers import HERE

    subprocess.run([HERE / "tls" / "make_ca.sh", tmp_path / "tls", "other.example.org"], check=True, timeout=30)
    use(real.start("ldap", data=tmp_path))
    assert sign_in(api_for, "tbecker").status_code == 503 and "the host name in the certificate" in caplog.text


def test_certificate_checks_can_be_switched_off_and_are_on_otherwise(api_for, use, posix, dana):
    use(posix, ca_cert_file="", validate_cert=False)
    assert sign_in(api_for, "tbecker").status_code == 200
    use(posix, ca_cert_file="", validate_cert=True)
    assert sign_in(api_for, "tbecker").status_code == 503


def test_a_person_without_an_address_needs_a_domain(api_for, use, posix, dana):
    dn = add_person(posix, "mailless", mail="")
    try:
        use(posix)
        answer = sign_in(api_for, "mailless")
        assert answer.status_code == 400 and "no e-mail" in answer.json()["detail"]
        use(posix, default_email_domain="meridian.test")
        assert sign_in(api_for, "mailless").json()["email"] == "mailless@meridian.test"
    finally:
        remove(posix, dn)


def test_off_and_without_passwords_nobody_comes_in(api_for, use, posix, dana, boot):
    use(posix, enable=False)
    assert sign_in(api_for, "tbecker").status_code == 400
    use(posix)
    boot(enable_password_auth=False)
    assert sign_in(api_for, "tbecker").status_code == 403
