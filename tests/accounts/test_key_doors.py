"""What a key does not open: other paths however they are written, and what only people may do."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from accounts import services
from accounts.key_limits import KeyLimits, covers
from accounts.models import User
from tests.access.test_sockets import HOST, UNAUTHORISED, knock
from tests.conftest import Api, token_for

ME = "/api/v1/auths/"


@pytest.fixture
def keys_on(set_config):
    set_config("auth_api_key.enable", True)
    set_config("user.permissions", {"features": {"api_keys": True}})


@pytest.mark.parametrize(
    ("path", "is_below"),
    [
        ("/api/models", True),
        ("/api/models/", True),
        ("/api/models/gpt%20large", True),
        ("/api/models/caf%C3%A9", True),
        ("/api/modelsx", False),
        ("/API/models", False),
        ("/api/%6dodels", False),
        ("/api/models/../users", False),
        ("/api/models/%2e%2e/users", False),
        ("/api/models/%2E./users", False),
        ("/api/models%2f..%2fusers", False),
        ("/api/models/..%5cusers", False),
        ("/api/models/\\..\\users", False),
        ("/api/models/%252e%252e/users", False),
        ("/api/models//users", False),
        ("//api/models", False),
        ("/api/./models", False),
        ("/api", False),
        ("/", False),
        ("", False),
    ],
)
def test_a_path_is_below_an_entry_only_as_it_is_written(path, is_below):
    assert covers(["/api/models"], path) is is_below
    assert covers(["/other", "/api/models/"], path) is is_below


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("raw", "status"), [(b"/api/v1/auths/", 200), (b"/api/v1/%61uths/", 403)])
async def test_the_path_counts_as_it_came_over_the_wire(keys_on, alice, raw, status):
    """Django would show both as the same path."""
    from asgiref.sync import sync_to_async

    from owui.asgi import application

    make = sync_to_async(services.create_named_key)
    _key, text = await make(alice, name="Me", limits=KeyLimits(paths=("/api/v1/auths",)))
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "path": ME, "raw_path": raw, "query_string": b"", "scheme": "http",
        "headers": [HOST, (b"authorization", b"Bearer " + text.encode())],
        "client": ("127.0.0.1", 1), "http_version": "1.1", "server": ("testserver", 80),
    }  # fmt: skip
    asked = ApplicationCommunicator(application, scope)
    await asked.send_input({"type": "http.request", "body": b""})
    assert (await asked.receive_output(10))["status"] == status
    await asked.receive_output(5)
    await asked.wait(5)


@pytest.mark.django_db(transaction=True)
async def test_limits_hold_for_sockets_too(keys_on, alice):
    from asgiref.sync import sync_to_async

    make = sync_to_async(services.create_named_key)
    _key, everything = await make(alice, name="All")
    _key, elsewhere = await make(alice, name="Elsewhere", limits=KeyLimits(paths=("/api/models",)))
    _key, abroad = await make(alice, name="Abroad", limits=KeyLimits(addresses=("198.51.100.0/24",)))
    codes = [await knock("/ws/chat", (b"authorization", b"Bearer " + text.encode())) for text in
             (everything, elsewhere, abroad)]  # fmt: skip
    assert codes == [0, UNAUTHORISED, UNAUTHORISED]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", f"{ME}api_key", {}),
        ("get", f"{ME}api_key", None),
        ("delete", f"{ME}api_key", None),
        ("get", f"{ME}api_keys", None),
        ("post", f"{ME}api_keys", {"name": "Another"}),
        ("post", f"{ME}update/password", {"password": "x", "new_password": "y"}),
    ],
)
def test_what_only_people_may_do_is_refused_to_keys(keys_on, alice, method, path, body):
    api = Api(services.create_api_key(alice))
    answer = getattr(api, method)(path, body) if body is not None else getattr(api, method)(path)
    assert answer.status_code == 403 and "API key" in answer.json()["detail"]


@pytest.mark.django_db
def test_pages_about_keys_and_passwords_are_shut_for_keys(keys_on, alice, dana):
    headers = {"authorization": f"Bearer {services.create_api_key(alice)}"}
    client = Api()
    assert client.get("/settings", headers=headers).status_code == 200
    for path in ("/settings/keys", "/settings/password", "/settings/app", "/settings/confirm", "/settings/passkeys"):
        assert client.post(path, {"name": "x"}, multipart=True, headers=headers).status_code == 403
    admins = {"authorization": f"Bearer {services.create_api_key(dana)}"}
    assert client.get("/admin/accounts/user/", headers=admins).status_code == 302
    assert (
        client.get("/admin/accounts/user/", headers={"authorization": f"Bearer {token_for(dana)}"}).status_code == 200
    )


@pytest.mark.django_db
def test_a_key_makes_accounts_but_gets_no_session_of_theirs(keys_on, dana, api_for):
    new = {"name": "New", "email": "new@example.org", "password": "correct horse", "role": "admin"}
    made = Api(services.create_api_key(dana)).post(f"{ME}add", new)
    assert made.status_code == 200 and made.json()["token"] == ""
    assert not User.objects.get(email="new@example.org").sessions.exists()
    assert api_for(dana).post(f"{ME}add", new | {"email": "other@example.org"}).json()["token"]
