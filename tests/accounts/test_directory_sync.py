"""The scheduled look at a real OpenLDAP: groups follow, who is gone is out, and no fault switches anybody off."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import services
from accounts.models import DirectoryAbsence, DirectoryRun, ExternalLogin, Session, User
from owui.audit.models import AuditEvent
from rbac.models import Membership
from tests.accounts import directories
from tests.accounts.directories import add_group, add_person, change, posix, real, remove, use
from tests.conftest import token_for
from tests.factories.accounts import UserFactory
from tests.factories.rbac import make_group
from tests.real.servers import Real, needs

pytestmark = [pytest.mark.django_db, needs("ldap"), pytest.mark.process]
__all__ = ["posix", "real", "use"]


def come(api_for: Any, *uids: str) -> list[User]:
    """These people have signed in once and may work here."""
    found = []
    for uid in uids:
        answer = api_for().post("/api/v1/auths/ldap", {"user": uid, "password": f"Test-{uid}-1"})
        assert answer.status_code == 200, answer.content
        User.objects.filter(pk=answer.json()["id"]).update(role="user")
        found.append(User.objects.get(pk=answer.json()["id"]))
    return found


def groups_of(user: User) -> set[str]:
    return set(Membership.objects.filter(user=user).values_list("group__name", flat=True))


def is_active(user: User) -> bool:
    user.refresh_from_db()
    return user.is_active


@pytest.fixture
def leaver(posix, api_for, use, dana):
    """Somebody who will leave, among others who stay."""
    use(posix, sync_page_size=3)
    dn = add_person(posix, "leaver")
    come(api_for, "akoch", "rpatel")
    (user,) = come(api_for, "leaver")
    yield user, dn
    try:
        remove(posix, dn)
    except Exception as error:
        assert "NO_SUCH_OBJECT" in type(error).__name__, error


@pytest.mark.parametrize("keeps", [False, True])
def test_a_transfer_changes_groups_without_a_sign_in(api_for, use, posix, dana, settings, share, keeps):
    from rbac.services import add_members
    from tests.factories.rbac import make_shared

    settings.ENABLE_GROUP_SYNC_KEEP_MANUAL = keeps
    groups = {name: make_group(name=name) for name in ("cmc", "regulatory", "by hand")}
    base, model = make_shared("knowledge", dana), make_shared("model", dana)
    share(base, groups["cmc"]), share(model, groups["cmc"])
    use(posix, sync_page_size=4)
    (koch,) = come(api_for, "akoch")
    add_members(groups["by hand"], [koch.pk], by=dana)
    assert type(base).objects.readable_by(koch).exists() and type(model).objects.readable_by(koch).exists()
    change(posix, directories.group("cmc"), member=[directories.person("tbecker")])
    change(posix, directories.group("regulatory"), member=[directories.person("akoch")])
    try:
        preview = services.sync_directory(dry_run=True)
        assert preview.changed_count == 1 and "+regulatory" in preview.changes[0]["how"]
        assert groups_of(koch) == {"cmc", "by hand"} and not DirectoryRun.objects.exists()
        run = services.sync_directory()
        assert run.state == "done" and run.changes == preview.changes and run.seen == 12
        assert groups_of(koch) == ({"regulatory", "by hand"} if keeps else {"regulatory"})
        koch = User.objects.get(pk=koch.pk)
        assert not type(base).objects.readable_by(koch).exists() and not type(model).objects.readable_by(koch).exists()
        assert services.sync_directory().changed_count == 0, "again does nothing"
        assert AuditEvent.objects.filter(action="directory.sync").count() == 1
    finally:
        change(posix, directories.group("cmc"), member=[directories.person("akoch")])
        change(posix, directories.group("regulatory"), member=[
            directories.person("kwatanabe"), directories.person("cdubois"),
        ])  # fmt: skip


def test_who_is_closed_there_is_out_here_and_comes_back_with_the_directory(leaver, posix, api_for, client_for, boot):
    user, dn = leaver
    token = token_for(user)
    api, browser = api_for(user), client_for(user)
    assert api.get("/api/v1/auths/").status_code == 200 and browser.get("/settings").status_code == 200
    change(posix, dn, employeeType=["disabled"])
    assert services.sync_directory(dry_run=True).changes == [{"user": "leaver@meridian.test", "what": "off"}]
    assert is_active(user)
    run = services.sync_directory()
    assert run.changes == [{"user": "leaver@meridian.test", "what": "off"}] and not is_active(user)
    assert api.get("/api/v1/auths/").status_code == 401 and browser.get("/settings").status_code == 302
    assert not Session.objects.filter(user=user, revoked_at=None).exists() and token
    change(posix, dn, employeeType=["active"])
    assert services.sync_directory().changes == [{"user": "leaver@meridian.test", "what": "on"}]
    assert is_active(user) and not DirectoryAbsence.objects.exists()
    assert api.get("/api/v1/auths/").status_code == 401, "the old session stays ended"


def test_who_is_back_may_sign_in_before_the_next_look(leaver, posix, api_for):
    user, dn = leaver
    change(posix, dn, employeeType=["disabled"])
    services.sync_directory()
    assert not is_active(user)
    change(posix, dn, employeeType=["active"])
    come(api_for, "leaver")
    assert is_active(user) and not DirectoryAbsence.objects.exists()


def test_whom_an_administrator_switched_off_stays_off(leaver, dana):
    user, _dn = leaver
    services.update_user(user, by=dana, is_active=False)
    assert services.sync_directory().changed_count == 0 and not is_active(user)


def test_who_is_deleted_there_is_out_and_who_moves_or_is_renamed_is_not(leaver, posix):
    user, dn = leaver
    manager = directories.manager(posix)
    manager.rename_s(dn, "uid=leaver2", f"ou=people,{directories.SUFFIX}")
    moved = f"uid=leaver2,ou=people,{directories.SUFFIX}"
    try:
        assert services.sync_directory().changed_count == 0 and is_active(user)
    finally:
        manager.delete_s(moved)
    assert services.sync_directory().changes == [{"user": user.email, "what": "off"}] and not is_active(user)


def test_local_accounts_are_none_of_its_business(leaver):
    other = UserFactory(email="local@example.org")
    services.sync_directory()
    assert is_active(other)


# ------------------------------------------------------------------------------------------- nobody goes by a mistake
@pytest.mark.parametrize(
    "changes",
    [
        {"server_port": 1},
        {"app_password": "wrong"},
        {"search_base": "ou=nowhere,dc=meridian,dc=test"},
        {"search_filter": "((("},
        {"ca_cert_file": "/nowhere.pem"},
    ],
)
def test_a_directory_that_cannot_be_asked_switches_nobody_off(leaver, posix, use, changes):
    user, _dn = leaver
    use(posix, **changes)
    run = services.sync_directory()
    assert run.state == "failed" and run.errors and is_active(user)
    assert "reader-secret" not in str(run.errors)
    assert User.objects.filter(is_active=False).count() == 0


def test_a_directory_that_shows_nobody_or_less_than_it_has_switches_nobody_off(leaver, posix, use):
    user, _dn = leaver
    use(posix, search_filter="(uid=nobody-at-all)")
    run = services.sync_directory()
    assert run.state == "refused" and "nobody" in run.errors[0] and is_active(user)
    # The walk is cut off by the server's own limit: an error, no answer.
    use(posix, search_filter="", sync_page_size=500)
    made = [add_person(posix, f"many{number}") for number in range(510)]
    try:
        run = services.sync_directory()
        assert run.state == "failed" and "SIZELIMIT" in run.errors[0] and is_active(user)
    finally:
        for dn in made:
            remove(posix, dn)


def test_too_many_at_once_are_refused_until_somebody_has_looked(posix, api_for, use, dana):
    use(posix, sync_max_removals=10)
    people = come(api_for, "akoch", "rpatel", "tbecker", "yliu", "cdubois")
    use(posix, sync_max_removals=10, search_filter="(uid=akoch)")
    run = services.sync_directory()
    assert run.state == "refused" and "4 of 5" in run.errors[0] and all(map(is_active, people))
    with pytest.raises(CommandError):
        call_command("sync_directory", stdout=StringIO(), stderr=StringIO())
    out = StringIO()
    call_command("sync_directory", "--force", stdout=out)
    assert [is_active(user) for user in people] == [True, False, False, False, False]
    assert "raj.patel@meridian.test: off" in out.getvalue()


def test_the_last_administrator_stays_and_the_run_says_so(posix, api_for, use):
    dn = add_person(posix, "boss")
    use(posix)
    answer = api_for().post("/api/v1/auths/ldap", {"user": "boss", "password": "Test-boss-1"}).json()
    assert answer["role"] == "admin"
    remove(posix, dn)
    run = services.sync_directory()
    assert run.state == "done" and "first administrator" in run.errors[0]
    assert User.objects.get(pk=answer["id"]).is_active


# ----------------------------------------------------------------------------------------------------------- the run
def test_one_at_a_time_and_a_dead_one_is_taken_over(leaver):
    running = DirectoryRun.objects.create()
    with pytest.raises(services.AlreadyRunning):
        services.sync_directory()
    DirectoryRun.objects.filter(pk=running.pk).update(beat_at=timezone.now() - timedelta(minutes=5))
    assert services.sync_directory().state == "done"
    running.refresh_from_db()
    assert running.state == "failed" and running.finished_at


def test_a_night_without_the_directory_is_one_event_and_its_records_go(leaver, posix, use):
    use(posix, server_port=1)
    for _time in range(3):
        services.sync_directory()
    assert AuditEvent.objects.filter(action="directory.sync").count() == 1
    DirectoryRun.objects.update(started_at=timezone.now() - timedelta(days=3))
    use(posix)
    assert services.sync_directory().state == "done"
    assert DirectoryRun.objects.count() == 1 and AuditEvent.objects.filter(action="directory.sync").count() == 2


def test_the_schedule_asks_only_when_it_is_on_and_due(posix, use, dana):
    from owui.celery import app, sync_directory

    assert app.conf.beat_schedule["sync-directory"]["task"] == sync_directory.name
    use(posix)
    assert not services.sync_is_due() and sync_directory() is False
    use(posix, enable_sync=True, sync_interval=45)
    assert sync_directory() is True and DirectoryRun.objects.get().state == "done"
    assert sync_directory() is False
    DirectoryRun.objects.update(started_at=timezone.now() - timedelta(seconds=46))
    assert services.sync_is_due()


def test_the_record_is_on_a_page_of_the_administration(leaver, posix, client_for, dana):
    user, dn = leaver
    remove(posix, dn)
    run = services.sync_directory()
    page = client_for(dana).get(f"/admin/accounts/directoryrun/{run.pk}/change/").content.decode()
    assert "leaver@meridian.test: off" in page
    assert client_for(dana).get("/admin/accounts/directoryrun/").status_code == 200


def test_a_walk_costs_the_same_number_of_statements_for_many_people(
    posix, api_for, use, dana, django_assert_max_num_queries
):
    use(posix)
    come(api_for, "akoch", "rpatel", "tbecker", "yliu", "cdubois", "oadeyemi")
    services.sync_directory()
    with django_assert_max_num_queries(20):
        services.sync_directory()


def test_five_thousand_groups_of_one_person(posix, api_for, use, dana):
    make_group(name="Team 4,999")
    dn = add_person(posix, "busy", ou=[f"cn=Team {n // 1000}\\,{n % 1000:03},ou=x" for n in range(5000)])
    club = add_group(posix, "club", dn)
    try:
        use(posix, attribute_for_groups="ou")
        (user,) = come(api_for, "busy")
        assert groups_of(user) == {"Team 4,999"}
        Membership.objects.all().delete()
        assert services.sync_directory().changed_count == 1 and groups_of(user) == {"Team 4,999"}
    finally:
        remove(posix, dn), remove(posix, club)


# ------------------------------------------------------------------------------------- servers that stop, and others
def test_a_server_that_hangs_is_left_for_the_next_one_and_none_means_a_clear_error(real: Real, api_for, use, dana):
    first, second = real.start("ldap"), real.start("ldap-ad")
    third = real.start("ldap", data=None)
    use(third, server_host=f"localhost:1, localhost:{first.port} ldap://localhost:{third.port}", network_timeout=1)
    first.pause()
    try:
        # Each has an authority of its own; the paused one is asked first, and given up on.
        answer = api_for().post("/api/v1/auths/ldap", {"user": "akoch", "password": "Test-akoch-1"})
        assert answer.status_code == 200, answer.content
        third.pause()
        began = timezone.now()
        answer = api_for().post("/api/v1/auths/ldap", {"user": "akoch", "password": "Test-akoch-1"})
        assert answer.status_code == 503 and "does not answer" in answer.json()["detail"]
        assert timezone.now() - began < timedelta(seconds=15)
        assert services.sync_directory().state == "failed" and User.objects.filter(is_active=False).count() == 0
    finally:
        first.resume(), third.resume()
    use(second, enable_group_creation=True, nested_groups=True)
    answer = api_for().post("/api/v1/auths/ldap", {"user": "mgonzalez", "password": "Test-mgonzalez-1"})
    assert answer.json()["name"] == "María José González", "Active Directory's names"
    person = User.objects.get(email="maria.gonzalez@meridian.test")
    assert groups_of(person) == {f"GRP_{n}" for n in ("clinical", "development", "r-and-d", "gxp-users")}
    assert api_for().post("/api/v1/auths/ldap", {"user": "vnovak", "password": "Test-vnovak-1"}).status_code == 403
    assert ExternalLogin.objects.get(user=person).subject.count("-") == 4, "objectGUID or entryUUID"
