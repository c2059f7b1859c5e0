"""Pages of the administration about access as a whole: who comes in, and the permission matrix."""

from __future__ import annotations

import pytest

from owui.audit.models import AuditEvent
from rbac import governance, services
from rbac.permissions import default_permissions, may
from tests.factories.rbac import make_group
from tests.rbac.access_pages import EXPORT, HISTORY, MAP, MATRIX, cost

pytestmark = pytest.mark.django_db


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
