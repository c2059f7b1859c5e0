"""Administration of people: by service, REST, Django admin and command line."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from accounts import services, tokens
from accounts.models import ApiKey, Session, User
from owui.audit.models import AuditEvent
from owui.lib.errors import Refused
from tests.conftest import token_for
from tests.factories.accounts import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def second_admin(dana):
    return UserFactory(name="Second", role="admin")


def test_approve_by_rest(api_for, dana, pending):
    waiting = api_for(pending)
    assert waiting.get("/api/v1/groups/").status_code == 401
    assert api_for(dana).post(f"/api/v1/users/{pending.pk}/update", {"role": "user"}).json()["role"] == "user"
    assert waiting.get("/api/v1/groups/").status_code == 200
    event = AuditEvent.objects.get(action="user.update")
    assert event.detail == {"before": {"role": "pending"}, "after": {"role": "user"}}


def test_approve_in_the_admin(client_for, dana, pending):
    client = client_for(dana)
    answer = client.post("/admin/accounts/user/", {"action": "approve", "_selected_action": [str(pending.pk)]})
    assert answer.status_code == 302
    pending.refresh_from_db()
    assert pending.role == "user"
    assert AuditEvent.objects.filter(action="user.update", actor_id=dana.pk).count() == 1


def test_end_all_sessions_in_the_admin(client_for, dana, alice):
    token_for(alice)
    data = {"action": "end_sessions", "_selected_action": [str(alice.pk)]}
    client_for(dana).post("/admin/accounts/user/", data)
    assert not Session.objects.filter(user=alice, revoked_at=None).exists()


def test_edit_in_the_admin_goes_through_the_service(client_for, dana, alice):
    path = f"/admin/accounts/user/{alice.pk}/change/"
    client = client_for(dana)
    page = client.get(path)
    assert page.status_code == 200 and alice.password.encode() not in page.content
    form = {"name": "Alice", "email": alice.email, "role": "admin", "is_active": "on", "new_password": ""}
    assert client.post(path, form).status_code == 302
    alice.refresh_from_db()
    assert alice.role == "admin" and alice.check_password(PASSWORD)
    client.post(path, form | {"new_password": "another horse"})
    alice.refresh_from_db()
    assert alice.check_password("another horse")
    actions = list(AuditEvent.objects.filter(object_id=str(alice.pk)).values_list("action", flat=True))
    assert actions == ["user.update", "user.update"]


def test_add_in_the_admin_hashes_the_password(client_for, dana):
    form = {"name": "New", "email": "New@example.org", "role": "user", "new_password": PASSWORD}
    assert client_for(dana).post("/admin/accounts/user/add/", form).status_code == 302
    user = User.objects.get(email="new@example.org")
    assert user.check_password(PASSWORD) and user.role == "user"


def test_delete_in_the_admin_is_recorded(client_for, dana, mallory):
    assert client_for(dana).post(f"/admin/accounts/user/{mallory.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=mallory.pk).exists()
    assert AuditEvent.objects.filter(action="user.delete", object_label=mallory.email).exists()


def test_what_the_service_refuses_the_admin_says(client_for, dana, second_admin):
    client = client_for(second_admin)
    path = f"/admin/accounts/user/{dana.pk}/change/"
    form = {"name": "Dana", "email": dana.email, "role": "user", "is_active": "on", "new_password": ""}
    answer = client.post(path, form, follow=True)
    assert answer.status_code == 403 and "first administrator" in str(answer.context["errors"])
    dana.refresh_from_db()
    assert dana.role == "admin" and dana.name == "Dana Reyes"


def test_sessions_and_keys_can_be_ended_in_the_admin_and_show_no_secret(client_for, dana, alice, set_config):
    set_config("auth_api_key.enable", True)
    set_config("user.permissions", {"features": {"api_keys": True}})
    key = services.create_api_key(alice)
    session = tokens.issue(alice, auth_method="password")[1]
    client = client_for(dana)
    listing = client.get("/admin/accounts/apikey/").content
    detail = client.get(f"/admin/accounts/apikey/{alice.api_keys.get().pk}/change/").content
    for page in (listing, detail):
        assert key[-4:].encode() in page and key.encode() not in page
        assert ApiKey.objects.get().digest.encode() not in page
    client.post("/admin/accounts/session/", {"action": "end", "_selected_action": [str(session.pk)]})
    client.post("/admin/accounts/apikey/", {"action": "revoke", "_selected_action": [str(alice.api_keys.get().pk)]})
    session.refresh_from_db()
    assert session.revoked_at and not ApiKey.objects.exists()


def test_the_primary_administrator_is_safe_from_others(dana, second_admin, api_for):
    api = api_for(second_admin)
    assert api.post(f"/api/v1/users/{dana.pk}/update", {"name": "X"}).status_code == 403
    assert api.post(f"/api/v1/users/{dana.pk}/sessions/revoke").status_code == 403
    assert api.delete(f"/api/v1/users/{dana.pk}").status_code == 403
    assert api_for(dana).post(f"/api/v1/users/{dana.pk}/update", {"role": "user"}).status_code == 403
    with pytest.raises(Refused):
        services.update_user(dana, by=dana, is_active=False)


def test_nobody_deletes_themselves(dana, second_admin, api_for):
    for admin in (dana, second_admin):
        assert api_for(admin).delete(f"/api/v1/users/{admin.pk}").status_code == 403


def test_switching_somebody_off_ends_their_sessions(api_for, alice, dana):
    api = api_for(alice)
    services.update_user(alice, by=dana, is_active=False)
    assert api.get("/api/v1/auths/").status_code == 401


@pytest.mark.parametrize("bad", [{"role": "emperor"}, {"email": "no address"}, {"email": "bob@example.org"}])
def test_bad_changes_are_refused_whole(api_for, alice, dana, bad):
    answer = api_for(dana).post(f"/api/v1/users/{alice.pk}/update", {"name": "X", **bad})
    assert answer.status_code == 400
    alice.refresh_from_db()
    assert alice.name == "Alice Meyer"


@pytest.mark.parametrize("path", ["/api/v1/users/", "/api/v1/users/all", "/api/v1/users/search", "/api/v1/groups/"])
def test_a_listing_costs_the_same_for_one_row_and_for_fifty(api_for, dana, path):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from tests.factories.rbac import make_group

    api = api_for(dana)
    api.get(path)

    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert api.get(path).status_code == 200
        return len(queries)

    few = cost()
    for _ in range(50):
        make_group(members=[UserFactory(password=None)])
    assert cost() == few <= 4


@pytest.mark.parametrize("path", ["/admin/accounts/user/", "/admin/rbac/group/", "/admin/accounts/session/"])
def test_an_admin_list_costs_the_same_for_one_row_and_for_fifty(client_for, dana, path):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from tests.factories.rbac import make_group

    client = client_for(dana)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200
        return len(queries)

    cost()
    few = cost()
    for _ in range(45):
        user = UserFactory(password=None)
        make_group(members=[user])
        token_for(user)
    assert cost() <= few + 1


# ----------------------------------------------------------------------------------------------------------- commands
def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_create_admin_makes_or_promotes(monkeypatch, alice):
    monkeypatch.setattr("sys.stdin", io.StringIO("another horse\n"))
    assert "was made" in run("create_admin", "Root@example.org", "--password-stdin")
    root = User.objects.get(email="root@example.org")
    assert root.role == "admin" and root.check_password("another horse") and root.name == "root"
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    run("create_admin", alice.email, "--password-stdin")
    alice.refresh_from_db()
    assert alice.role == "admin" and alice.check_password(PASSWORD)
    monkeypatch.setattr("sys.stdin", io.StringIO("x\n"))
    with pytest.raises(CommandError, match="valid"):
        run("create_admin", "no address", "--password-stdin")


def test_set_role_approves(pending, dana):
    assert "role user" in run("set_role", pending.email.upper(), "user")
    pending.refresh_from_db()
    assert pending.role == "user"
    with pytest.raises(CommandError, match="no account"):
        run("set_role", "ghost@example.org", "user")
    with pytest.raises(CommandError, match="first administrator"):
        run("set_role", dana.email, "user")


def test_setup_makes_the_configured_administrator(boot):
    assert run("setup") == "Nothing to do.\n"
    boot(webui_admin_email="root@example.org", webui_admin_password=PASSWORD)
    assert "root@example.org" in run("setup")
    boot(webui_admin_email="root@example.org", webui_admin_password="")
    assert run("setup") == "Nothing to do.\n"


def test_the_admin_has_no_second_way_out_or_to_a_password(client_for, dana):
    client = client_for(dana)
    assert client.get("/admin/password_change/")["Location"] == "/settings"
    client.post("/admin/logout/")
    assert not Session.objects.filter(user=dana, revoked_at=None).exists()


def test_a_person_who_has_signed_in_can_be_deleted_in_the_admin(client_for, dana, bob):
    token_for(bob)
    client, path = client_for(dana), f"/admin/accounts/user/{bob.pk}/delete/"
    page = client.get(path)
    assert page.status_code == 200 and b"Bob Lindqvist" in page.content and b'name="post"' in page.content
    assert client.post(path, {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=bob.pk).exists()


def test_hashes_cannot_be_asked_out_by_filters(client_for, dana):
    assert client_for(dana).get("/admin/accounts/user/?password__startswith=a").status_code == 400


def test_one_persons_picture_cannot_fill_everybodys_lists(api_for, alice):
    form = {"name": "Alice", "profile_image_url": "data:image/png;base64," + "A" * 600_000}
    assert api_for(alice).post("/api/v1/auths/update/profile", form).status_code == 413


def test_a_session_opened_for_somebody_is_recorded_as_whose_doing_it_was(api_for, dana):
    form = {"name": "New", "email": "new@example.org", "password": "secret-secret"}
    api_for(dana).post("/api/v1/auths/add", form)
    made = User.objects.get(email="new@example.org")
    assert AuditEvent.objects.get(action="user.sign_in", object_id=str(made.pk)).actor_id == dana.pk
