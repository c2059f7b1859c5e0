"""Shared objects in Django admin: rows through the choke-point, grants through `set_grants`."""

from __future__ import annotations

import pytest
from django.contrib.admin.sites import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect, QueryDict

from owui.audit.models import AuditEvent
from rbac.admin import SharedAdmin, grant_inlines
from rbac.grants import Grant, grants_of
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
