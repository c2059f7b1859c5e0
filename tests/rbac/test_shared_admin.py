"""Shared objects in Django admin: rows through the choke-point, grants through `set_grants`."""

from __future__ import annotations

import pytest
from django.contrib.admin.sites import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect, QueryDict

from owui.audit.models import AuditEvent
from owui.lib.errors import UserError
from rbac.admin import SharedAdmin, grant_inlines
from rbac.grants import Grant, denials_of, grants_of
from rbac.services import Conflict, set_grants
from rbac.sharing import resource_types
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db


@pytest.fixture
def prompt_admin():
    model = resource_types()["prompt"]

    class PromptAdmin(SharedAdmin):
        fields = ("name", "command", "content", "general_access")
        inlines = grant_inlines(model)

        def response_change(self, request, obj):
            return HttpResponseRedirect("/")  # the list is not mounted

    from django.contrib import admin

    site = AdminSite()
    site._registry.update(admin.site._registry)
    site._registry[model] = PromptAdmin(model, site)
    return site._registry[model]


def form_for(prompt, people: list[tuple[str, str]], groups: list[tuple[str, str]] = (), access="private") -> QueryDict:
    data = QueryDict(mutable=True)
    data.update({"name": prompt.name, "command": prompt.command, "content": "text", "general_access": access})
    for kind, rows in (("user", people), ("group", groups)):
        prefix = f"{kind}_grants"
        data.update({f"{prefix}-TOTAL_FORMS": str(len(rows)), f"{prefix}-INITIAL_FORMS": "0"})
        for number, (principal, access) in enumerate(rows):
            data.update({f"{prefix}-{number}-{kind}": principal, f"{prefix}-{number}-access": access})
    return data


def request_of(rf, user, data=None):
    request = rf.post("/", data.dict()) if data is not None else rf.get("/")
    request.user, request._dont_enforce_csrf_checks = user, True
    from django.contrib.messages.storage.cookie import CookieStorage

    request._messages = CookieStorage(request)
    return request


def test_grants_are_saved_by_the_one_verb(prompt_admin, rf, dana, alice, bob, carols_group):
    prompt = make_shared("prompt", alice)
    data = form_for(prompt, [(str(bob.pk), "read")], [(str(carols_group.pk), "write")])
    answer = prompt_admin.changeform_view(request_of(rf, dana, data), str(prompt.pk))
    assert answer.status_code == 302, answer.context_data["errors"]
    expected = [Grant("group", str(carols_group.pk), "write"), Grant("user", str(bob.pk), "read")]
    assert grants_of([prompt])[prompt.pk] == expected
    assert AuditEvent.objects.get(action="access.set").actor_id == dana.pk
    assert prompt_admin.access(prompt) == "Read: Bob Lindqvist. Write: Pharmacovigilance."


def test_the_general_rule_is_part_of_the_same_record(prompt_admin, rf, dana, alice):
    prompt = make_shared("prompt", alice)
    answer = prompt_admin.changeform_view(request_of(rf, dana, form_for(prompt, [], access="read")), str(prompt.pk))
    assert answer.status_code == 302
    prompt.refresh_from_db()
    assert prompt.general_access == "read" and prompt.content == "text"
    detail = AuditEvent.objects.get(action="access.set").detail
    assert detail == {"before": [], "after": [Grant("user", "*", "read").as_json()]}


def test_grants_that_no_inline_shows_stay(prompt_admin, rf, dana, alice, bob, share):
    prompt = make_shared("prompt", alice)
    share(prompt, bob, "read")
    prompt_admin.inlines = ()
    prompt_admin.changeform_view(request_of(rf, dana, form_for(prompt, [])), str(prompt.pk))
    assert grants_of([prompt])[prompt.pk] == [Grant("user", str(bob.pk), "read")]


def test_the_list_holds_what_the_administrator_may_read(prompt_admin, rf, dana, alice, settings):
    make_shared("prompt", alice)
    mine = make_shared("prompt", dana)
    assert prompt_admin.get_queryset(request_of(rf, dana)).count() == 2
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert list(prompt_admin.get_queryset(request_of(rf, dana))) == [mine]


def test_an_administrator_without_the_bypass_changes_only_what_they_may_write(
    prompt_admin, rf, dana, alice, share, settings
):
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    prompt = make_shared("prompt", alice)
    share(prompt, dana, "read")
    form = form_for(prompt, [(str(dana.pk), "write")], access="write")
    with pytest.raises(PermissionDenied):
        prompt_admin.changeform_view(request_of(rf, dana, form), str(prompt.pk))
    assert not prompt_admin.has_delete_permission(request_of(rf, dana), prompt)
    assert grants_of([prompt])[prompt.pk] == [Grant("user", str(dana.pk), "read")]
    share(prompt, dana, "write")
    assert prompt_admin.changeform_view(request_of(rf, dana, form), str(prompt.pk)).status_code == 302


# ---------------------------------------------------------------------------- ends, denials, conflicts
@pytest.fixture
def kb(alice):
    return make_shared("knowledge", alice, name="Labels")


def path_of(kb) -> str:
    return f"/admin/knowledge/knowledgebase/{kb.pk}/change/"


def page_form(answer) -> dict:
    """The form as the browser would send it back."""
    data = {"general_access": answer.context["adminform"].form["general_access"].value(), "_continue": "1"}
    data["access_version"] = answer.context["access_version"]
    for inline in answer.context["inline_admin_formsets"]:
        formset = inline.formset
        for name in ("TOTAL_FORMS", "INITIAL_FORMS"):
            data[f"{formset.prefix}-{name}"] = formset.management_form[name].value()
        for form in formset.forms:
            data |= {field.html_name: field.value() for field in form if field.value() is not None}
    return {name: value for name, value in data.items() if value is not False}


def add_row(data: dict, prefix: str, **values: str) -> None:
    number = int(data[f"{prefix}-TOTAL_FORMS"])
    data[f"{prefix}-TOTAL_FORMS"] = number + 1
    data |= {f"{prefix}-{number}-{name}": value for name, value in values.items()}


def test_an_end_is_shown_and_edited(client_for, dana, bob, kb):
    client = client_for(dana)
    data = page_form(client.get(path_of(kb)))
    add_row(data, "user_grants", user=str(bob.pk), access="write", until="2101-01-31")
    assert client.post(path_of(kb), data).status_code == 302
    assert grants_of([kb])[kb.pk][0].expires_at.isoformat() == "2101-01-31T23:59:59+00:00"
    data = page_form(client.get(path_of(kb)))
    assert (data["user_grants-0-until"], data["user_grants-0-until_time"]) == ("2101-01-31", "")
    assert client.post(path_of(kb), data).status_code == 302
    assert AuditEvent.objects.filter(action="access.set").count() == 1, "saving what is shown changes nothing"
    data = page_form(client.get(path_of(kb))) | {"user_grants-0-until": "2001-01-31"}
    answer = client.post(path_of(kb), data)
    assert answer.status_code == 200 and "is over already" in answer.content.decode()
    data["user_grants-0-until"] = ""
    assert client.post(path_of(kb), data).status_code == 302
    assert grants_of([kb])[kb.pk] == [Grant("user", str(bob.pk), "write")]


def test_denials_stand_apart_and_only_where_they_may(client_for, dana, bob, carols_group, kb, settings):
    client = client_for(dana)
    assert "Kept out" not in client.get(path_of(kb)).content.decode()
    settings.ENABLE_DENY_GRANTS = True
    data = page_form(client.get(path_of(kb)))
    add_row(data, "user_grants", user=str(bob.pk), access="read")
    add_row(data, "user_grants-2", user=str(bob.pk), access="write")
    add_row(data, "group_grants-2", group=str(carols_group.pk), access="read", until="2101-01-31")
    assert client.post(path_of(kb), data).status_code == 302
    denials = denials_of([kb])[kb.pk]
    assert [(d.principal_type, d.permission, bool(d.expires_at)) for d in denials] == [
        ("group", "read", True),
        ("user", "write", False),
    ]
    assert grants_of([kb])[kb.pk] == [Grant("user", str(bob.pk), "read")]
    settings.ENABLE_DENY_GRANTS = False
    page = client.get(path_of(kb))
    assert "Kept out" in page.content.decode(), "what there is can be taken away"
    data = page_form(page) | {"user_grants-2-0-DELETE": "on"}
    assert client.post(path_of(kb), data).status_code == 302
    assert len(denials_of([kb])[kb.pk]) == 1
    # Refused by the service: said in the form, with the row still in it.
    data = page_form(client.get(path_of(kb)))
    add_row(data, "user_grants-2", user=str(bob.pk), access="read")
    answer = client.post(path_of(kb), data)
    assert answer.status_code == 403 and "ENABLE_DENY_GRANTS" in answer.content.decode()
    assert page_form(answer)["user_grants-2-0-user"] == str(bob.pk)


def test_the_second_administrator_sees_both_versions_and_loses_nothing(client_for, dana, bob, carol, carols_group, kb):
    set_grants(kb, [Grant("user", str(bob.pk), "read"), Grant("group", str(carols_group.pk), "read")], by=dana)
    client = client_for(dana)
    data = page_form(client.get(path_of(kb)))
    # Somebody else takes away a row that this form is about to send.
    set_grants(kb, [Grant("group", str(carols_group.pk), "write")], by=dana)
    add_row(data, "user_grants", user=str(carol.pk), access="write", until="2101-01-31")
    data |= {"group_grants-0-DELETE": "on"}
    answer = client.post(path_of(kb), data)
    page = answer.content.decode()
    assert answer.status_code == 409 and "Somebody else changed who has access" in page
    lines = {d.name: (d.theirs, d.yours) for d in answer.context["differences"]}
    assert lines["Bob Lindqvist"] == ("not on the list", "may read")
    assert lines["Pharmacovigilance"] == ("may change", "not on the list")
    assert len(grants_of([kb])[kb.pk]) == 1, "nothing is stored"
    again = page_form(answer)
    assert client.post(path_of(kb), again).status_code == 302
    assert {(g.principal_id, g.permission) for g in grants_of([kb])[kb.pk]} == {
        (str(bob.pk), "read"),
        (str(carol.pk), "write"),
    }


def test_a_change_between_the_look_and_the_lock_is_a_conflict_too(client_for, dana, bob, kb, monkeypatch):
    client = client_for(dana)
    data = page_form(client.get(path_of(kb)))
    add_row(data, "user_grants", user=str(bob.pk), access="read")
    from rbac import services

    verb, met = services.set_grants, []

    def meanwhile(resource, grants, **values):
        if not met:
            met.append(resource)
            raise Conflict(([], []), ([*grants], []), values["by"])
        return verb(resource, grants, **values)

    monkeypatch.setattr(services, "set_grants", meanwhile)
    answer = client.post(path_of(kb), data)
    assert answer.status_code == 409 and page_form(answer)["user_grants-0-user"] == str(bob.pk)
    assert client.post(path_of(kb), page_form(answer)).status_code == 302


def test_a_count_of_rows_that_is_no_number_is_said(client_for, dana, kb, bob):
    client = client_for(dana)
    data = page_form(client.get(path_of(kb))) | {"access_version": "old", "user_grants-TOTAL_FORMS": "many"}
    assert client.post(path_of(kb), data).status_code == 409
    missing = path_of(kb).replace(str(kb.pk), "00000000-0000-4000-8000-000000000000")
    assert client.post(missing, data).status_code == 302


def test_a_refusal_while_a_page_is_read_is_no_form_error(prompt_admin, rf, dana, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise UserError("Not now.")

    monkeypatch.setattr(prompt_admin, "get_object", refuse)
    with pytest.raises(UserError):
        prompt_admin.changeform_view(request_of(rf, dana), "00000000-0000-4000-8000-000000000000")


def test_a_new_object_has_no_version_yet(client_for, dana):
    answer = client_for(dana).get("/admin/inference/aimodel/add/")
    assert answer.status_code == 200 and "access_version" not in answer.context
