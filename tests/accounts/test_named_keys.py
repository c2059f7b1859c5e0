"""Several keys a person: made, limited, looked after, imported, taken away."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import services, tokens
from accounts.key_limits import KeyLimits
from accounts.models import ApiKey
from owui.audit.models import AuditEvent
from owui.lib.errors import UserError
from tests.conftest import Api

pytestmark = pytest.mark.django_db
ME, KEYS = "/api/v1/auths/", "/api/v1/auths/api_keys"


@pytest.fixture(autouse=True)
def keys_on(set_config):
    set_config("auth_api_key.enable", True)
    set_config("user.permissions", {"features": {"api_keys": True}})


def make(user, name="Report", **limits):
    return services.create_named_key(user, name=name, limits=KeyLimits.checked(**limits))


def test_several_keys_work_side_by_side_and_go_one_by_one(alice, api_for):
    api = api_for(alice)
    classic = api.post(ME + "api_key").json()["api_key"]
    first, second = (api.post(KEYS, {"name": name}).json() for name in ("Report", "Backup"))
    assert first["api_key"].startswith("sk-") and len(first["api_key"]) == 35
    for text in (classic, first["api_key"], second["api_key"]):
        assert Api(text).get(ME).json()["email"] == alice.email
    assert api.delete(f"{KEYS}/{first['id']}").json() is True
    assert Api(first["api_key"]).get(ME).status_code == 401
    assert Api(second["api_key"]).get(ME).status_code == 200
    api.post(ME + "api_key")
    assert Api(classic).get(ME).status_code == 401, "only the classic key is replaced"
    assert Api(second["api_key"]).get(ME).status_code == 200
    assert api.delete(ME + "api_key").json() is True
    assert [key["name"] for key in api.get(KEYS).json()] == ["Backup"]


def test_a_named_key_is_kept_as_hash_only(alice):
    key, text = make(alice)
    assert key.secret == "" and key.digest == tokens.digest(text) and key.last_four == text[-4:]
    assert tokens.stored_api_key(alice) is None


def test_the_list_says_what_a_key_may_and_never_the_key(alice, bob, api_for):
    end = int((timezone.now() + timedelta(days=30)).timestamp())
    body = {"name": "Report", "expires_at": end, "allowed_paths": ["/api/v1/auths"], "allowed_models": ["gpt"],
            "allowed_addresses": ["10.0.0.9/8", "2001:db8::1"]}  # fmt: skip
    made = api_for(alice).post(KEYS, body).json()
    assert made["allowed_addresses"] == ["10.0.0.0/8", "2001:db8::1/128"]
    text = made.pop("api_key")
    listed = api_for(alice).get(KEYS)
    assert listed.json() == [made] and text not in listed.content.decode()
    assert (made["expires_at"], made["last_four"], made["is_classic"]) == (end, text[-4:], False)
    assert api_for(bob).get(KEYS).json() == []
    assert api_for(bob).delete(f"{KEYS}/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"name": "x" * 101},
        {"expires_at": 1},
        {"expires_at": 10**20},
        {"allowed_addresses": ["office"]},
        {"allowed_paths": ["api/models"]},
        {"allowed_paths": ["/api/../models"]},
        {"allowed_models": ["m" * 300]},
    ],
)
def test_what_could_never_work_is_refused_when_it_is_entered(alice, api_for, wrong):
    answer = api_for(alice).post(KEYS, {"name": "Report"} | wrong)
    assert answer.status_code == 400 and answer.json()["detail"]
    assert not ApiKey.objects.exists()


def test_names_are_unique_for_a_person(alice, bob, api_for):
    assert api_for(alice).post(KEYS, {"name": "Report"}).status_code == 200
    assert api_for(alice).post(KEYS, {"name": "Report"}).status_code == 400
    assert api_for(bob).post(KEYS, {"name": "Report"}).status_code == 200


def test_there_is_a_most_number_of_keys(alice, monkeypatch):
    from accounts.services import keys

    monkeypatch.setattr(keys, "MOST_KEYS", 1)
    make(alice, "one")
    with pytest.raises(UserError):
        make(alice, "two")


def test_a_key_ends_at_its_time(alice):
    key, text = make(alice)
    assert Api(text).get(ME).status_code == 200
    opened = tokens.identify({"authorization": f"Bearer {text}"}, {}, ME)
    assert opened is not None
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())
    assert Api(text).get(ME).status_code == 401 and tokens.still_valid(opened) is None


@pytest.mark.parametrize(
    ("allowed", "caller", "status"),
    [
        (["10.1.0.0/16"], "10.1.2.3", 200),
        (["10.1.0.0/16"], "10.2.2.3", 403),
        (["192.0.2.7", "2001:db8::/32"], "2001:db8::5", 200),
        (["192.0.2.7"], "2001:db8::5", 403),
        (["192.0.2.0/24"], "::ffff:192.0.2.9", 200),
        (["0.0.0.0/0"], "somewhere", 403),
    ],
)
def test_a_key_works_only_from_its_addresses(alice, allowed, caller, status):
    _key, text = make(alice, addresses=allowed)
    # The test client stands behind the trusted proxy at 127.0.0.1.
    assert Api(text).get(ME, headers={"x-forwarded-for": caller}).status_code == status


def test_an_address_that_the_caller_wrote_itself_does_not_count(alice):
    _key, text = make(alice, addresses=["10.1.0.0/16"])
    forged = {"x-forwarded-for": "10.1.2.3"}
    assert Api(text).get(ME, headers=forged, REMOTE_ADDR="198.51.100.4").status_code == 403


def test_a_key_opens_only_its_paths_within_those_of_the_instance(alice, set_config):
    _key, text = make(alice, paths=["/api/v1/auths/"])
    assert Api(text).get(ME).status_code == 200
    assert Api(text).get("/api/v1/groups/").status_code == 403
    set_config("auth_api_key.endpoint_restrictions", True)
    set_config("auth_api_key.allowed_endpoints", "/api/v1/groups")
    assert Api(text).get(ME).status_code == 403


def test_changed_limits_hold_at_once_also_for_what_is_open(alice, api_for):
    key, text = make(alice)
    opened = tokens.identify({"authorization": f"Bearer {text}"}, {}, "/ws/chat")
    assert opened is not None and tokens.still_valid(opened) == alice
    changed = api_for(alice).post(f"{KEYS}/{key.pk}", {"name": "Less", "allowed_paths": ["/api/models"]})
    assert changed.json()["name"] == "Less" and Api(text).get(ME).status_code == 403
    assert tokens.still_valid(opened) is None


def test_every_change_is_in_the_audit_log_and_never_the_key(alice, dana):
    key, text = make(alice, models=["gpt"])
    services.update_key(key, name="Other", expires_at=None, limits=KeyLimits())
    services.delete_key(key, by=dana)
    events = list(AuditEvent.objects.filter(action__startswith="api_key.").order_by("pk"))
    assert [event.action for event in events] == ["api_key.create", "api_key.update", "api_key.delete"]
    assert events[0].detail["models"] == ["gpt"] and events[2].detail["name"] == "Other"
    assert all(text not in str(event.detail) and key.digest not in str(event.detail) for event in events)


def test_a_key_of_another_system_goes_on_working(alice, monkeypatch):
    text = "sk-" + "0123456789abcdef" * 2
    monkeypatch.setattr("sys.stdin", io.StringIO(text + "\n"))
    out = io.StringIO()
    call_command("import_api_key", alice.email, name="Old portal", stdout=out)
    assert Api(text).get(ME).json()["email"] == alice.email
    key = ApiKey.objects.get(user=alice)
    assert (key.name, key.secret) == ("Old portal", "") and text not in out.getvalue()
    for wrong in (text, "password"):
        monkeypatch.setattr("sys.stdin", io.StringIO(wrong + "\n"))
        with pytest.raises(CommandError):
            call_command("import_api_key", alice.email, name="Again")
    with pytest.raises(CommandError):
        call_command("import_api_key", "nobody@example.org")


def test_the_page_makes_a_key_shows_it_once_and_deletes_it(client_for, alice):
    client = client_for(alice, htmx=True)
    form = {"name": "Report", "days": "30", "models": "gpt\nllama", "paths": "/api/models", "addresses": "10.0.0.0/8"}
    answer = client.post("/settings/keys", form)
    text, key = answer.context["new_key"], ApiKey.objects.get(user=alice)
    assert text.encode() in answer.content and key.digest == tokens.digest(text)
    assert (key.allowed_models, key.allowed_paths) == (["gpt", "llama"], ["/api/models"])
    assert timedelta(days=29) < key.expires_at - timezone.now() < timedelta(days=31)
    page = client.get("/settings").content.decode()
    assert text not in page and "Report" in page and key.last_four in page
    assert b"Report" not in client.delete(f"/settings/keys/{key.pk}").content
    assert not ApiKey.objects.exists()


def test_the_page_keeps_what_was_entered_wrongly(client_for, alice):
    client = client_for(alice, htmx=True)
    answer = client.post("/settings/keys", {"name": "Report", "days": "", "addresses": "the office"})
    assert answer.status_code == 422 and "the office" in answer.content.decode()
    assert answer.context["key_form"].errors["addresses"] and answer.context["key_form"].has_limits


def test_the_page_tells_of_keys_that_end_soon(client_for, alice):
    key, _text = make(alice)
    client = client_for(alice)
    assert "Make a new one" not in client.get("/settings").content.decode()
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() + timedelta(days=3))
    page = client.get("/settings").content.decode()
    assert "“Report” ends on" in page and "Make a new one" in page


def test_who_may_have_no_keys_any_more_can_still_delete_them(client_for, alice, set_config):
    key, _text = make(alice)
    set_config("auth_api_key.enable", False)
    client = client_for(alice, htmx=True)
    page = client.get("/settings").content.decode()
    assert "switched off for you" in page and "New API key" not in page
    assert client.post("/settings/keys", {"name": "x", "days": "30"}).status_code == 403
    assert client.delete(f"/settings/keys/{key.pk}").status_code == 200
    assert 'id="api-keys"' not in client.get("/settings").content.decode()


def test_administrators_find_keys_by_state_and_delete_them(client_for, alice, dana):
    endless, _ = make(alice, "Endless")
    ending, _ = make(alice, "Ending", models=["gpt"])
    ApiKey.objects.filter(pk=ending.pk).update(expires_at=timezone.now() + timedelta(days=3))
    old, _ = make(alice, "Old")
    ApiKey.objects.filter(pk=old.pk).update(expires_at=timezone.now(), created_at=timezone.now() - timedelta(days=100))
    client, path = client_for(dana), "/admin/accounts/apikey/"
    for state, names in {
        "ending": {"Ending"}, "ended": {"Old"}, "endless": {"Endless"}, "unused": {"Old"},
        "unlimited": {"Endless", "Old"},
    }.items():  # fmt: skip
        found = client.get(path, {"state": state}).context["cl"].result_list
        assert {key.name for key in found} == names, state
    page = client.get(f"{path}{ending.pk}/change/").content.decode()
    assert ending.digest not in page
    assert client.get(path, {"digest__startswith": "a"}).status_code == 400
    client.post(path, {"action": "revoke", "_selected_action": [str(ending.pk)]})
    assert not ApiKey.objects.filter(pk=ending.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_the_key_that_each_person_had_survives_the_change_of_the_table(alice, bob):
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    text = services.create_api_key(alice)
    make(bob, "Named")
    before, now = [("accounts", "0006_directory")], MigrationExecutor(connection).loader.graph.leaf_nodes()
    try:
        MigrationExecutor(connection).migrate(before)
        with connection.cursor() as cursor:
            cursor.execute("SELECT user_id, digest FROM accounts_apikey")
            assert cursor.fetchall() == [(alice.pk, tokens.digest(text))]
    finally:
        MigrationExecutor(connection).migrate(now)
    assert tokens.stored_api_key(alice) == text and Api(text).get(ME).status_code == 200
    assert ApiKey.objects.get().is_classic and ApiKey.objects.get().name
