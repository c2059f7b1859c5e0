"""The shapes and codes of prompts, notes, skills and tools: what people write and share."""

from __future__ import annotations

import pytest

from chat.models import Note, Prompt
from inference.models import Skill, Tool
from owui.audit.models import AuditEvent
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db
P, N, S, T = "/api/v1/prompts", "/api/v1/notes", "/api/v1/skills", "/api/v1/tools"
SOURCE = "class Tools:\n    def hello(self) -> str:\n        return 'hi'\n"
ALL = {"prompts": True, "skills": True, "tools": True, "notes": True}
FORMS = {
    P: {"command": "summarise", "name": "Summarise", "content": "Summarise this:"},
    N: {"title": "Minutes", "data": {"content": {"md": "# Minutes"}}},
    S: {"id": "how-to", "name": "How to", "description": "x", "content": "# How"},
    T: {"id": "clock", "name": "Clock", "content": SOURCE, "meta": {"description": "Tells the time"}},
}
KEYS = {
    P: {
        "id", "command", "user_id", "name", "title", "content", "data", "meta", "tags", "is_active", "created_at",
        "updated_at", "user", "access_grants", "access_control", "write_access",
    },
    N: {
        "id", "user_id", "title", "data", "meta", "created_at", "updated_at", "user", "access_grants",
        "access_control", "write_access", "is_pinned",
    },
    S: {
        "id", "user_id", "name", "description", "content", "meta", "is_active", "created_at", "updated_at", "user",
        "access_grants", "access_control", "write_access",
    },
    T: {
        "id", "user_id", "name", "content", "specs", "meta", "created_at", "updated_at", "user", "access_grants",
        "access_control", "write_access",
    },
}  # fmt: skip


def one(prefix: str, made: dict) -> str:
    return f"{prefix}/{made['id']}" if prefix == N else f"{prefix}/id/{made['id']}"


def to_everyone() -> list[dict]:
    return [{"principal_type": "user", "principal_id": "*", "permission": "read"}]


@pytest.fixture
def writers(set_config):
    """Everybody may create, and share with people and groups, not with everyone."""
    set_config("user.permissions", {"workspace": ALL, "sharing": ALL})


@pytest.mark.parametrize("prefix", [P, N, S, T])
def test_one_life_of_each(api_for, alice, bob, mallory, writers, prefix):
    api = api_for(alice)
    made = api.post(f"{prefix}/create", FORMS[prefix]).json()
    assert set(made) == KEYS[prefix]
    assert made["user_id"] == str(alice.pk) and made["write_access"] is True and made["access_grants"] == []
    path = one(prefix, made)
    grant = [{"principal_type": "user", "principal_id": str(bob.pk), "permission": "read"}]
    shared = api.post(f"{path}/access/update", {"access_grants": grant}).json()
    assert shared["access_grants"] == grant
    assert shared["access_control"]["read"]["user_ids"] == [str(bob.pk)]
    seen = api_for(bob).get(path).json()
    assert set(seen) == KEYS[prefix] and seen["write_access"] is False
    listed = [row["id"] for row in api_for(bob).get(f"{prefix}/").json()]
    assert listed == [made["id"]] and api_for(mallory).get(f"{prefix}/").json() == []
    field = "title" if prefix == N else "name"
    changed = api.post(f"{path}/update", FORMS[prefix] | {field: "Other"}).json()
    assert changed[field] == "Other" and changed["access_grants"] == grant, "what is not sent stays"
    assert api.delete(f"{path}/delete").json() is True
    assert api.get(path).status_code == 404
    kind = {P: "prompt", N: "note", S: "skill", T: "tool"}[prefix]
    said = AuditEvent.objects.filter(object_type=kind).order_by("pk").values_list("action", flat=True)
    assert list(said) == [f"{kind}.created", "access.set", f"{kind}.updated", f"{kind}.deleted"]


@pytest.mark.parametrize("prefix", [P, N, S, T])
def test_grants_one_may_not_give_are_dropped_at_first_and_refused_later(api_for, alice, writers, prefix):
    api = api_for(alice)
    made = api.post(f"{prefix}/create", FORMS[prefix] | {"access_grants": to_everyone()}).json()
    assert made["access_grants"] == []
    refused = api.post(f"{one(prefix, made)}/access/update", {"access_grants": to_everyone()})
    assert refused.status_code == 403
    assert refused.json()["detail"] == "You do not have permission to share with the requested audience."


@pytest.mark.parametrize("prefix", [P, N, S, T])
def test_a_grant_with_an_end_comes_back_with_it_and_a_wrong_end_is_422(api_for, alice, bob, writers, prefix):
    api = api_for(alice)
    path = f"{one(prefix, api.post(f'{prefix}/create', FORMS[prefix]).json())}/access/update"
    grant = {"principal_type": "user", "principal_id": str(bob.pk), "permission": "read"}
    ends = {**grant, "expires_at": 4_102_444_800}
    assert api.post(path, {"access_grants": [ends]}).json()["access_grants"] == [ends]
    for bad in ("soon", True):
        assert api.post(path, {"access_grants": [{**grant, "expires_at": bad}]}).status_code == 422
    assert api.post(path, {"access_grants": [{**grant, "expires_at": 1}]}).json()["access_grants"] == []


@pytest.mark.parametrize("prefix", [P, S, T])
def test_creating_needs_the_permission(api_for, alice, prefix):
    answer = api_for(alice).post(f"{prefix}/create", FORMS[prefix])
    assert (answer.status_code, answer.json()["detail"]) == (401, "401 Unauthorized")


@pytest.mark.parametrize("prefix", [P, S, T])
def test_a_name_that_is_taken_is_400_with_the_fields_text(api_for, alice, writers, prefix):
    api = api_for(alice)
    api.post(f"{prefix}/create", FORMS[prefix])
    answer = api.post(f"{prefix}/create", FORMS[prefix])
    assert answer.status_code == 400 and "is already registered" in answer.json()["detail"]


def test_administrators_without_the_bypass_see_their_own_only(api_for, alice, dana, settings):
    for kind in ("prompt", "note", "skill", "tool"):
        make_shared(kind, alice)
    api = api_for(dana)
    assert all(len(api.get(f"{prefix}/").json()) == 1 for prefix in (P, N, S, T))
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert not any(api.get(f"{prefix}/").json() for prefix in (P, N, S, T))
    assert api.get(f"{P}/id/{Prompt.objects.get().pk}").status_code == 401
    assert api.get(f"{S}/export").json() == api.get(f"{T}/export").json() == []


@pytest.mark.parametrize("prefix", [f"{P}/", f"{P}/list", f"{N}/", f"{N}/search", f"{S}/", f"{S}/list", f"{T}/"])
def test_a_listing_costs_the_same_for_one_row_and_for_thirty(api_for, alice, bob, share, prefix):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    kind = {P: "prompt", N: "note", S: "skill", T: "tool"}[prefix.rpartition("/")[0]]
    api = api_for(bob)

    def cost(rows: int) -> int:
        for _ in range(rows):
            share(make_shared(kind, alice), bob, "read")
        with CaptureQueriesContext(connection) as queries:
            assert api.get(prefix).status_code == 200
        return len(queries)

    cost(1)
    assert cost(1) == cost(29) <= 9


# ------------------------------------------------------------------------------------------------------------- prompts
def test_prompts_are_found_by_words_tags_and_owner(api_for, alice, bob, share):
    make_shared("prompt", alice, command="one", name="First", tags=["a"])
    share(make_shared("prompt", bob, command="two", name="Second", tags=["a", "b"]), alice, "read")
    api = api_for(alice)

    def found(query: str) -> list[str]:
        body = api.get(f"{P}/list?order_by=name&direction=asc&{query}").json()
        assert body["total"] == len(body["items"])
        return [row["command"] for row in body["items"]]

    assert found("") == ["one", "two"] and found("query=seco") == ["two"] and found("tag=b") == ["two"]
    assert found("view_option=created") == ["one"] and found("view_option=shared") == ["two"]
    assert api.get(f"{P}/tags").json() == ["a", "b"]
    assert api.get(f"{P}/list?page=2").json()["items"] == []


def test_old_clients_reach_prompts_by_command_and_call_the_name_title(api_for, alice, writers):
    api = api_for(alice)
    made = api.post(f"{P}/create", {"command": "/old", "title": "Old", "content": "x"}).json()
    assert (made["command"], made["name"], made["title"]) == ("old", "Old", "Old")
    path = f"{P}/command/old"
    assert api.get(path).json()["id"] == made["id"]
    assert api.post(f"{path}/update", {"command": "/old", "title": "Older", "content": "y"}).json()["name"] == "Older"
    assert api.delete(f"{path}/delete").json() is True and api.get(path).status_code == 404


@pytest.mark.parametrize("bad", [{"command": "two words"}, {"command": "/"}, {"name": "x" * 300}, {"content": "  "}])
def test_a_prompt_that_makes_no_sense_is_400(api_for, alice, writers, bad):
    assert api_for(alice).post(f"{P}/create", FORMS[P] | bad).status_code == 400
    assert not Prompt.objects.exists()


def test_toggle_and_meta_change_only_that(api_for, alice):
    row = make_shared("prompt", alice, content="Text")
    api = api_for(alice)
    assert api.post(f"{P}/id/{row.pk}/toggle").json()["is_active"] is False
    meta = api.post(f"{P}/id/{row.pk}/update/meta", {"name": "N", "command": "n", "tags": ["t", "t", " "]}).json()
    assert (meta["name"], meta["command"], meta["tags"], meta["content"]) == ("N", "n", ["t"], "Text")


# -------------------------------------------------------------------------------------------------------------- history
def test_what_a_prompt_was_is_kept_compared_and_taken_up_again(api_for, alice, bob, share, set_config):
    set_config("user.permissions", {"workspace": {"prompts": True}})
    api = api_for(alice)
    sent = {"command": "sum", "name": "Sum", "content": "One\nTwo"}
    key = api.post(f"{P}/create", sent | {"commit_message": "First"}).json()["id"]
    api.post(f"{P}/id/{key}/update", sent | {"content": "One\nThree", "commit_message": "Better"})
    api.post(f"{P}/id/{key}/update", sent | {"content": "One\nThree"})
    new, old = api.get(f"{P}/id/{key}/history").json()
    assert [new["commit_message"], old["commit_message"]] == ["Better", "First"], "what changes nothing is no version"
    assert new["parent_id"] == old["id"] and old["snapshot"]["content"] == "One\nTwo"
    assert new["user"]["name"] == alice.name
    assert api.get(f"{P}/id/{key}/history/{old['id']}").json() == old
    diff = api.get(f"{P}/id/{key}/history/diff?from_id={old['id']}&to_id={new['id']}").json()
    assert diff["content_diff"][-2:] == ["-Two", "+Three"] and diff["name_changed"] is False
    assert api.delete(f"{P}/id/{key}/history/{new['id']}").status_code == 400, "it is what the prompt is"
    assert api.post(f"{P}/id/{key}/update/version", {"version_id": old["id"]}).json()["content"] == "One\nTwo"
    assert len(api.get(f"{P}/id/{key}/history").json()) == 3
    assert api.delete(f"{P}/id/{key}/history/{new['id']}").json() is True
    other = api.post(f"{P}/create", sent | {"command": "other"}).json()["id"]
    assert api.get(f"{P}/id/{other}/history/{old['id']}").status_code == 404, "another prompt's"
    assert api.get(f"{P}/id/{key}/history/x").status_code == 404
    assert api_for(bob).get(f"{P}/id/{key}/history").status_code == 401


# --------------------------------------------------------------------------------------------------------------- notes
def test_notes_are_searched_in_title_and_text(api_for, alice):
    make_shared("note", alice, title="Minutes", data={"content": {"md": "about the mixer"}})
    make_shared("note", alice, title="Other")
    api = api_for(alice)
    assert [n["title"] for n in api.get(f"{N}/search?query=MIXER").json()["items"]] == ["Minutes"]
    assert api.get(f"{N}/search?query=oth&permission=write").json()["total"] == 1
    assert "data" not in api.get(f"{N}/").json()[0]


def test_a_pin_is_the_persons_own(api_for, alice, bob, share):
    rows = [make_shared("note", alice, title=title) for title in ("A", "B", "C")]
    share(rows[0], bob, "read")
    for row in rows[:2]:
        assert api_for(alice).post(f"{N}/{row.pk}/pin").json()["is_pinned"] is True
    assert [note["title"] for note in api_for(alice).get(f"{N}/pinned").json()] == ["B", "A"]
    assert [note["is_pinned"] for note in api_for(bob).get(f"{N}/").json()] == [False]
    assert api_for(bob).get(f"{N}/pinned").json() == []
    assert api_for(bob).post(f"{N}/{rows[0].pk}/pin").json()["title"] == "A"
    assert api_for(alice).post(f"{N}/{rows[1].pk}/pin").json()["is_pinned"] is False
    assert [note["title"] for note in api_for(alice).get(f"{N}/pinned").json()] == ["A"]
    api_for(alice).delete(f"{N}/{rows[0].pk}/delete")
    assert api_for(alice).get(f"{N}/pinned").json() == api_for(bob).get(f"{N}/pinned").json() == []


def test_parts_of_a_note_that_are_not_sent_stay(api_for, alice):
    row = make_shared("note", alice, data={"content": {"md": "x"}, "files": [1]})
    body = api_for(alice).post(f"{N}/{row.pk}/update", {"data": {"content": {"md": "y"}}}).json()
    assert body["data"] == {"content": {"md": "y"}, "files": [1]}
    assert api_for(alice).post(f"{N}/{row.pk}/update", {"title": " "}).status_code == 400


def test_notes_have_their_own_codes(api_for, alice, mallory, set_config):
    row = make_shared("note", alice)
    assert api_for(mallory).get(f"{N}/{row.pk}").status_code == 403
    set_config("user.permissions", {"features": {"notes": False}})
    assert api_for(alice).get(f"{N}/").status_code == 401
    set_config("ui.enable_notes", False)
    assert api_for(alice).get(f"{N}/{row.pk}").status_code == 403
    assert Note.objects.count() == 1


# ---------------------------------------------------------------------------------------------------- tools and skills
def test_a_tools_source_is_stored_and_not_run(api_for, dana, tmp_path):
    mark = tmp_path / "ran"
    source = f"open({str(mark)!r}, 'w')\n{SOURCE}"
    made = api_for(dana).post(f"{T}/create", FORMS[T] | {"content": source}).json()
    assert made["content"] == source and not mark.exists()
    assert "content" not in api_for(dana).get(f"{T}/").json()[0]


@pytest.mark.parametrize(
    "bad", [{"content": "def ("}, {"content": "x = 1"}, {"id": "Two Words"}, {"name": " "}, {"content": "\0"}]
)
def test_a_tool_that_makes_no_sense_is_400(api_for, dana, bad):
    assert api_for(dana).post(f"{T}/create", FORMS[T] | bad).status_code == 400
    assert not Tool.objects.exists()


def test_a_write_grant_alone_does_not_let_anybody_change_code(api_for, alice, bob, share):
    row = make_shared("tool", alice, content=SOURCE)
    share(row, bob, "write")
    path, form = f"{T}/id/{row.tool_id}/update", FORMS[T] | {"id": row.tool_id}
    assert api_for(bob).post(path, form | {"name": "Renamed"}).json()["name"] == "Renamed"
    assert api_for(bob).post(path, form | {"content": SOURCE + "\n# more"}).status_code == 401
    row.refresh_from_db()
    assert row.content == SOURCE


def test_exports_need_their_permission(api_for, alice, set_config):
    make_shared("skill", alice, skill_id="how", name='The "how"', content="# How")
    make_shared("tool", alice)
    assert api_for(alice).get(f"{S}/export").status_code == 403
    assert api_for(alice).get(f"{T}/export").status_code == 401
    set_config("user.permissions", {"workspace": ALL | {"skills_export": True, "tools_export": True}})
    assert [row["id"] for row in api_for(alice).get(f"{S}/export").json()] == ["how"]
    assert "content" in api_for(alice).get(f"{T}/export").json()[0]
    text = api_for(alice).get(f"{S}/export?format=skill&ids=how")
    assert text["Content-Type"].startswith("text/markdown")
    assert text.content.decode().startswith('---\nname: "The \\"how\\""\n')


def test_a_skill_is_switched_off_by_toggle(api_for, alice):
    row = make_shared("skill", alice)
    assert api_for(alice).post(f"{S}/id/{row.skill_id}/toggle").json()["is_active"] is False
    assert Skill.objects.get().is_active is False
