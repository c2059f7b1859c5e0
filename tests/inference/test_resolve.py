"""Which model a person may use, and what a preset adds to it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from inference import catalogue
from inference.catalogue import choices_for, choices_now, models_for, models_now, resolve_for
from inference.models import AIModel
from owui.lib.aio import in_thread
from owui.lib.errors import UserError
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)


async def refused(user: Any, model_id: str, status: int = 403) -> bool:
    try:
        await resolve_for(user, model_id, status=status)
    except UserError as error:
        assert (error.message, error.status) == ("Model not found", status)
        return True
    return False


@pytest.fixture
def world(
    people: SimpleNamespace,
    connect: Callable[..., None],
    server: FakeModelServer,
    base: Any,
    share: Any,
    carols_group: Any,
) -> SimpleNamespace:
    """fake-small is alice's, bob may read it, carol's group may write it; fake-large is registered by nobody."""
    connect([server])
    row = base(owner=people.alice, params={"temperature": 0.1, "system": "Be brief."}, meta={"tags": [{"name": "x"}]})
    share(row, people.bob, "read")
    share(row, carols_group, "write")
    people.row = row
    return people


@pytest.mark.parametrize("name", ["alice", "bob", "carol", "dana"])
async def test_owner_reader_writer_and_admin_may_use_it(world: SimpleNamespace, name: str) -> None:
    resolved = await resolve_for(getattr(world, name), "fake-small")
    assert (resolved.model_id, resolved.upstream_id, resolved.name) == ("fake-small", "fake-small", "Fake-Small")
    assert resolved.system == "Be brief."
    assert resolved.connection.base_url.startswith("http://127.0.0.1")


@pytest.mark.parametrize("name", ["mallory", "pending"])
async def test_others_learn_nothing(world: SimpleNamespace, name: str) -> None:
    user = getattr(world, name)
    assert await refused(user, "fake-small")
    assert await refused(user, "fake-large")
    assert await refused(user, "no-such-model", 404)


async def test_unregistered_model_is_for_administrators(world: SimpleNamespace, settings: Any) -> None:
    resolved = await resolve_for(world.dana, "fake-large")
    assert (resolved.row, resolved.name, dict(resolved.params)) == (None, "fake-large", {})
    assert await refused(world.alice, "fake-large")
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert (await resolve_for(world.dana, "fake-large")).row is None
    assert await refused(world.dana, "fake-small")  # registered, and not hers
    settings.BYPASS_MODEL_ACCESS_CONTROL = True
    assert (await resolve_for(world.mallory, "fake-large")).row is None
    assert (await resolve_for(world.mallory, "fake-small")).row is not None
    assert await refused(world.pending, "fake-small")


async def test_switched_off_model_is_nobodys(world: SimpleNamespace) -> None:
    await in_thread(lambda: AIModel.objects.filter(pk=world.row.pk).update(is_active=False))()
    for user in (world.alice, world.bob, world.dana):
        assert await refused(user, "fake-small")


async def test_revoked_grant_counts_at_once(world: SimpleNamespace) -> None:
    assert not await refused(world.bob, "fake-small")
    await in_thread(lambda: world.row.user_grants.all().delete())()
    assert await refused(world.bob, "fake-small")


async def test_preset_lies_over_its_base(world: SimpleNamespace) -> None:
    await in_thread(AIModel.objects.create)(
        model_id="pirate",
        name="Pirate",
        owner=world.alice,
        base_model=world.row,
        params={"system": "Talk like a pirate.", "top_p": 0.5, "stop": None},
        meta={"description": "Arr"},
    )
    resolved = await resolve_for(world.alice, "pirate")
    assert resolved.upstream_id == "fake-small"
    assert dict(resolved.params) == {"temperature": 0.1, "system": "Talk like a pirate.", "top_p": 0.5}
    assert dict(resolved.meta) == {"tags": [{"name": "x"}], "description": "Arr"}


async def test_preset_over_a_base_that_the_reader_may_not_read(world: SimpleNamespace, base: Any, share: Any) -> None:
    def build() -> None:
        secret = base("fake-large", owner=world.alice)
        preset = base("on-secret", owner=world.alice, base_model=secret)
        share(preset, world.bob, "read")

    await in_thread(build)()
    assert not await refused(world.alice, "on-secret")
    assert await refused(world.bob, "on-secret")
    assert "on-secret" not in {m.id for m in await models_for(world.bob)}


async def test_three_hops(world: SimpleNamespace, base: Any) -> None:
    def build() -> None:
        below = world.row
        for hop in (1, 2, 3):
            below = base(f"hop-{hop}", owner=world.alice, base_model=below, params={f"p{hop}": hop})

    await in_thread(build)()
    resolved = await resolve_for(world.alice, "hop-3")
    assert resolved.upstream_id == "fake-small"
    assert {"p1", "p2", "p3"} <= set(resolved.params)


async def test_granted_model_whose_server_is_gone_says_so(world: SimpleNamespace, base: Any) -> None:
    await in_thread(base)("gone", owner=world.alice)
    with pytest.raises(UserError, match="does not offer it at the moment") as caught:
        await resolve_for(world.alice, "gone")
    assert (caught.value.status, caught.value.code) == (502, "model_offline")
    assert await refused(world.mallory, "gone")


def statements(work: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connections["default"]) as captured:
        work()
    return len(captured)


def test_looking_up_costs_one_statement_and_two_at_most(world: SimpleNamespace, base: Any) -> None:
    base("preset", owner=world.alice, base_model=world.row)
    catalogue.load_setup()  # stored settings are read at most once in a while, whoever asks
    assert statements(lambda: catalogue._look_up(world.bob, "fake-small")) == 1
    assert statements(lambda: catalogue._look_up(world.alice, "preset")) == 2
    assert statements(lambda: catalogue._look_up(world.mallory, "fake-small")) == 1
    assert statements(lambda: catalogue._look_up(world.dana, "fake-large")) == 2


async def test_warm_look_up_needs_no_network(world: SimpleNamespace, server: FakeModelServer) -> None:
    await resolve_for(world.bob, "fake-small")
    before = len(server.requests)
    for _ in range(3):
        await resolve_for(world.bob, "fake-small")
        assert await refused(world.mallory, "unknown")
    assert len(server.requests) == before


async def test_model_pulled_a_moment_ago_is_found(world: SimpleNamespace, server: FakeModelServer) -> None:
    from tests.inference.test_live import age

    await resolve_for(world.dana, "fake-large")
    server.models.models.append("fresh")
    age(5)
    assert (await resolve_for(world.dana, "fresh")).upstream_id == "fresh"


@pytest.mark.parametrize("with_records", [False, True])
def test_listing_costs_the_same_for_one_and_fifty(world: SimpleNamespace, base: Any, with_records: bool) -> None:
    def cost(user: Any) -> int:
        # Records are read once for each version of a row, stored settings once in a while, whoever asks.
        catalogue._load(user, with_records, with_presets=True)
        return statements(lambda: catalogue._load(user, with_records, with_presets=True))

    for user in (world.alice, world.dana):
        one = cost(user)
        assert one <= 3
        for number in range(50):
            base(f"{user.name}-{number}", owner=world.alice, base_model=world.row)
        assert cost(user) == one


async def test_listing_follows_the_administrators_order(world: SimpleNamespace, set_config: Any) -> None:
    assert [m.id for m in await models_for(world.dana)] == ["fake-large", "fake-small"]
    await in_thread(set_config)("ui.model_order_list", ["fake-small"])
    assert [m.id for m in await models_for(world.dana)] == ["fake-small", "fake-large"]


async def test_picker_leaves_hidden_models_out(world: SimpleNamespace) -> None:
    assert await choices_for(world.bob) == [{"id": "fake-small", "name": "Fake-Small", "description": ""}]
    await in_thread(lambda: AIModel.objects.filter(pk=world.row.pk).update(meta={"hidden": True}))()
    assert await choices_for(world.bob) == []
    assert not await refused(world.bob, "fake-small")


def test_sync_code_hears_the_same_on_its_own_connection(
    world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_hop(*args: Any) -> None:
        raise AssertionError("a sync page must not wait for a second connection")

    monkeypatch.setattr(catalogue, "in_thread", no_hop)
    assert choices_now(world.bob) == [{"id": "fake-small", "name": "Fake-Small", "description": ""}]
    assert [m.id for m in models_now(world.dana)] == ["fake-large", "fake-small"]
    assert choices_now(world.mallory) == []
