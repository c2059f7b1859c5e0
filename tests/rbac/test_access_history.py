"""The history of access: who could do what, and by whom."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from rbac import services
from rbac.grants import Grant
from rbac.models import AccessChange
from tests.factories.rbac import make_group, make_shared
from tests.rbac.access_pages import HISTORY, cost, to

pytestmark = pytest.mark.django_db


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
