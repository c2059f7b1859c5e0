"""The list of models: the same answer as the single records give, at once after each change, at a cost that follows
what is shown."""

from __future__ import annotations

import random
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inference import catalogue, records
from inference.connections import Connection, load_setup
from inference.live import Lists, LiveModel
from inference.models import AIModel, AIModelGroupGrant, AIModelUserGrant
from inference.providers.base import ConnectionInfo
from inference.schemas import listed_json, record_json
from owui.config import store
from rbac.grants import Grant, grants_of
from rbac.services import set_grants
from tests.factories.accounts import a_system_admin
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db
SERVER = Connection("openai", 0, ConnectionInfo(kind="openai", base_url="http://127.0.0.1:1/v1"), "", (), "external")


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_kept", {})
    monkeypatch.setattr(records, "_size", 0)


@pytest.fixture
def world(people: SimpleNamespace, base: Any, share: Any, carols_group: Any) -> SimpleNamespace:
    """alice's base model, readable by bob and carol's group, and a preset on it."""
    people.group = carols_group
    people.row = base(owner=people.alice)
    people.preset = base("preset", owner=people.alice, base_model=people.row, meta={"description": "Brief"})
    for thing in (people.row, people.preset):
        share(thing, people.bob)
        share(thing, carols_group, "write")
    return people


def listed(user: Any, *, records: bool = True, offered: tuple[str, ...] = ("fake-small",)) -> dict[str, Any]:
    """What `/api/models` shows to somebody, by id, while a server offers these."""
    live = {id: LiveModel(id, id, id, "openai", "openai", {"id": id}, (SERVER,)) for id in offered}
    found = catalogue._offered(user, catalogue._load(user, records, True), Lists(load_setup(), live, {}))
    if not records:
        return {model.id: model for model in found}
    return {item["id"]: item for item in orjson.loads(orjson.dumps([listed_json(model) for model in found]))}


def record(row: AIModel) -> Any:
    """What the single record says."""
    row = AIModel.objects.select_related("base_model").get(pk=row.pk)
    return orjson.loads(orjson.dumps(record_json(row, grants_of([row])[row.pk])))


def test_info_is_the_record(world: SimpleNamespace, share: Any) -> None:
    share(world.preset, world.mallory, "write")
    share(world.preset, make_group("Auditors"), "read")
    shown = listed(world.bob)
    assert shown["preset"]["info"] == record(world.preset)
    assert shown["fake-small"]["info"] == record(world.row)


def test_records_of_all_kinds_of_access(world: SimpleNamespace, base: Any) -> None:
    """Ends, write grants beside read grants, denials and every general rule, in any mixture."""
    rng = random.Random(3)
    groups = [make_group(f"Group {i}") for i in range(3)]
    people = [world.alice, world.carol, world.mallory, world.dana]
    for number in range(40):
        row = base(
            f"m-{number}",
            owner=rng.choice([world.bob, None]),
            general_access=rng.choice(["private", "private", "read", "write"]),
            base_model=rng.choice([None, world.row]),
            params={"system": 'Say "ü"', "big": 10**25},
            meta=rng.choice([{}, {"capabilities": {"vision": True}, "tags": [{"name": "x"}, "odd"]}]),
            created_at=timezone.now(),
        )
        AIModelUserGrant.objects.create(user=world.bob, content_object=row, permission=permission("view"))
        for table, kind, principals in ((AIModelGroupGrant, "group", groups), (AIModelUserGrant, "user", people)):
            for principal in rng.sample(principals, rng.randint(0, len(principals))):
                for name in rng.sample(["view", "change"], rng.randint(1, 2)):
                    ends = rng.choice([None, None, timedelta(days=1), timedelta(days=-1)])
                    table.objects.create(  # type: ignore[attr-defined]
                        **{kind: principal},
                        content_object=row,
                        permission=permission(name),
                        expires_at=ends and timezone.now() + ends,
                        is_denied=rng.random() < 0.2,
                    )
    shown = listed(world.bob, offered=("fake-small", *(f"m-{number}" for number in range(40))))
    assert len(shown) > 20
    for row in AIModel.objects.filter(model_id__in=list(shown)):
        # Python reads the large number whole; orjson gives what clients of doubles get.
        assert shown[row.model_id]["info"] == record_as_shown(row)


def record_as_shown(row: AIModel) -> Any:
    if "big" in row.params:
        AIModel.objects.filter(pk=row.pk).update(params={**row.params, "big": 1})
        return record(row) | {"params": {**row.params, "big": 1e25}}
    return record(row)


def permission(name: str) -> Permission:
    return Permission.objects.get(codename=f"{name}_aimodel")


def test_every_change_shows_at_once(world: SimpleNamespace, share: Any) -> None:
    def info() -> Any:
        shown = listed(world.bob)["preset"]["info"]
        assert shown == record(world.preset)
        return shown

    before = info()
    preset = AIModel.objects.get(pk=world.preset.pk)
    for field, value in (("params", {"system": "New"}), ("meta", {"tags": [{"name": "law"}]}), ("name", "Other")):
        setattr(preset, field, value)
        preset.save()
        after = info()
        assert after != before, field
        before = after
    share(world.preset, world.mallory)
    assert len(info()["access_grants"]) == len(before["access_grants"]) + 1
    AIModelUserGrant.objects.filter(user=world.mallory).update(expires_at=timezone.now() + timedelta(days=1))
    assert any("expires_at" in grant for grant in info()["access_grants"])
    AIModelUserGrant.objects.filter(user=world.mallory).update(expires_at=timezone.now() - timedelta(days=1))
    assert info()["access_grants"] == before["access_grants"]
    AIModel.objects.filter(pk=world.row.pk).update(model_id="renamed")
    assert listed(world.bob, offered=("renamed",))["preset"]["info"]["base_model_id"] == "renamed"
    set_grants(world.preset, [], by=a_system_admin())
    assert "preset" not in listed(world.bob)


def test_a_switched_off_or_lost_base_takes_its_presets_along(world: SimpleNamespace) -> None:
    assert set(listed(world.bob)) == {"fake-small", "preset"}
    AIModel.objects.filter(pk=world.row.pk).update(is_active=False)
    assert set(listed(world.bob)) == set()
    AIModel.objects.filter(pk=world.row.pk).update(is_active=True)
    set_grants(world.row, [Grant("user", str(world.carol.pk), "read")], by=a_system_admin())
    assert set(listed(world.bob)) == set()
    assert set(listed(world.carol)) == {"fake-small", "preset"}


@pytest.mark.parametrize("seed", range(5))
def test_list_and_look_up_agree_with_the_rule(world: SimpleNamespace, base: Any, seed: int) -> None:
    """`usable_by` is the rule; the list and the look-up ask it in their own, cheaper ways."""
    rng = random.Random(seed)
    rows: list[AIModel] = []
    for number in range(25):
        rows.append(
            base(
                f"m-{number}",
                owner=rng.choice([world.bob, world.alice, None]),
                general_access=rng.choice(["private", "read"]),
                is_active=rng.random() < 0.8,
                base_model=rng.choice([None, *[r for r in rows if depth(r) < 3]]),
            )
        )
    for user in (world.bob, world.mallory, world.dana, world.pending):
        rule = set(AIModel.objects.usable_by(user).values_list("model_id", flat=True))
        looked_up = {row.model_id for row in rows if catalogue._look_up(user, row.model_id)[1] is not None}
        assert looked_up == {name for name in rule if name.startswith("m-")}
        offered = ("fake-small", *(row.model_id for row in rows))
        assert {m.id for m in listed(user, records=False, offered=offered).values() if m.row} == rule


def depth(row: AIModel) -> int:
    return 1 + depth(row.base_model) if row.base_model else 0


def cost(work: Any) -> int:
    with CaptureQueriesContext(connection) as captured:
        work()
    return len(captured)


def test_number_of_statements_does_not_grow_with_the_list(
    world: SimpleNamespace, base: Any, share: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stored settings are read at most once in a while, whoever asks; here not at all.
    store.clear_cache()
    monkeypatch.setattr(store, "FRESH_FOR", 3600)
    load_setup()
    cold, warm = cost(lambda: listed(world.bob)), cost(lambda: listed(world.bob))
    admins = cost(lambda: listed(world.dana))
    for number in range(50):
        row = base(f"more-{number}", owner=world.alice, base_model=world.row)
        share(row, world.bob)
        share(row, world.group)
        base(f"hidden-{number}", owner=world.alice)
    assert (cost(lambda: listed(world.bob)), cost(lambda: listed(world.bob))) == (cold, warm) == (2, 1)
    assert len(listed(world.bob)) == 52
    assert cost(lambda: listed(world.dana)) <= admins + 1 <= 4


def test_only_what_changed_is_read_again(world: SimpleNamespace) -> None:
    listed(world.bob)
    kept = dict(records._kept)
    AIModel.objects.filter(pk=world.preset.pk).update(name="Other")
    listed(world.bob)
    assert records._kept[str(world.row.pk)] is kept[str(world.row.pk)]
    assert records._kept[str(world.preset.pk)].stamp != kept[str(world.preset.pk)].stamp


def test_what_is_kept_has_a_bound(world: SimpleNamespace, base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        base(f"more-{number}", owner=world.bob, params={"system": "x" * 1000})
    monkeypatch.setattr(records, "MAX_KEPT", 5000)
    offered = ("fake-small", *(f"more-{number}" for number in range(10)))
    for _ in range(2):
        assert len(listed(world.bob, offered=offered)) == 12
        assert 0 < sum(info.size for info in records._kept.values()) == records._size <= 5000
