"""Keys for programs: made, used, limited, taken away."""

from __future__ import annotations

import pytest

from accounts import services, tokens
from accounts.models import ApiKey
from tests.conftest import Api
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db
ME = "/api/v1/auths/"


@pytest.fixture
def keys_on(set_config):
    set_config("auth_api_key.enable", True)
    set_config("user.permissions", {"features": {"api_keys": True}})


@pytest.fixture
def key(keys_on, alice) -> str:
    return services.create_api_key(alice)


def test_a_key_works_as_bearer_and_in_its_own_header(key, alice):
    assert key.startswith("sk-") and len(key) == 35
    assert Api(key).get(ME).json()["email"] == alice.email
    assert Api().get(ME, headers={"x-api-key": key}).json()["email"] == alice.email


def test_the_key_is_stored_as_hash_and_encrypted_never_in_clear(key, alice):
    row = ApiKey.objects.get(user=alice)
    assert key not in row.secret and key not in row.digest and row.last_four == key[-4:]


def test_rest_creates_shows_and_deletes(api_for, keys_on, alice):
    api = api_for(alice)
    path = ME + "api_key"
    assert api.get(path).status_code == 404
    made = api.post(path).json()["api_key"]
    assert api.get(path).json() == {"api_key": made}
    replaced = api.post(path).json()["api_key"]
    assert Api(made).get(ME).status_code == 401 and Api(replaced).get(ME).status_code == 200
    assert api.delete(path).json() is True
    assert Api(replaced).get(ME).status_code == 401


def test_an_unknown_key_is_refused(key):
    assert Api("sk-" + "0" * 32).get(ME).status_code == 401


def test_the_global_switch_holds_for_making_and_for_use_also_for_administrators(key, api_for, alice, dana, set_config):
    theirs = services.create_api_key(dana)
    set_config("auth_api_key.enable", False)
    for used in (key, theirs):
        answer = Api(used).get(ME)
        assert answer.status_code == 403 and "API key" in answer.json()["detail"]
    assert api_for(dana).post(ME + "api_key").status_code == 403


def test_the_permission_is_asked_at_each_use(key, alice, dana, set_config, api_for):
    set_config("user.permissions", {"features": {"api_keys": False}})
    assert Api(key).get(ME).status_code == 403
    assert api_for(alice).post(ME + "api_key").status_code == 403
    make_group(members=[alice], permissions={"features": {"api_keys": True}})
    assert Api(key).get(ME).status_code == 200


@pytest.mark.parametrize(
    ("allowed", "path", "status"),
    [
        ("/api/v1/auths", ME, 200),
        ("/api/v1/groups, /api/v1/auths/", ME, 200),
        ("/api/v1/auth", ME, 403),
        ("/api/v1/groups", ME, 403),
        ("", ME, 403),
    ],
)
def test_keys_can_be_limited_to_paths(key, set_config, allowed, path, status):
    set_config("auth_api_key.endpoint_restrictions", True)
    set_config("auth_api_key.allowed_endpoints", allowed)
    assert Api(key).get(path).status_code == status


def test_pending_and_inactive_people_cannot_use_their_key(key, alice, dana):
    services.update_user(alice, by=dana, role="pending")
    assert Api(key).get(ME).status_code == 403
    services.update_user(alice, by=dana, role="user", is_active=False)
    assert Api(key).get(ME).status_code == 401


def test_the_time_of_the_last_use_is_kept(key, alice):
    Api(key).get(ME)
    assert ApiKey.objects.get(user=alice).last_used_at is not None


def test_a_second_use_within_the_interval_writes_nothing(key, alice, django_assert_num_queries):
    Api(key).get(ME)
    before = ApiKey.objects.get(user=alice)
    Api(key).get(ME, headers={"x-forwarded-for": "192.0.2.9"})
    after = ApiKey.objects.get(user=alice)
    assert (after.last_used_at, after.last_used_ip) == (before.last_used_at, before.last_used_ip)
    assert before.last_used_ip == "127.0.0.1"


def test_a_key_that_is_no_key_at_all_is_refused_as_unknown(key):
    for text in ("sk-", "sk-\u00fc", key.upper(), key + "0", "sk-" + "a" * 5000):
        assert Api().get(ME, headers={"x-api-key": text}).status_code == 401


def test_what_a_key_opened_ends_with_the_key(key, alice):
    opened = tokens.identify({"authorization": f"Bearer {key}"}, {}, "/ws/chat")
    assert opened is not None and tokens.still_valid(opened) == alice
    services.create_api_key(alice)
    assert tokens.still_valid(opened) is None
