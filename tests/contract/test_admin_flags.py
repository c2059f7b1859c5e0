"""The switches over administrators hold at every face that exists: page, REST and whole-table operations."""

from __future__ import annotations

import pytest

from chat.models import Chat, Message, State, Turn
from inference.models import AIModel
from knowledge.models import Document
from tests.factories.knowledge import make_base, make_document

pytestmark = pytest.mark.django_db
M = "/api/v1/models"


def model(owner, model_id: str, **fields) -> AIModel:
    return AIModel.objects.create(owner=owner, model_id=model_id, name=model_id, **fields)


def ids() -> set[str]:
    return set(AIModel.objects.values_list("model_id", flat=True))


def test_all_models_are_deleted_only_as_far_as_the_bypass_goes(api_for, dana, alice, settings):
    base = model(dana, "danas-base")
    model(dana, "danas")
    model(alice, "alices", base_model=base)
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert api_for(dana).delete(f"{M}/delete/all").json() is True
    assert ids() == {"alices", "danas-base"}, "and what somebody's model stands on stays"
    assert AIModel.objects.get(model_id="alices").base_model == base
    settings.BYPASS_ADMIN_ACCESS_CONTROL = True
    assert api_for(dana).delete(f"{M}/delete/all").json() is True and not ids()


def test_a_sync_removes_and_changes_only_what_the_administrator_may(api_for, dana, alice, settings):
    model(dana, "danas")
    model(alice, "alices")
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    api = api_for(dana)
    new = {"id": "new", "name": "New", "params": {}, "meta": {}}
    assert api.post(f"{M}/sync", {"models": [new]}).status_code == 200
    assert ids() == {"alices", "new"}
    assert api.post(f"{M}/sync", {"models": [{**new, "id": "alices"}]}).status_code == 401
    assert ids() == {"alices", "new"} and AIModel.objects.get(model_id="alices").name == "alices"
    settings.BYPASS_ADMIN_ACCESS_CONTROL = True
    assert api.post(f"{M}/sync", {"models": [new]}).status_code == 200 and ids() == {"new"}


def test_a_sync_gives_new_bases_to_what_it_keeps(api_for, dana):
    base = model(dana, "old-base")
    model(dana, "preset", base_model=base)
    preset = {"id": "preset", "name": "Preset", "base_model_id": "new-base", "params": {}, "meta": {}}
    new = {"id": "new-base", "name": "New", "params": {}, "meta": {}}
    assert api_for(dana).post(f"{M}/sync", {"models": [preset, new]}).status_code == 200
    assert ids() == {"preset", "new-base"}
    assert AIModel.objects.get(model_id="preset").base_model.model_id == "new-base"


def test_all_files_are_deleted_only_as_far_as_the_bypass_goes(api_for, dana, alice, settings):
    make_document(alice, bases=[make_base(alice)])
    make_document(dana)
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert api_for(dana).delete("/api/v1/files/all").status_code == 200
    assert Document.objects.get().owner == alice
    settings.BYPASS_ADMIN_ACCESS_CONTROL = True
    assert api_for(dana).delete("/api/v1/files/all").status_code == 200
    assert not Document.objects.exists()


def test_whoever_may_use_every_model_may_not_change_one(api_for, alice, bob, settings):
    row = model(alice, "alices")
    settings.BYPASS_MODEL_ACCESS_CONTROL = True
    assert AIModel.objects.readable_by(bob).get() == AIModel.objects.usable_by(bob).get() == row
    assert list(AIModel.objects.writable_by(alice)) == [row]
    assert not AIModel.objects.writable_by(bob).exists()
    form = {"id": "alices", "name": "Mine", "params": {}, "meta": {}}
    assert api_for(bob).post(f"{M}/model/update", form).status_code == 401
    assert api_for(bob).post(f"{M}/model/delete", {"id": "alices"}).status_code == 401


def test_administrators_read_chats_only_while_they_may(api_for, client_for, dana, alice, settings):
    chat = Chat.objects.create(owner=alice, title="Private")
    answer = Message.objects.create(chat=chat, author="assistant", state=State.RUNNING)
    turn = Turn.objects.create(chat=chat, message=answer, user=alice)

    def seen() -> list[object]:
        api = api_for(dana)
        tasks = api.get(f"/api/tasks/chat/{chat.pk}").json()["task_ids"]
        codes = [api.get(f"/api/v1/chats/{chat.pk}").status_code, client_for(dana).get(f"/c/{chat.pk}").status_code]
        return [*codes, tasks]

    assert seen() == [200, 200, [str(turn.pk)]]
    settings.ENABLE_ADMIN_CHAT_ACCESS = False
    assert seen() == [401, 404, []]
    settings.ENABLE_ADMIN_CHAT_ACCESS = True
    assert api_for(dana).delete(f"/api/v1/chats/{chat.pk}").status_code == 404, "the switch never lets anybody write"


@pytest.mark.parametrize("value", [True, False])
def test_clients_are_told_what_is_switched_on(api_for, dana, settings, value):
    settings.ENABLE_ADMIN_EXPORT = settings.ENABLE_ADMIN_CHAT_ACCESS = value
    features = api_for(dana).get("/api/config").json()["features"]
    assert features["enable_admin_export"] is features["enable_admin_chat_access"] is value
