"""The shapes and codes of what administrators set by REST: people, settings, whom to write to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import OAuthSession, User
from owui.audit.models import AuditEvent
from owui.config.registry import all_settings
from owui.lib.masks import MASK
from tests.conftest import token_for
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db
U, C, A = "/api/v1/users", "/api/v1/configs", "/api/v1/auths/admin"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


# -------------------------------------------------------------------------------------------------------------- people
def test_pickers_show_people_one_may_share_with_and_no_more(api_for, alice, bob, dana, pending, set_config):
    User.objects.filter(email="mallory@example.org").update(is_active=False)
    body = api_for(alice).get(f"{U}/search").json()
    assert body["total"] == 4 and {u["name"] for u in body["users"]} == {u.name for u in (alice, bob, dana)} | {
        "Carol Osei"
    }
    assert set(body["users"][0]) == {"id", "name", "email", "profile_image_url"}
    assert "role" in api_for(dana).get(f"{U}/search?query=bob").json()["users"][0]
    set_config("user.permissions", {"access_grants": {"allow_users": False}})
    assert api_for(alice).get(f"{U}/search").json() == {"users": [], "total": 0}


def test_one_person_is_shown_by_who_asks(api_for, alice, bob, dana, set_config):
    path = f"{U}/{bob.pk}/info"
    assert set(api_for(alice).get(path).json()) == {"id", "name", "profile_image_url", "email"}
    assert api_for(dana).get(path).json()["role"] == "user"
    set_config("user.permissions", {"access_grants": {"allow_users": False}})
    assert "email" not in api_for(alice).get(path).json()
    assert api_for(bob).get(path).json()["email"] == bob.email
    assert api_for(alice).get(f"{U}/nonsense/info").status_code == 404


def test_a_person_comes_with_groups_and_presence(api_for, dana, bob):
    make_group("below", parent=make_group("above"), members=[bob])
    User.objects.filter(pk=bob.pk).update(last_active_at=timezone.now())
    body = api_for(dana).get(f"{U}/{bob.pk}").json()
    assert [g["name"] for g in body["groups"]] == ["above", "below"]
    assert body["is_active"] is True and body["email"] == bob.email
    assert api_for(dana).get(f"{U}/00000000-0000-4000-8000-000000000000").status_code == 404


def test_presence_is_shown_unless_it_is_switched_off(api_for, alice, bob, dana, set_config):
    path = f"{U}/{bob.pk}/active"
    assert api_for(alice).get(path).json() == {"active": False}
    User.objects.filter(pk=bob.pk).update(last_active_at=timezone.now())
    assert api_for(alice).get(path).json() == {"active": True}
    User.objects.filter(pk=bob.pk).update(last_active_at=timezone.now() - timedelta(minutes=4))
    assert api_for(alice).get(path).json() == {"active": False}
    User.objects.filter(pk=bob.pk).update(last_active_at=timezone.now())
    set_config("ui.enable_user_status", False)
    assert api_for(alice).get(path).json() == {"active": False}
    assert api_for(dana).get(path).json() == {"active": True}


def test_pictures_are_given_out_as_what_they_are(api_for, alice, bob):
    path = f"{U}/{bob.pk}/profile/image"
    assert api_for(alice).get(path)["Location"].endswith("logo.svg"), "nobody has chosen one"
    User.objects.filter(pk=bob.pk).update(profile_image_url=f"data:image/png;base64,{PIXEL}")
    answer = api_for(alice).get(path)
    assert answer["Content-Type"] == "image/png" and answer["X-Content-Type-Options"] == "nosniff"
    for elsewhere in ("https://evil.example/x.png", "//evil.example", "data:image/svg+xml;base64,PHN2Zy8+"):
        User.objects.filter(pk=bob.pk).update(profile_image_url=elsewhere)
        assert api_for(alice).get(path)["Location"].endswith("logo.svg")


def test_sessions_of_a_provider_are_listed_without_their_tokens(api_for, dana, alice, bob):
    path = f"{U}/{bob.pk}/oauth/sessions"
    assert api_for(dana).get(path).json() == []
    row = OAuthSession.objects.create(user=bob, provider="oidc", tokens="sealed")
    (shown,) = api_for(dana).get(path).json()
    assert shown.pop("created_at") and shown.pop("updated_at")
    assert shown == {"id": str(row.pk), "user_id": str(bob.pk), "provider": "oidc", "expires_at": None}
    assert api_for(alice).get(path).status_code == 401


def test_all_sessions_of_a_person_are_ended_at_once(api_for, dana, bob):
    token = token_for(bob)
    assert api_for(dana).post(f"{U}/{bob.pk}/sessions/revoke").json() is True
    assert api_for().get("/api/v1/auths/", headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_people_keep_a_free_object_about_themselves(api_for, bob):
    api = api_for(bob)
    assert api.get(f"{U}/user/info").json() == {}
    api.post(f"{U}/user/info/update", {"place": "Basel"})
    assert api.post(f"{U}/user/info/update", {"floor": 3}).json() == {"place": "Basel", "floor": 3}
    assert api.post(f"{U}/user/info/update", {"x": "y" * 100_001}).status_code == 413
    assert api.get(f"{U}/user/info").json() == {"place": "Basel", "floor": 3}


def test_what_is_stored_of_settings_has_one_limit_however_it_came_together(api_for, alice):
    api = api_for(alice)
    assert api.post(f"{U}/user/settings/update", {"a": "x" * 600_000}).status_code == 200
    assert api.post(f"{U}/user/settings/update", {"b": "x" * 600_000}).status_code == 413
    alice.refresh_from_db()
    assert set(alice.settings) == {"a"}
    assert api.post(f"{U}/user/settings/update", {"a": "", "b": "x" * 600_000}).status_code == 200


def test_an_empty_interface_takes_away_what_was_set_and_leaves_the_rest(api_for, alice, set_config):
    api = api_for(alice)
    api.post(f"{U}/user/settings/update", {"ui": {"widescreenMode": True}, "own": 1})
    assert api.post(f"{U}/user/settings/update", {"own": 2}).json() == {"ui": {"widescreenMode": True}, "own": 2}
    assert api.post(f"{U}/user/settings/update", {"ui": {}}).json() == {"own": 2}
    assert api.get(f"{U}/user/settings").json() == {"ui": {}, "own": 2}
    api.post(f"{U}/user/settings/update", {"ui": {"widescreenMode": True, "models": ["m"]}})
    set_config("user.permissions", {"settings": {"interface": False}})
    assert api.post(f"{U}/user/settings/update", {"ui": {}}).json()["ui"] == {"widescreenMode": True}


# ------------------------------------------------------------------------------------------------------ admin settings
def test_the_admin_page_comes_back_whole(api_for, dana):
    api = api_for(dana)
    before = api.get(f"{A}/config").json()
    assert {"ENABLE_SIGNUP", "DEFAULT_USER_ROLE", "JWT_EXPIRES_IN", "ENABLE_API_KEYS", "SHOW_ADMIN_DETAILS"} <= set(
        before
    )
    changed = before | {"DEFAULT_USER_ROLE": "user", "ENABLE_NOTES": False, "ADMIN_EMAIL": None, "OF_ANOTHER": 1}
    assert api.post(f"{A}/config", changed).json() == before | {
        "DEFAULT_USER_ROLE": "user",
        "ENABLE_NOTES": False,
        "ADMIN_EMAIL": "",
    }
    assert api.post(f"{A}/config", {"ENABLE_API_KEY": True}).json()["ENABLE_API_KEYS"] is True


def test_every_problem_of_the_admin_page_is_said_and_nothing_is_stored(api_for, dana):
    api = api_for(dana)
    before = api.get(f"{A}/config").json()
    bad = {"DEFAULT_USER_ROLE": "emperor", "JWT_EXPIRES_IN": "soon", "DEFAULT_GROUP_ID": "x", "ENABLE_NOTES": False}
    answer = api.post(f"{A}/config", bad)
    assert answer.status_code == 400
    assert all(name in answer.json()["detail"] for name in bad if name != "ENABLE_NOTES")
    assert api.post(f"{A}/config", {"ENABLE_SIGNUP": "maybe"}).status_code == 400
    assert api.get(f"{A}/config").json() == before


def test_people_who_wait_learn_whom_to_write_to(api_for, pending, dana, set_config):
    assert api_for(pending).get(f"{A}/details").json() == {"name": dana.name, "email": dana.email}
    set_config("ui.admin_email", "help@example.org")
    assert api_for(pending).get(f"{A}/details").json()["email"] == "help@example.org"
    set_config("ui.show_admin_details", False)
    answer = api_for(pending).get(f"{A}/details")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "The requested action has been restricted as a security measure."


# ------------------------------------------------------------------------------------------------------------- configs
def test_an_export_is_recorded_and_holds_no_secret(api_for, dana, set_config):
    for setting in all_settings():
        if setting.secret and setting.stored:
            value = "very-secret" if setting.annotation is str else None
            if value:
                set_config(setting.key, value)
    text = api_for(dana).get(f"{C}/export").content.decode()
    assert "very-secret" not in text
    assert AuditEvent.objects.filter(action="config.exported", actor_id=dana.pk).count() == 1


def test_an_import_changes_all_or_nothing_and_names_every_problem(api_for, dana):
    api = api_for(dana)
    bad = {"auth.enable_signup": "perhaps", "ui.enable_notes": False, "chat.max_running_turns": -1}
    answer = api.post(f"{C}/import", {"config": bad})
    detail = answer.json()["detail"]
    assert answer.status_code == 400 and "auth.enable_signup" in detail and "chat.max_running_turns" in detail
    assert api.get(f"{C}/namespace/ui").json()["ui.enable_notes"] is True
    assert api.post(f"{C}/import", {"config": [1]}).status_code == 422


def test_an_import_understands_the_nested_form_of_older_releases(api_for, dana):
    nested = {"version": 0, "ui": {"enable_notes": False, "of": {"another": 1}}, "auth": {"enable_signup": False}}
    body = api_for(dana).post(f"{C}/import", {"config": nested}).json()
    assert body["ui.enable_notes"] is False and body["auth.enable_signup"] is False


def test_an_export_imports_without_a_change(api_for, dana):
    api = api_for(dana)
    exported = api.get(f"{C}/export").json()
    assert api.post(f"{C}/import", {"config": exported}).json() == exported


@pytest.mark.parametrize(
    ("page", "change"),
    [
        ("connections", {"ENABLE_DIRECT_CONNECTIONS": True, "ENABLE_BASE_MODELS_CACHE": True}),
        ("code_execution", {"CODE_EXECUTION_ENGINE": "jupyter", "CODE_EXECUTION_JUPYTER_TIMEOUT": 30}),
        (
            "subagents",
            {"ENABLE_SUBAGENTS": True, "SUBAGENTS_MAX_ITERATIONS": 5, "SUBAGENTS_SYSTEM_PROMPT": "Be brief."},
        ),
        (
            "models",
            {"DEFAULT_MODEL_METADATA": {"capabilities": {"vision": False}}, "DEFAULT_MODEL_PARAMS": {"seed": 1}},
        ),
    ],
)
def test_pages_of_settings_come_back_as_they_were_sent(api_for, dana, alice, page, change):
    api = api_for(dana)
    before = api.get(f"{C}/{page}").json()
    assert api.post(f"{C}/{page}", before | change).json() == before | change
    assert api.get(f"{C}/{page}").json() == before | change
    assert api_for(alice).get(f"{C}/{page}").status_code == 401


def test_a_secret_of_a_page_is_masked_and_stays_when_the_mask_comes_back(api_for, dana):
    from owui.config.sections import CodeExecutionConfig

    api = api_for(dana)
    shown = api.post(f"{C}/code_execution", {"CODE_EXECUTION_JUPYTER_AUTH_TOKEN": "sk-jupyter"}).json()
    assert shown["CODE_EXECUTION_JUPYTER_AUTH_TOKEN"] == MASK
    api.post(f"{C}/code_execution", shown)
    assert CodeExecutionConfig.load().jupyter_auth_token == "sk-jupyter"
    assert api.post(f"{C}/code_execution", {"CODE_EXECUTION_JUPYTER_AUTH_TOKEN": ""}).status_code == 200
    assert CodeExecutionConfig.load().jupyter_auth_token == ""
    assert "sk-jupyter" not in str(list(AuditEvent.objects.values_list("detail", flat=True)))


def test_a_secret_does_not_follow_its_address_to_another_server(api_for, dana):
    from owui.config.sections import CodeExecutionConfig

    api = api_for(dana)
    page = f"{C}/code_execution"
    first = {"CODE_EXECUTION_JUPYTER_URL": "http://jupyter:8888", "CODE_EXECUTION_JUPYTER_AUTH_TOKEN": "sk-jupyter"}
    shown = api.post(page, first).json()
    for sent in ({}, shown):
        answer = api.post(page, sent | {"CODE_EXECUTION_JUPYTER_URL": "http://elsewhere.example"})
        assert answer.status_code == 400 and "jupyter_auth_token again" in answer.json()["detail"]
    answer = api.post(f"{C}/import", {"config": {"code_execution": {"jupyter_url": "http://elsewhere.example"}}})
    assert answer.status_code == 400
    assert CodeExecutionConfig.load().jupyter_url == "http://jupyter:8888"
    assert api.post(page, shown | {"CODE_EXECUTION_JUPYTER_URL": "http://jupyter:8888/lab"}).status_code == 200
    assert CodeExecutionConfig.load().jupyter_auth_token == "sk-jupyter"
    moved = {"CODE_EXECUTION_JUPYTER_URL": "http://other:1", "CODE_EXECUTION_JUPYTER_AUTH_TOKEN": "sk-other"}
    assert api.post(page, moved).status_code == 200


def test_keys_of_model_servers_do_not_follow_an_imported_address(api_for, dana, set_config):
    from inference.config import OpenAIConfig

    set_config("openai.api_base_urls", ["http://a/v1"])
    set_config("openai.api_keys", ["sk-a"])
    api = api_for(dana)
    answer = api.post(f"{C}/import", {"config": {"openai.api_base_urls": ["http://elsewhere/v1"]}})
    assert answer.status_code == 400 and "openai.api_keys again" in answer.json()["detail"]
    added = {"openai.api_base_urls": ["http://a/v1", "http://b/v1"], "openai.api_keys": [MASK]}
    assert api.post(f"{C}/import", {"config": added}).status_code == 200
    assert OpenAIConfig.load().api_keys == ["sk-a"], "a mask is not stored as a key"
    answer = api.post(f"{C}/import", {"config": {"openai.api_base_urls": ["http://svc:pw@a/v1"]}})
    assert answer.status_code == 400 and "name or password" in answer.json()["detail"]


def test_wrong_values_of_a_page_are_400_and_leave_all_as_it_was(api_for, dana):
    api = api_for(dana)
    bad = {"CODE_EXECUTION_JUPYTER_TIMEOUT": 0, "ENABLE_CODE_EXECUTION": False, "CODE_EXECUTION_ENGINE": 5}
    answer = api.post(f"{C}/code_execution", bad)
    assert answer.status_code == 400
    assert "jupyter_timeout" in answer.json()["detail"] and "code_execution.engine" in answer.json()["detail"]
    assert api.get(f"{C}/code_execution").json()["ENABLE_CODE_EXECUTION"] is True
