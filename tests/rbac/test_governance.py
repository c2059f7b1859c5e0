"""Pages of the administration about access as a whole: the permission matrix, the access map, the history."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from owui.audit.models import AuditEvent
from rbac import governance, services
from rbac.grants import Grant
from rbac.models import AccessChange
from rbac.permissions import default_permissions, may
from rbac.sharing import resource_types
from tests.factories.accounts import UserFactory
from tests.factories.rbac import make_group, make_shared

pytestmark = pytest.mark.django_db
MATRIX, MAP, EXPORT, HISTORY = (f"/admin/access/{tail}" for tail in ("permissions/", "map/", "map/export/", "history/"))


def cost(client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


@pytest.mark.parametrize("path", [MATRIX, MAP, HISTORY])
def test_only_active_administrators_come_in(path, client_for, dana, alice, pending):
    for person in (None, pending, alice):
        assert client_for(person).get(path).status_code == 302
    assert client_for(dana).get(path).status_code == 200
    assert client_for(alice).post(EXPORT).status_code == 302


def test_somebody_who_is_staff_but_no_administrator_is_refused(rf, alice):
    from django.core.exceptions import PermissionDenied

    request = rf.get(MATRIX)
    request.user = alice
    with pytest.raises(PermissionDenied):
        governance.permission_matrix(request)


def test_the_start_page_leads_to_all_of_them(client_for, dana):
    page = client_for(dana).get("/admin/").content.decode()
    for path in (MATRIX, MAP, HISTORY, "/admin/security/", "/admin/preview/", "/admin/rbac/group/"):
        assert f'href="{path}"' in page


# ---------------------------------------------------------------------------------------------------- permission matrix
def cells(answer, group_id: str) -> dict:
    return {
        line.row.key: cell
        for section in answer.context["sections"]
        for line in section.lines
        for cell in line.cells
        if cell.column.id == str(group_id)
    }


def form_of(answer) -> dict:
    """The form as the browser would send it back."""
    data = {f"saw:{column.id}": column.saw for column in answer.context["columns"]}
    data["on"] = [
        f"{cell.column.id}:{line.row.key}"
        for section in answer.context["sections"]
        for line in section.lines
        for cell in line.cells
        if cell.ticked
    ]
    return data


def test_the_matrix_says_what_is_own_and_what_is_inherited(client_for, dana, set_config):
    set_config("user.permissions", {"chat": {"delete": True}, "workspace": {"models": False}})
    top = make_group("Top", permissions={"workspace": {"models": True, "tools_import": True}})
    below = make_group("Below", parent=top, permissions={"workspace": {"knowledge": True}})
    found = cells(client_for(dana).get(MATRIX), below.pk)
    assert found["workspace.knowledge"].ticked and found["workspace.knowledge"].is_on
    inherited = found["workspace.models"]
    assert (inherited.ticked, inherited.how, inherited.is_on) == (False, "from Top", True)
    assert found["chat.delete"].how == "by default" and not found["chat.delete"].ticked
    assert found["workspace.tools_import"].lacks.startswith("needs “Create tools")
    assert not found["workspace.tools_import"].is_on
    assert not found["workspace.prompts"].is_on and not found["workspace.prompts"].how


def test_saving_changes_what_was_changed_and_records_it(client_for, dana, bob):
    group = make_group("Reviewers", members=[bob], permissions={"chat": {"future": True}})
    other = make_group("Others")
    client = client_for(dana)
    data = form_of(client.get(MATRIX))
    data["on"] += [f"{group.pk}:workspace.models", f"{group.pk}:no.such", "nonsense:workspace.models"]
    answer = client.post(MATRIX, data, follow=True)
    assert "Reviewers" in str(next(iter(answer.context["messages"])))
    group.refresh_from_db()
    assert group.permissions == {"workspace": {"models": True}, "chat": {"future": True}}
    assert may(bob, "workspace.models")
    events = AuditEvent.objects.filter(action="group.update")
    assert [e.object_id for e in events] == [str(group.pk)] and other.permissions == {}
    page = client.get(MATRIX).content.decode()
    assert "Unknown to this release, kept" in page and "chat.future" in page
    answer = client.post(MATRIX, form_of(client.get(MATRIX)), follow=True)
    assert "nothing was saved" in str(next(iter(answer.context["messages"])))


def test_the_default_is_a_column_of_its_own(client_for, dana, bob):
    client = client_for(dana)
    data = form_of(client.get(MATRIX))
    assert not may(bob, "workspace.models")
    data["on"].append("default:workspace.models")
    assert client.post(MATRIX, data).status_code == 302
    assert default_permissions()["workspace"]["models"] is True
    assert AuditEvent.objects.filter(action__startswith="config").exists()


def test_a_second_editor_is_told_and_keeps_their_changes(client_for, dana):
    group = make_group("Shared", permissions={"chat": {"share": True}})
    client = client_for(dana)
    data = form_of(client.get(MATRIX))
    services.update_group(group, by=dana, permissions={"chat": {"share": True, "delete": True}})
    data["on"].append(f"{group.pk}:workspace.models")
    answer = client.post(MATRIX, data)
    assert answer.status_code == 409 and "Somebody else changed" in answer.content.decode()
    group.refresh_from_db()
    assert group.permissions == {"chat": {"share": True, "delete": True}}, "nothing is stored"
    found = cells(answer, group.pk)
    assert found["chat.delete"].changed == "now on" and found["chat.delete"].ticked
    assert found["workspace.models"].ticked, "the person's own change is still in the form"
    assert client.post(MATRIX, form_of(answer)).status_code == 302
    group.refresh_from_db()
    assert group.permissions == {"chat": {"share": True, "delete": True}, "workspace": {"models": True}}


def test_taking_a_key_away_that_somebody_else_took_away_is_no_quarrel(client_for, dana):
    group = make_group("Shared", permissions={"chat": {"share": True}})
    client = client_for(dana)
    data = form_of(client.get(MATRIX))
    services.update_group(group, by=dana, permissions={})
    data["on"].remove(f"{group.pk}:chat.share")
    answer = client.post(MATRIX, data)
    assert answer.status_code == 409
    found = cells(answer, group.pk)
    assert found["chat.share"].changed == "now off" and not found["chat.share"].ticked


def test_a_group_that_is_gone_is_a_conflict_too(client_for, dana):
    group = make_group("Gone")
    client = client_for(dana)
    data = form_of(client.get(MATRIX))
    data["on"].append(f"{group.pk}:workspace.models")
    services.delete_group(group, by=dana)
    assert client.post(MATRIX, data).status_code == 409


def test_what_cannot_be_stored_is_said_and_the_ticks_stay(client_for, dana, monkeypatch):
    from owui.lib.errors import UserError

    group = make_group("Reviewers")
    client = client_for(dana)
    data = form_of(client.get(MATRIX))
    data["on"].append(f"{group.pk}:workspace.models")
    data["saw:nonsense"] = ""

    def refuse(*_args, **_kwargs):
        raise UserError("No room. Try again.")

    monkeypatch.setattr(governance, "change_permissions", refuse)
    answer = client.post(MATRIX, data)
    assert answer.status_code == 400 and "No room" in answer.content.decode()
    assert cells(answer, group.pk)["workspace.models"].ticked


def test_the_matrix_pages_and_searches_and_costs_the_same(client_for, dana):
    for number in range(20):
        make_group(f"Group {number:02}", permissions={"chat": {"share": True}})
    client = client_for(dana)
    first = client.get(MATRIX)
    assert [c.name for c in first.context["columns"]][1:] == [f"Group {n:02}" for n in range(8)]
    last = client.get(MATRIX, {"p": 3})
    assert [c.name for c in last.context["columns"]][1:] == [f"Group {n:02}" for n in range(16, 20)]
    found = client.get(MATRIX, {"q": "p 07"})
    assert [c.name for c in found.context["columns"]][1:] == ["Group 07"]
    assert cost(client, MATRIX) == cost(client, f"{MATRIX}?q=p+07") <= 8


# ----------------------------------------------------------------------------------------------------------- access map
def drawn(answer) -> dict:
    names = [resource.label for resource in answer.context["resources"].object_list]
    return {
        (line.group.name, name): cell
        for line in answer.context["lines"]
        for name, cell in zip(names, line.cells, strict=True)
    }


def to(group, permission="read", ends=None) -> Grant:
    return Grant("group", str(group.pk), permission, ends)


def test_the_map_says_what_each_group_may_and_why(client_for, dana, alice, settings):
    settings.ENABLE_DENY_GRANTS = True
    top = make_group("Top")
    below, other = make_group("Below", parent=top), make_group("Other")
    labels, public, secret, edited, open_to_edit, half = (
        make_shared("knowledge", alice, name=name)
        for name in ("Labels", "Public", "Secret", "Edited", "Open to edit", "Half")
    )
    ends = (timezone.now() + timedelta(days=3)).replace(microsecond=0)
    services.set_grants(labels, [to(top, "read", ends)], by=dana)
    services.set_grants(public, [Grant("user", "*", "read")], by=dana)
    services.set_grants(secret, [to(below, "write")], denials=[to(top)], by=dana)
    services.set_grants(edited, [to(below, "read", ends), to(below, "write"), to(top)], by=dana)
    services.set_grants(open_to_edit, [Grant("user", "*", "write")], by=dana)
    services.set_grants(half, [to(other, "write")], denials=[to(other, "write")], by=dana)
    cells_of = drawn(client_for(dana).get(MAP))
    found = {key: (cell.level, cell.how, bool(cell.ends)) for key, cell in cells_of.items()}
    assert found["Top", "Labels"] == ("read", "own", True)
    assert found["Below", "Labels"] == ("read", "above", True)
    assert found["Other", "Labels"] == ("none", "", False)
    assert found["Other", "Public"] == ("read", "everyone", False)
    assert found["Other", "Open to edit"] == ("write", "everyone", False)
    assert found["Below", "Secret"] == ("denied", "above", False) and found["Top", "Secret"][0] == "denied"
    assert found["Below", "Edited"] == ("write", "own", False)
    assert found["Other", "Half"] == ("read", "own", False)
    assert "through Top" in cells_of["Below", "Labels"].words and "until" in cells_of["Below", "Labels"].words
    assert cells_of["Other", "Labels"].words == "no access"
    assert "kept out: own denial" in cells_of["Top", "Secret"].words
    assert "may not change: own denial" in cells_of["Other", "Half"].words


def test_the_map_agrees_with_the_choke_point(client_for, dana, alice, settings):
    """For a person who is in one group and has nothing else."""
    settings.ENABLE_DENY_GRANTS = True
    top = make_group("Top")
    groups = [top, make_group("Below", parent=top), make_group("Other")]
    for kind in ("knowledge", "model"):
        for number in range(12):
            thing = make_shared(kind, alice, name=f"Thing {number:02}")
            grants = [to(group, "write" if (number + at) % 4 else "read") for at, group in enumerate(groups) if
                      (number >> at) & 1]  # fmt: skip
            denials = [to(groups[number % 3], "write" if number % 2 else "read")] if number > 7 else []
            wild = [Grant("user", "*", "read")] if number % 5 == 4 else []
            services.set_grants(thing, grants + wild, denials=denials, by=dana)
        cells_of = drawn(client_for(dana).get(MAP, {"type": kind}))
        for group in groups:
            member = UserFactory(password=None)
            services.add_members(group, [member.pk], by=dana)
            model = resource_types()[kind]
            writes = set(model.objects.writable_by(member).values_list("name", flat=True))
            reads = set(model.objects.readable_by(member).values_list("name", flat=True))
            for (name, thing_name), cell in cells_of.items():
                if name == group.name:
                    expected = "write" if thing_name in writes else "read" if thing_name in reads else None
                    assert cell.level == expected or (expected is None and cell.level in ("none", "denied"))


def test_the_map_is_filtered_by_kind_and_names_and_pages_both_ways(client_for, dana, alice, monkeypatch):
    monkeypatch.setattr(governance, "MAP_GROUPS", 2)
    monkeypatch.setattr(governance, "MAP_OBJECTS", 3)
    for name in ("A", "B", "C"):
        make_group(name)
    for number in range(4):
        make_shared("prompt", alice, name=f"Prompt {number}")
    client = client_for(dana)
    page = client.get(MAP, {"type": "prompt", "gp": 2, "p": 2})
    assert list(drawn(page)) == [("C", "Prompt 3")]
    page = client.get(MAP, {"type": "prompt", "group": "b", "q": "2"})
    assert list(drawn(page)) == [("B", "Prompt 2")]
    assert "Nothing matches" in client.get(MAP, {"type": "prompt", "q": "zzz"}).content.decode()
    assert client.get(MAP, {"type": "robot"}).status_code == 404
    assert client.get(MAP, {"type": "folder"}).context["is_tree"] is True


@pytest.mark.parametrize("kind", sorted(resource_types()))
def test_every_kind_has_a_map(kind, client_for, dana, alice, share):
    thing, group = make_shared(kind, alice), make_group("Readers")
    share(thing, group)
    share(thing, group, "write")
    cell = next(iter(drawn(client_for(dana).get(MAP, {"type": kind})).values()))
    administered = getattr(resource_types()[kind], "administered", False)
    assert cell.level == ("read" if administered else "write")


def test_the_map_costs_the_same_for_few_and_many(client_for, dana, alice, share):
    client = client_for(dana)

    def fill(number: int) -> int:
        for _ in range(number):
            share(make_shared("knowledge", alice), make_group(parent=make_group()))
        return cost(client, MAP)

    assert fill(1) == fill(10) <= 10


def test_an_administrator_without_the_bypass_sees_what_they_may_read(client_for, dana, alice, settings):
    make_shared("knowledge", alice, name="Private")
    make_group("Some")
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert "Private" not in client_for(dana).get(MAP).content.decode()


def test_the_export_has_each_reason_and_is_recorded(client_for, dana, alice, settings):
    settings.ENABLE_DENY_GRANTS = True
    top = make_group("=Top")
    below = make_group("Below", parent=top)
    ends = (timezone.now() + timedelta(days=3)).replace(microsecond=0)
    labels, public = (make_shared("knowledge", alice, name=name) for name in ("Labels", "Public"))
    services.set_grants(labels, [to(top, "write", ends)], denials=[to(below)], by=dana)
    services.set_grants(public, [Grant("user", "*", "write")], by=dana)
    services.set_grants(make_shared("knowledge", alice, name="Hidden"), [to(top)], by=dana)
    client = client_for(dana)
    assert client.get(EXPORT).status_code == 405
    answer = client.post(f"{EXPORT}?type=knowledge&q=l")
    assert "attachment" in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    found = {(r["object"], r["group"], r["access"], r["how"], r["through"], bool(r["until"])) for r in rows}
    assert found == {
        ("Labels", "'=Top", "write", "own", "", True),
        ("Labels", "Below", "write", "above", "'=Top", True),
        ("Labels", "Below", "denied read", "own", "", False),
        ("Public", "", "write", "everyone", "", False),
    }
    event = AuditEvent.objects.get(action="access.exported")
    assert event.detail == {"group": "", "name": "l", "lines": 4} and event.actor_id == dana.pk
    only = client.post(f"{EXPORT}?type=knowledge&group=below").content.decode()
    assert "Below" in only and ",'=Top,read" not in only


# ---------------------------------------------------------------------------------------------------- history of access
def said(answer) -> list[tuple[str, str, str, str]]:
    return [(e.subject, e.state, e.object, e.by) for e in answer.context["entries"]]


def test_the_history_says_who_could_do_what_and_by_whom(client_for, dana, alice, bob, carols_group, settings):
    settings.ENABLE_DENY_GRANTS = True
    kb = make_shared("knowledge", alice, name="Labels")
    ends = timezone.now().replace(microsecond=0) + timedelta(days=3)
    services.set_grants(
        kb,
        [Grant("user", str(bob.pk), "write", ends), to(carols_group), Grant("user", "*", "read")],
        denials=[Grant("user", str(alice.pk), "read"), Grant("user", str(dana.pk), "write")],
        by=dana,
    )
    entries = said(client_for(dana).get(HISTORY, {"of": str(kb.pk)}))
    states = {(who, what.partition(" (")[0], about) for who, what, about, _by in entries}
    about = "Labels (knowledge base)"
    assert ("Bob Lindqvist", "may change", about) in states
    assert ("Pharmacovigilance", "may read", about) in states
    assert ("Alice Meyer", "is kept out of", about) in states and ("Dana Reyes", "may not change", about) in states
    assert ("Labels", "belongs to Alice Meyer. In general: Everyone signed in may read", "") in states
    assert {by for *_rest, by in entries if _rest[2]} == {"Dana Reyes"}
    page = client_for(dana).get(HISTORY, {"of": str(kb.pk)}).content.decode()
    assert "until" in page and "by Dana Reyes" in page


def test_the_history_of_people_and_groups(client_for, dana, bob, set_config):
    top = make_group("Top")
    group = make_group("Reviewers", parent=top, permissions={"chat": {"share": True}})
    services.add_members(group, [bob.pk], by=dana)
    services.set_managers(group, [dana.pk], by=dana)
    services.remove_members(group, [bob.pk], by=dana)
    set_config("user.permissions", {"chat": {"share": True}})
    client = client_for(dana)
    of_bob = said(client.get(HISTORY, {"of": str(bob.pk)}))
    assert ("Bob Lindqvist", "is a member (Added by hand)", "Reviewers", "Dana Reyes") in of_bob
    assert ("Bob Lindqvist", "has the role user", "") in [entry[:3] for entry in of_bob]
    of_group = {entry[:3] for entry in said(client.get(HISTORY, {"of": str(group.pk)}))}
    assert ("Dana Reyes", "may add and remove members", "Reviewers") in of_group
    assert ("Reviewers", "below Top; gives: chat.share", "") in of_group
    defaults = said(client.get(HISTORY, {"kind": "defaults"}))
    assert defaults[0][:2] == ("Everyone (default)", "everyone has: chat.share")
    ended = [e.ended_by for e in client.get(HISTORY, {"kind": "member"}).context["entries"]]
    assert ended == ["Dana Reyes"]


def test_the_history_is_searched_by_name_kind_and_moment(client_for, dana, alice, bob):
    kb = make_shared("knowledge", alice, name="Labels")
    services.set_grants(kb, [Grant("user", str(bob.pk), "read")], by=dana)
    client = client_for(dana)
    assert {e[0] for e in said(client.get(HISTORY, {"q": "label", "kind": "grant"}))} == {"Bob Lindqvist"}
    assert {e[0] for e in said(client.get(HISTORY, {"q": str(bob.pk), "kind": "role"}))} == {"Bob Lindqvist"}
    assert said(client.get(HISTORY, {"q": "nobody at all"})) == []
    past = client.get(HISTORY, {"q": "label", "at": "2001-01-31T18:00"})
    assert said(past) == [] and not past.context["bad_moment"]
    future = client.get(HISTORY, {"q": "label", "kind": "grant", "at": "2101-01-31T18:00"})
    assert len(said(future)) == 1
    for text in ("yesterday", "2001-02-31T18:00"):
        bad = client.get(HISTORY, {"at": text, "kind": "nonsense"})
        assert bad.context["bad_moment"] and "This is no moment" in bad.content.decode()


def test_what_is_gone_keeps_its_history_without_a_name(client_for, dana, alice, bob):
    kb = make_shared("knowledge", alice, name="Labels")
    services.set_grants(kb, [Grant("user", str(bob.pk), "read")], by=dana)
    pk = kb.pk
    type(kb).objects.filter(pk=pk).delete()
    answer = client_for(dana).get(HISTORY, {"of": str(pk)})
    assert any("removed, or not yours to see" in about for _who, _what, about, _by in said(answer))
    assert answer.context["about"] == ""


def test_states_of_another_release_are_shown_all_the_same(client_for, dana, bob):
    common = {"object_id": bob.pk, "valid_from": timezone.now(), "source": "test"}
    rows = [
        ("grant", "robot", "user", {"permission": "read", "is_denied": False, "expires_at": None}),
        ("member", "group", "user", {"source": "carrier pigeon"}),
        ("resource", "knowledge", "", {"owner": None, "general_access": "whoever"}),
        ("role", "user", "", {"role": "user", "is_active": False}),
        ("defaults", "permissions", "", {}),
        ("group", "group", "", {"name": "", "parent": None, "permissions": {}}),
    ]
    for number, (kind, object_type, principal, value) in enumerate(rows):
        AccessChange.objects.create(
            kind=kind, object_type=object_type, principal_type=principal, value=value, row_id=str(number),
            principal_id=bob.pk if principal else None, **common,
        )  # fmt: skip
    text = str(said(client_for(dana).get(HISTORY)))
    for words in ("(robot)", "carrier pigeon", "belongs to nobody", "switched off", "no permission", "gives: none"):
        assert words in text


def test_pages_of_objects_people_and_groups_lead_to_their_history_and_back(client_for, dana, alice, bob):
    client = client_for(dana)
    group, kb = make_group("Reviewers"), make_shared("knowledge", alice)
    pages = {
        kb.pk: f"/admin/knowledge/knowledgebase/{kb.pk}/change/",
        bob.pk: f"/admin/accounts/user/{bob.pk}/change/",
        group.pk: f"/admin/rbac/group/{group.pk}/change/",
    }
    for pk, path in pages.items():
        assert f'href="{HISTORY}?of={pk}"' in client.get(path).content.decode()
        assert f'href="{path}"' in client.get(HISTORY, {"of": str(pk)}).content.decode()


def test_the_history_costs_the_same_for_few_and_many(client_for, dana, alice, share):
    client = client_for(dana)

    def fill(number: int) -> int:
        for _ in range(number):
            share(make_shared("knowledge", alice), make_group())
        return cost(client, HISTORY)

    assert fill(2) == fill(15) <= 9
