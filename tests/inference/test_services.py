"""Writing models: who may, what is refused, and what the audit log keeps of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from inference import services
from inference.models import AIModel
from inference.services import ModelValues
from owui.audit.models import AuditEvent
from owui.lib.errors import UserError
from rbac.grants import Grant, grants_of
from tests.factories.rbac import make_group, make_shared

pytestmark = pytest.mark.django_db

ALLOWED = {"workspace": {"models": True, "models_import": True}, "sharing": {"models": True}}


@pytest.fixture
def makers(people: SimpleNamespace) -> None:
    """alice and bob may make models."""
    make_group("Makers", members=[people.alice, people.bob], permissions=ALLOWED)


@pytest.fixture
def row(people: SimpleNamespace, base: Any, makers: None) -> AIModel:
    return base(owner=people.alice)


def values(model_id: str = "preset", base_id: str | None = "fake-small", **more: Any) -> ModelValues:
    return ModelValues(**{"model_id": model_id, "name": model_id.title(), "base_model_id": base_id, **more})


def refusal(work: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        work()
    return caught.value


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))


def test_create_stores_grants_and_an_audit_entry(row: AIModel, people: SimpleNamespace) -> None:
    grants = [Grant("user", str(people.mallory.pk), "read"), Grant("user", "*", "read")]
    made = services.create_model(values=values(grants=grants), by=people.alice)
    assert (made.owner_id, made.base_model) == (people.alice.pk, row)
    assert grants_of([made])[made.pk] == grants[:1]  # sharing with everyone is another permission, dropped on create
    assert actions()[-2:] == ["model.created", "access.set"]


def test_without_the_permission_nobody_creates(row: AIModel, people: SimpleNamespace) -> None:
    error = refusal(lambda: services.create_model(values=values(), by=people.mallory))
    assert (error.status, error.message) == (401, "401 Unauthorized")


def test_id_is_taken_once(row: AIModel, people: SimpleNamespace) -> None:
    services.create_model(values=values(), by=people.alice)
    assert refusal(lambda: services.create_model(values=values(), by=people.alice)).code == "id_taken"


@pytest.mark.parametrize("bad", ["", " ", "a<b>", 'a"b', "a\nb", "x" * 256, "a\x00b", "?a", "a%2Fb"])
def test_bad_ids_are_refused(row: AIModel, people: SimpleNamespace, bad: str) -> None:
    assert refusal(lambda: services.create_model(values=values(bad, name="n"), by=people.alice)).code == "id_invalid"


@pytest.mark.parametrize(
    "good", ["llama3.2:1b", "meta-llama/Llama-3_8B", "/models/Some Model.gguf", "größe", "a@b+c~1"]
)
def test_ids_of_real_servers_are_accepted(people: SimpleNamespace, good: str) -> None:
    assert services.create_model(values=values(good, None, name="n"), by=people.dana).model_id == good


def test_base_must_be_usable_by_the_maker(row: AIModel, people: SimpleNamespace, base: Any) -> None:
    base("secret", owner=people.dana)
    assert (
        refusal(lambda: services.create_model(values=values(base_id="secret"), by=people.alice)).code == "base_missing"
    )
    assert (
        refusal(lambda: services.create_model(values=values(base_id="nowhere"), by=people.alice)).code == "base_missing"
    )


def test_only_administrators_make_models_without_a_base(row: AIModel, people: SimpleNamespace) -> None:
    """Else anybody could register a server's unregistered model for themselves."""
    assert (
        refusal(lambda: services.create_model(values=values("fake-large", None), by=people.alice)).code
        == "base_missing"
    )
    made = services.create_model(values=values("fake-large"), by=people.alice)
    freed = values("fake-large", None)
    assert refusal(lambda: services.update_model(made, values=freed, by=people.alice)).code == "base_missing"
    assert services.create_model(values=values("other", None), by=people.dana).base_model is None


def test_administrators_base_gets_a_private_row(people: SimpleNamespace) -> None:
    made = services.create_model(values=values(base_id="fake-large"), by=people.dana)
    assert made.base_model is not None
    assert (made.base_model.model_id, made.base_model.general_access) == ("fake-large", "private")


def test_loops_are_refused(row: AIModel, people: SimpleNamespace) -> None:
    one = services.create_model(values=values("one"), by=people.alice)
    services.create_model(values=values("two", "one"), by=people.alice)
    for target in ("one", "two"):
        error = refusal(lambda t=target: services.update_model(one, values=values("one", t), by=people.alice))
        assert error.code == "base_loop"


def test_three_hops_are_the_end(row: AIModel, people: SimpleNamespace) -> None:
    for at, below in enumerate(("fake-small", "m0", "m1")):
        services.create_model(values=values(f"m{at}", below), by=people.alice)
    assert refusal(lambda: services.create_model(values=values("m3", "m2"), by=people.alice)).code == "base_depth"
    lower = services.create_model(values=values("lower", None), by=people.dana)
    assert refusal(lambda: services.update_model(row, values=values("fake-small", "lower"), by=people.dana)).code == (
        "base_depth"
    )
    assert lower.base_model is None


def test_update_says_what_changed_but_not_the_text(row: AIModel, people: SimpleNamespace) -> None:
    made = services.create_model(values=values(), by=people.alice)
    changed = values(name="New  name", params={"system": "very private words"})
    services.update_model(made, values=changed, by=people.alice)
    made.refresh_from_db()
    assert made.name == "New name"
    event = AuditEvent.objects.latest("pk")
    assert event.action == "model.updated"
    assert event.detail == {"model": "preset", "changed": ["name", "params"]}


def test_nothing_changed_is_nothing_said(row: AIModel, people: SimpleNamespace) -> None:
    made = services.create_model(values=values(), by=people.alice)
    before = actions()
    services.update_model(made, values=values(), by=people.alice)
    services.set_active(made, is_active=True, by=people.alice)
    assert actions() == before


def test_base_in_use_is_not_deleted(row: AIModel, people: SimpleNamespace) -> None:
    made = services.create_model(values=values(), by=people.alice)
    error = refusal(lambda: services.delete_model(row, by=people.alice))
    assert (error.code, "Preset" in error.message) == ("model_in_use", True)
    services.delete_model(made, by=people.alice)
    services.delete_model(AIModel.objects.get(pk=row.pk), by=people.alice)
    assert actions()[-2:] == ["model.deleted", "model.deleted"]


def test_attachments_must_be_readable_by_who_attaches_them(row: AIModel, people: SimpleNamespace, share: Any) -> None:
    kb = make_shared("knowledge", people.bob)
    meta = {"knowledge": [{"type": "collection", "id": str(kb.pk)}]}
    assert refusal(lambda: services.create_model(values=values(meta=meta), by=people.alice)).code == "attachment"
    share(kb, people.alice, "read")
    made = services.create_model(values=values(meta=meta), by=people.alice)
    share(made, people.mallory, "write")
    # what was attached by one who may read it stays when another writer saves
    services.update_model(made, values=values(name="x", meta=meta), by=people.mallory)
    other = make_shared("tool", people.bob)
    bad = {**meta, "toolIds": [other.tool_id]}  # type: ignore[attr-defined]
    assert refusal(lambda: services.update_model(made, values=values(meta=bad), by=people.mallory)).code == "attachment"
    for broken in ({"knowledge": ["not-a-uuid"]}, {"knowledge": [{"id": "00000000-0000-0000-0000-000000000000"}]}):
        assert refusal(lambda b=broken: services.create_model(values=values("p2", meta=b), by=people.alice))


def test_no_spelling_of_an_attachment_gets_around_the_check(row: AIModel, people: SimpleNamespace, share: Any) -> None:
    """What a model holds is read with the rights of its owner: another writer must not add what only she may read."""
    secret = make_shared("knowledge", people.alice)
    made = services.create_model(values=values(), by=people.alice)
    share(made, people.bob, "write")
    for kind in ("", None, "collection", "file"):
        meta = {"knowledge": [{"type": kind, "id": str(secret.pk)}]}
        error = refusal(lambda meta=meta: services.update_model(made, values=values(meta=meta), by=people.bob))
        assert error.code == "attachment", kind
    own_file = {"knowledge": [{"type": "file", "id": str(secret.pk)}]}
    assert services.update_model(made, values=values(meta=own_file), by=people.alice).meta == own_file


def test_register_live_is_private_and_runs_twice(people: SimpleNamespace) -> None:
    names = {"a": "Model A", "b": ""}
    assert [r.name for r in services.register_live(names, by=people.dana)] == ["Model A", "b"]
    assert services.register_live(names, by=people.dana) == []
    (public,) = services.register_live({"c": "C"}, by=None, is_public=True)
    assert (public.general_access, public.owner) == ("read", None)
    assert actions() == ["model.registered"] * 3


def test_import_updates_only_what_is_writable(row: AIModel, people: SimpleNamespace, share: Any) -> None:
    services.import_models([values("p2", "p1"), values("p1")], by=people.alice)  # bases first, whatever the order
    assert AIModel.objects.get(model_id="p2").base_model.model_id == "p1"  # type: ignore[union-attr]
    share(row, people.bob, "read")
    share(AIModel.objects.get(model_id="p1"), people.bob, "read")
    error = refusal(lambda: services.import_models([values("p1", name="stolen")], by=people.bob))
    assert error.status == 401
    assert refusal(lambda: services.import_models([], by=people.mallory)).status == 401
    assert AIModel.objects.get(model_id="p1").name == "P1"


def test_sync_makes_the_list_true(row: AIModel, people: SimpleNamespace) -> None:
    services.create_model(values=values("old"), by=people.alice)
    services.sync_models([values("new", "kept"), values("kept", None)], by=people.dana)
    assert sorted(AIModel.objects.values_list("model_id", flat=True)) == ["kept", "new"]


def test_delete_all(row: AIModel, people: SimpleNamespace) -> None:
    services.create_model(values=values(), by=people.alice)
    assert services.delete_all(by=people.dana) == 2
    assert not AIModel.objects.exists()
    assert actions()[-1] == "model.all_deleted"


def test_fields_that_choose_another_model_do_not_pass() -> None:
    from inference.providers.params import allowed, custom

    body = {"model": "a", "models": ["b"], "fallbacks": ["c"], "route": "fallback", "temperature": 1}
    assert allowed(body) == {"model": "a", "temperature": 1}
    assert custom({"custom_params": {"models": '["b"]', "top_a": "1"}}) == {"top_a": 1}


def test_tool_servers_are_attached_by_those_who_may_use_them(row: AIModel, people: SimpleNamespace) -> None:
    from inference.models import ToolServer
    from rbac.services import set_grants
    from tests.factories.accounts import a_system_admin

    hr = ToolServer.objects.create(server_id="hr", name="HR", url="https://hr.internal")
    lab = ToolServer.objects.create(server_id="lab", name="Lab", url="https://lab.internal", kind="mcp")
    set_grants(lab, [Grant("user", str(people.alice.pk), "read")], by=a_system_admin())
    for tool_id in ("server:hr", "server:mcp:hr", "server:lab", "server:gone", {"id": "server:hr"}):
        made = values(meta={"toolIds": ["server:mcp:lab", tool_id]})
        assert refusal(lambda made=made: services.create_model(values=made, by=people.alice)).code == "attachment"
    preset = services.create_model(values=values(meta={"toolIds": ["server:mcp:lab"]}), by=people.alice)
    everything = values(meta={"toolIds": ["server:mcp:lab", "server:hr"]})
    services.update_model(preset, values=everything, by=people.dana)
    hr.delete()
    services.update_model(preset, values=everything, by=people.alice)  # what was attached before is not asked for again
