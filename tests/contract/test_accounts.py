"""The shapes that the field's clients rely on: sign-in, own session, people, groups, permissions, settings."""

from __future__ import annotations

import pytest

from rbac.permissions import PERMISSIONS
from tests.factories.accounts import PASSWORD
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db
SESSION = {"token", "token_type", "expires_at", "id", "email", "name", "role", "profile_image_url", "permissions"}
USER = {"id", "email", "name", "role", "profile_image_url", "last_active_at", "created_at", "updated_at", "settings"}
GROUP = {
    "id", "user_id", "name", "description", "parent_group_id", "permissions", "data", "meta", "created_at",
    "updated_at", "member_count",
}  # fmt: skip


def test_sign_in_answers_a_session(api_for, alice):
    answer = api_for().post("/api/v1/auths/signin", {"email": alice.email, "password": PASSWORD})
    body = answer.json()
    assert set(body) == SESSION and body["token_type"] == "Bearer" and body["id"] == str(alice.pk)
    assert isinstance(body["expires_at"], int)
    permissions = body["permissions"]
    assert permissions["chat"]["delete"] is True and permissions["chat.delete"] is True, "nested and flat"
    assert set(PERMISSIONS) <= set(permissions)
    assert answer.cookies["token"].value == body["token"]


def test_the_own_session_repeats_the_token(api_for, alice):
    api = api_for(alice)
    body = api.get("/api/v1/auths/").json()
    assert SESSION | {"bio"} <= set(body) and body["email"] == alice.email
    assert body["token"].count(".") == 2


def test_errors_carry_the_texts_clients_match_on(api_for, alice, pending):
    assert api_for().get("/api/v1/auths/").json() == {"detail": "Not authenticated"}
    for user in (alice, pending):
        detail = api_for(user).get("/api/v1/users/").json()["detail"]
        assert detail.startswith("You do not have permission to access this resource")


def test_a_bad_body_names_the_field_and_repeats_nothing(api_for):
    answer = api_for().post("/api/v1/auths/signin", {"password": "my secret"})
    assert answer.status_code == 422 and "email" in answer.json()["detail"][0]["loc"]
    assert "my secret" not in answer.content.decode()


def test_unknown_fields_are_ignored(api_for, alice):
    body = {"email": alice.email, "password": PASSWORD, "remember": True}
    assert api_for().post("/api/v1/auths/signin", body).status_code == 200


def test_people_come_in_pages_of_thirty(api_for, dana):
    body = api_for(dana).get("/api/v1/users/").json()
    assert set(body) == {"users", "total"} and body["total"] == 6
    assert set(body["users"][0]) >= USER | {"group_ids"}
    assert api_for(dana).get("/api/v1/users/?page=2").json()["users"] == []
    found = api_for(dana).get("/api/v1/users/?query=bob").json()
    assert [u["name"] for u in found["users"]] == ["Bob Lindqvist"]


def test_added_people_get_a_token(api_for, dana):
    new = {"name": "New", "email": "new@example.org", "password": PASSWORD, "role": "user"}
    body = api_for(dana).post("/api/v1/auths/add", new).json()
    assert body["role"] == "user" and body["token"]


def test_a_group_has_its_shape(api_for, dana, bob):
    api = api_for(dana)
    body = api.post("/api/v1/groups/create", {"name": "Safety", "description": "x"}).json()
    assert set(body) == GROUP and body["user_id"] == str(dana.pk) and body["member_count"] == 0
    path = f"/api/v1/groups/id/{body['id']}"
    assert api.post(f"{path}/users/add", {"user_ids": [str(bob.pk)]}).json()["member_count"] == 1
    assert [u["email"] for u in api.post(f"{path}/users").json()] == [bob.email]
    assert set(api_for(bob).get(f"{path}/info").json()) == {"id", "name", "description", "member_count"}
    assert api.post(f"{path}/users/remove", {"user_ids": [str(bob.pk)]}).json()["member_count"] == 0
    assert api.delete(f"{path}/delete").json() is True
    assert api.get(path).status_code == 404 and api.get("/api/v1/groups/id/nonsense").status_code == 404


def test_group_errors_have_their_codes(api_for, dana):
    top = make_group("top")
    below = make_group("below", parent=top)
    path = f"/api/v1/groups/id/{top.pk}/update"
    api = api_for(dana)
    assert api.post(path, {"parent_group_id": str(below.pk)}).status_code == 400
    assert api.post(path, {"parent_group_id": "00000000-0000-4000-8000-000000000000"}).status_code == 404
    assert api.post("/api/v1/groups/create", {"name": "top"}).status_code == 400


def test_default_permissions_are_stored_and_given_back_whole(api_for, dana, bob):
    api = api_for(dana)
    before = api.get("/api/v1/users/default/permissions").json()
    assert set(before) == {"workspace", "sharing", "access_grants", "chat", "features", "settings"}
    before["chat"]["delete"] = False
    assert api.post("/api/v1/users/default/permissions", before).json() == before
    assert api_for(bob).get("/api/v1/users/permissions").json()["chat"]["delete"] is False
    assert api.get("/api/v1/users/default/permissions/defaults").json()["chat"]["delete"] is True


def test_settings_go_out_without_secrets_and_come_back(api_for, dana, set_config):
    set_config("ui.webhook_url", "https://hooks.example.org/secret")
    api = api_for(dana)
    exported = api.get("/api/v1/configs/export").json()
    assert "ui.webhook_url" not in exported and exported["auth.enable_signup"] is True
    changed = {"config": {"auth.enable_signup": False, "of.another.release": 1}}
    assert api.post("/api/v1/configs/import", changed).json()["auth.enable_signup"] is False
    assert api.post("/api/v1/configs/import", {"config": {"auth.enable_signup": "perhaps"}}).status_code == 400
    assert "auth.jwt_expires_in" in api.get("/api/v1/configs/namespace/auth").json()
    assert api.get("/api/v1/configs/namespace/nothing").status_code == 404


def test_banners_and_models_have_their_shapes(api_for, dana, bob):
    banners = [{"id": "1", "type": "info", "content": "Maintenance"}]
    api = api_for(dana)
    assert api.post("/api/v1/configs/banners", {"banners": banners}).json() == banners
    assert api_for(bob).get("/api/v1/configs/banners").json() == banners
    body = {"DEFAULT_MODELS": "a, b", "MODEL_ORDER_LIST": ["b", "a"]}
    assert api.post("/api/v1/configs/models", body).json() == {
        "DEFAULT_MODELS": "a,b",
        "DEFAULT_PINNED_MODELS": "",
        "MODEL_ORDER_LIST": ["b", "a"],
        "DEFAULT_MODEL_METADATA": {},
        "DEFAULT_MODEL_PARAMS": {},
    }


def test_the_public_config_tells_what_a_client_needs(api_for, db):
    first = api_for().get("/api/config").json()
    assert first["onboarding"] is True and first["features"]["enable_signup"] is True and "permissions" not in first
    from tests.factories.accounts import UserFactory

    body = api_for(UserFactory()).get("/api/config").json()
    assert "onboarding" not in body and body["permissions"]["chat"]["delete"] is True
    features = body["features"]
    assert features["enable_message_rating"] and features["enable_title_generation"] and features["enable_folders"]
    assert features["enable_channels"] is False and features["enable_web_search"] is False
    assert body["audio"]["stt"] == {"engine": ""} and body["file"]["image_compression"] == {
        "width": None,
        "height": None,
    }
    assert body["default_models"] == "" and body["default_prompt_suggestions"][0]["content"]
    assert {"default_interface_settings", "visibility", "response_watermark", "iframe_csp"} <= set(body["ui"])
    waiting = api_for(UserFactory(role="pending")).get("/api/config").json()
    assert set(waiting["ui"]) == {"pending_user_overlay_title", "pending_user_overlay_content"}
    assert "permissions" not in waiting and "enable_folders" not in waiting["features"] and "ui" not in first
    assert api_for().get("/api/config", headers={"authorization": "Bearer x.y.z"}).status_code == 401
