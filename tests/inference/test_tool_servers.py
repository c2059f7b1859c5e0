"""Tool servers and terminals: administrators connect them, people use those they are granted, keys stay inside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.models import ServerConnection, TerminalServer, ToolServer
from inference.tool_servers import entries_json, options_of, parse_entries, replace_connections, take_over
from owui.audit.models import AuditEvent
from owui.lib.errors import UserError
from owui.lib.masks import MASK
from rbac.grants import Grant, grants_of
from rbac.services import set_grants
from tests.factories.accounts import a_system_admin
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db
TOOLS, TERMINALS = "/api/v1/configs/tool_servers", "/api/v1/configs/terminal_servers"
ENTRY: dict[str, Any] = {
    "type": "openapi",
    "url": "http://tools.internal:8000",
    "path": "openapi.json",
    "auth_type": "bearer",
    "key": "sk-very-secret",
    "headers": {"X-Api-Key": "also-secret", "X-User": "{{USER_EMAIL}}"},
    "info": {"id": "lab", "name": "Laboratory", "description": "Samples and results"},
    "config": {"enable": True, "function_name_filter_list": "a,!b"},
}


def granted(*principals: Any) -> dict[str, Any]:
    """The entry with read grants."""
    grants = [{"principal_type": kind, "principal_id": str(pk), "permission": "read"} for kind, pk in principals]
    return {**ENTRY, "config": {**ENTRY["config"], "access_grants": grants}}


def save(api: Any, *entries: Any, path: str = TOOLS) -> Any:
    name = "TOOL_SERVER_CONNECTIONS" if path == TOOLS else "TERMINAL_SERVER_CONNECTIONS"
    return api.post(path, {name: list(entries)})


def test_an_entry_comes_back_as_it_went_in_but_for_its_secrets(api_for, dana):
    api = api_for(dana)
    assert save(api, ENTRY).status_code == 200
    (found,) = api.get(TOOLS).json()["TOOL_SERVER_CONNECTIONS"]
    assert found == ENTRY | {
        "key": MASK,
        "headers": {"X-Api-Key": MASK, "X-User": "{{USER_EMAIL}}"},
        "config": {**ENTRY["config"], "access_grants": []},
    }


def test_secrets_are_neither_stored_nor_logged_in_clear(api_for, dana):
    save(api_for(dana), ENTRY)
    row = ToolServer.objects.get()
    assert options_of(row)["key"] == "sk-very-secret"
    everything = [str(v) for v in vars(row).values()] + [str(e.detail) for e in AuditEvent.objects.all()]
    assert not any("secret" in text for text in everything)


def test_a_mask_that_is_sent_back_keeps_the_key(api_for, dana):
    api = api_for(dana)
    save(api, ENTRY)
    (found,) = api.get(TOOLS).json()["TOOL_SERVER_CONNECTIONS"]
    found["info"]["name"] = "Lab"
    assert save(api, found).status_code == 200
    options = options_of(ToolServer.objects.get(name="Lab"))
    assert (options["key"], options["headers"]["X-Api-Key"]) == ("sk-very-secret", "also-secret")
    save(api, found | {"key": ""})
    assert options_of(ToolServer.objects.get())["key"] == ""


def test_a_key_does_not_follow_its_entry_to_another_server(api_for, dana):
    api = api_for(dana)
    save(api, ENTRY)
    (found,) = api.get(TOOLS).json()["TOOL_SERVER_CONNECTIONS"]
    answer = save(api, found | {"url": "http://elsewhere.example"})
    assert answer.status_code == 400 and "Enter it again" in answer.json()["detail"]
    assert ToolServer.objects.get().url == ENTRY["url"]
    with pytest.raises(UserError, match="Enter it again"):  # what `verify` reads its entry with
        parse_entries(ToolServer, [found | {"url": "http://elsewhere.example"}])
    assert parse_entries(ToolServer, [found])[0].options["key"] == "sk-very-secret"


@pytest.mark.parametrize(
    "path", ["http://elsewhere.example/steal", "https://tools.internal:8000/x", "http://u:p@tools.internal:8000/x"]
)
def test_a_key_does_not_follow_its_entrys_path_to_another_server(api_for, dana, path):
    api = api_for(dana)
    save(api, ENTRY)
    (found,) = api.get(TOOLS).json()["TOOL_SERVER_CONNECTIONS"]
    answer = save(api, found | {"path": path})
    assert answer.status_code == 400 and "path leads to another server" in answer.json()["detail"]
    assert save(api, found | {"path": "http://tools.internal:8000/v2/openapi.json"}).status_code == 200


def test_an_address_holds_no_password(api_for, dana):
    answer = save(api_for(dana), ENTRY | {"url": "https://svc:hunter22@tools.internal"})
    assert answer.status_code == 400 and "name or password" in answer.json()["detail"]
    assert "hunter22" not in answer.json()["detail"]


def test_without_grants_only_administrators_have_it_whatever_the_bypass_says(api_for, dana, bob, settings):
    save(api_for(dana), ENTRY)
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    row = ToolServer.objects.get()
    assert ToolServer.objects.readable_by(dana).get() == ToolServer.objects.writable_by(dana).get() == row
    assert not ToolServer.objects.readable_by(bob).exists()
    assert api_for(bob).get("/api/v1/tools/").json() == []
    assert [t["id"] for t in api_for(dana).get("/api/v1/tools/").json()] == ["server:lab"]


def test_granted_people_see_it_among_their_tools_and_nothing_that_opens_it(api_for, dana, bob, carol, carols_group):
    save(api_for(dana), granted(("user", bob.pk), ("group", carols_group.pk)))
    for person in (bob, carol):
        answer = api_for(person).get("/api/v1/tools/")
        (found,) = answer.json()
        assert found["id"] == "server:lab" and found["authenticated"] is True and found["access_grants"] == []
        text = answer.content.decode()
        assert "secret" not in text and "internal" not in text and str(bob.pk) not in text


def test_a_write_grant_lets_people_use_it_and_not_change_it(api_for, client_for, dana, bob):
    save(api_for(dana), ENTRY)
    row = ToolServer.objects.get()
    set_grants(row, [Grant("user", str(bob.pk), "write")], by=dana)
    assert ToolServer.objects.readable_by(bob).exists() and not ToolServer.objects.writable_by(bob).exists()
    assert not bob.has_perm("inference.change_toolserver", row) and bob.has_perm("inference.view_toolserver", row)
    assert client_for(bob).get(f"/access/tool_server/{row.pk}").status_code == 404
    assert client_for(dana).get(f"/access/tool_server/{row.pk}").status_code == 200


def test_what_is_switched_off_is_not_listed(api_for, dana, bob):
    entry = granted(("user", bob.pk))
    save(api_for(dana), entry | {"config": {**entry["config"], "enable": False}})
    assert api_for(bob).get("/api/v1/tools/").json() == []


def test_the_list_replaces_what_was_there_and_keeps_its_order(api_for, dana):
    api = api_for(dana)
    other = ENTRY | {"url": "https://mcp.internal/mcp", "type": "mcp", "info": {"id": "m", "name": "M"}}
    save(api, ENTRY, other)
    assert [row.tool_id for row in ToolServer.objects.all()] == ["server:lab", "server:mcp:m"]
    save(api, other)
    assert [row.server_id for row in ToolServer.objects.all()] == ["m"]
    said = AuditEvent.objects.filter(object_type="tool_server").order_by("pk").values_list("action", flat=True)
    assert list(said) == ["tool_server.created", "tool_server.created", "tool_server.deleted", "tool_server.updated"]


def test_every_problem_of_a_list_is_said_at_once_and_nothing_is_stored(api_for, dana):
    api = api_for(dana)
    save(api, ENTRY)
    answer = save(
        api,
        {"url": "ftp://x"},
        {**ENTRY, "type": "carrier-pigeon"},
        {**ENTRY, "auth_type": "wish"},
        ENTRY,
        ENTRY,
        {**ENTRY, "info": {"id": "h"}, "headers": "no json"},
        {**ENTRY, "info": {"id": "k"}, "key": MASK},
    )
    detail = answer.json()["detail"]
    assert answer.status_code == 400
    assert all(f"Entry {number}:" in detail for number in (1, 2, 3, 5, 6, 7)) and "Entry 4:" not in detail
    assert ToolServer.objects.get().name == "Laboratory"


def test_legacy_access_control_is_understood(api_for, dana, bob):
    group = make_group(members=[bob])
    config = {"access_control": {"read": {"group_ids": [str(group.pk)], "user_ids": []}}}
    save(api_for(dana), ENTRY | {"config": config})
    assert ToolServer.objects.readable_by(bob).exists()
    save(api_for(dana), ENTRY | {"config": {"access_control": None}})
    assert ToolServer.objects.get().general_access == "read"
    save(api_for(dana), ENTRY | {"config": {}})
    assert not ToolServer.objects.readable_by(bob).exists()


# --------------------------------------------------------------------------------------------------------- terminals
SEED = '[{"url":"http://terminal:8000","key":"sk-terminal-secret"}]'


@pytest.mark.parametrize(
    "text", [SEED, f"'{SEED}'", SEED.replace('"', '\\"'), json.dumps(SEED)], ids=["plain", "quoted", "escaped", "text"]
)
def test_the_short_form_of_the_environment_makes_a_terminal_for_administrators(api_for, dana, bob, monkeypatch, text):
    monkeypatch.setenv("TERMINAL_SERVER_CONNECTIONS", text)
    assert take_over(TerminalServer)
    row = TerminalServer.objects.get()
    assert (row.name, row.url, options_of(row)["key"]) == (
        "Open Terminal",
        "http://terminal:8000",
        "sk-terminal-secret",
    )
    assert api_for(bob).get("/api/v1/terminals/").json() == []
    assert api_for(dana).get("/api/v1/terminals/").json() == [{"id": row.server_id, "name": "Open Terminal"}]


def test_terminals_of_the_environment_can_be_for_everyone(api_for, bob, monkeypatch):
    monkeypatch.setenv("TERMINAL_SERVER_CONNECTIONS", SEED)
    monkeypatch.setenv("TERMINAL_DEFAULT_ACCESS", "all")
    take_over(TerminalServer)
    assert len(api_for(bob).get("/api/v1/terminals/").json()) == 1


def test_a_list_that_makes_no_sense_stops_no_start_and_changes_nothing(monkeypatch, caplog):
    from inference.apps import _take_over

    monkeypatch.setenv("TERMINAL_SERVER_CONNECTIONS", '[{"url": "nowhere"}]')
    _take_over(using="default")
    assert "are not used" in caplog.text and not TerminalServer.objects.exists()


def test_the_environment_is_taken_over_once(api_for, dana, monkeypatch):
    monkeypatch.setenv("TERMINAL_SERVER_CONNECTIONS", SEED)
    assert take_over(TerminalServer) and not take_over(TerminalServer)
    save(api_for(dana), path=TERMINALS)
    assert not take_over(TerminalServer) and not TerminalServer.objects.exists(), "what was removed stays removed"


def test_an_environment_that_rules_is_taken_over_at_each_start_and_keeps_the_grants(bob, monkeypatch, settings):
    settings.ENABLE_PERSISTENT_CONFIG = False
    monkeypatch.setenv("TERMINAL_SERVER_CONNECTIONS", SEED)
    take_over(TerminalServer)
    row = TerminalServer.objects.get()
    set_grants(row, [Grant("user", str(bob.pk), "read")], by=a_system_admin())
    TerminalServer.objects.filter(pk=row.pk).update(name="Changed")
    assert take_over(TerminalServer)
    again = TerminalServer.objects.get()
    assert (again.pk, again.name) == (row.pk, "Open Terminal")
    assert grants_of([again])[row.pk] == [Grant("user", str(bob.pk), "read")]


def test_a_terminals_address_and_key_stay_on_the_server(api_for, dana, bob):
    entry = {"id": "t", "url": "http://terminal:8000", "key": "sk-terminal-secret", "name": "Shell"}
    grants = [{"principal_type": "user", "principal_id": str(bob.pk), "permission": "read"}]
    assert save(api_for(dana), entry | {"config": {"access_grants": grants}}, path=TERMINALS).status_code == 200
    assert api_for(bob).get("/api/v1/terminals/").json() == [{"id": "t", "name": "Shell"}]
    (shown,) = api_for(dana).get(TERMINALS).json()["TERMINAL_SERVER_CONNECTIONS"]
    assert shown["key"] == MASK and shown["enabled"] is True and shown["config"]["access_grants"] == grants


def test_a_key_stored_under_another_secret_is_asked_for_again(api_for, dana, settings):
    save(api_for(dana), ENTRY)
    settings.SECRET_KEY = "another-secret-key-of-this-server"
    (found,) = entries_json(ToolServer)
    assert "Enter it again" in found["error"]
    assert save(api_for(dana), ENTRY).status_code == 200
    assert options_of(ToolServer.objects.get())["key"] == "sk-very-secret"


def test_a_listing_costs_the_same_for_one_row_and_for_fifty(api_for, dana, bob):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def cost(model: type[ServerConnection], path: str, person: Any, count: int) -> int:
        grant = [{"principal_type": "user", "principal_id": str(bob.pk), "permission": "read"}]
        entries = [{"url": f"http://s{n}:1", "config": {"access_grants": grant}} for n in range(count)]
        replace_connections(model, entries, by=a_system_admin())
        api = api_for(person)
        api.get(path)
        with CaptureQueriesContext(connection) as queries:
            assert api.get(path).status_code == 200
        return len(queries)

    for model, path, person in (
        (ToolServer, TOOLS, dana),
        (ToolServer, "/api/v1/tools/", bob),
        (TerminalServer, "/api/v1/terminals/", bob),
    ):
        assert cost(model, path, person, 1) == cost(model, path, person, 50) <= 6, path


def test_administrators_set_them_up_in_django_admin(client_for, dana, bob):
    client = client_for(dana)
    form = {
        "server_id": "", "name": "Lab", "description": "Samples", "kind": "openapi", "url": "http://tools:1/",
        "is_enabled": "on", "auth_type": "bearer", "new_key": "sk-admin-secret", "headers": '{"X-Token": "abc"}',
        "general_access": "private",
        "user_grants-TOTAL_FORMS": "1", "user_grants-INITIAL_FORMS": "0",
        "user_grants-0-user": str(bob.pk), "user_grants-0-access": "read",
        "group_grants-TOTAL_FORMS": "0", "group_grants-INITIAL_FORMS": "0",
    }  # fmt: skip
    answer = client.post("/admin/inference/toolserver/add/", form)
    assert answer.status_code == 302, answer.content.decode()[:3000]
    row = ToolServer.objects.readable_by(bob).get()
    assert options_of(row)["key"] == "sk-admin-secret"
    path = f"/admin/inference/toolserver/{row.pk}/change/"
    page = client.get(path).content.decode()
    assert "sk-admin-secret" not in page and "abc&quot;" not in page and MASK in page
    change = form | {
        "name": "Laboratory", "new_key": "", "headers": json.dumps({"X-Token": MASK}), "general_access": "read",
        "user_grants-TOTAL_FORMS": "0",
    }  # fmt: skip
    assert client.post(path, change).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.general_access, options_of(row)["key"]) == ("Laboratory", "read", "sk-admin-secret")
    assert options_of(row)["headers"] == {"X-Token": "abc"}
    bad = client.post(path, change | {"url": "nowhere"})
    assert bad.status_code == 200 and b"http://" in bad.content
    assert client.get("/admin/inference/toolserver/").status_code == 200
    client.post(f"/admin/inference/toolserver/{row.pk}/delete/", {"post": "yes"})
    assert not ToolServer.objects.exists()
    assert AuditEvent.objects.filter(action="tool_server.deleted").exists()


def test_a_list_is_refused_whole_by_the_service_too(dana):
    with pytest.raises(UserError):
        replace_connections(ToolServer, [ENTRY, "nonsense"], by=dana)
    assert not ToolServer.objects.exists()
