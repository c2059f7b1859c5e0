"""The access map: which group reaches what, and why."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.utils import timezone

from owui.audit.models import AuditEvent
from rbac import governance, services
from rbac.grants import Grant
from rbac.sharing import resource_types
from tests.factories.accounts import UserFactory
from tests.factories.rbac import make_group, make_shared
from tests.rbac.access_pages import EXPORT, MAP, cost, to

pytestmark = pytest.mark.django_db


def drawn(answer) -> dict:
    names = [resource.label for resource in answer.context["resources"].object_list]
    return {
        (line.group.name, name): cell
        for line in answer.context["lines"]
        for name, cell in zip(names, line.cells, strict=True)
    }


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
