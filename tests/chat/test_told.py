"""What creates, switches off or deletes a shared object names its person to the history and tells its readers."""

from __future__ import annotations

from typing import Any

import pytest

from chat.models import Chat
from rbac.models import AccessChange
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db
_V1 = "/api/v1"
CREATE = {
    "note": (f"{_V1}/notes/create", {"title": "New"}),
    "prompt": (f"{_V1}/prompts/create", {"command": "new", "name": "New", "content": "Text"}),
    "folder": (f"{_V1}/folders/", {"name": "New"}),
    "knowledge": (f"{_V1}/knowledge/create", {"name": "New", "description": ""}),
}
DELETE = {
    "note": f"{_V1}/notes/{{pk}}/delete",
    "prompt": f"{_V1}/prompts/id/{{pk}}/delete",
    "folder": f"{_V1}/folders/{{pk}}",
    "knowledge": f"{_V1}/knowledge/{{pk}}/delete",
}


@pytest.mark.parametrize("kind", CREATE)
def test_the_history_knows_who_made_it(dana: Any, api_for: Any, kind: str) -> None:
    path, sent = CREATE[kind]
    made = api_for(dana).post(path, sent).json()["id"]
    assert AccessChange.objects.get(kind="resource", object_id=made).changed_by == dana.pk


@pytest.mark.parametrize("kind", DELETE)
def test_who_deleted_it_and_its_readers_are_told(
    dana: Any, alice: Any, bob: Any, share: Any, api_for: Any, kind: str, announced: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:  # fmt: skip
    thing = make_shared(kind, alice)
    share(thing, bob, "read")
    with django_capture_on_commit_callbacks(execute=True):
        assert api_for(dana).delete(DELETE[kind].format(pk=thing.pk)).status_code == 200
    ended = AccessChange.objects.filter(object_id=thing.pk)
    assert {row.kind: row.ended_by for row in ended} == {"resource": dana.pk, "grant": dana.pk}
    assert (kind, str(thing.pk)) in announced


def test_readers_of_a_prompt_are_told_when_it_is_switched_and_not_when_it_is_renamed(
    alice: Any, api_for: Any, announced: Any, django_capture_on_commit_callbacks: Any
) -> None:
    prompt = make_shared("prompt", alice, name="Old", content="Text")
    path = f"{_V1}/prompts/id/{prompt.pk}"
    with django_capture_on_commit_callbacks(execute=True):
        sent = {"command": prompt.command, "name": "New", "content": "Text"}
        assert api_for(alice).post(f"{path}/update", sent).status_code == 200
    assert announced == []
    with django_capture_on_commit_callbacks(execute=True):
        assert api_for(alice).post(f"{path}/toggle").json()["is_active"] is False
    assert announced == [("prompt", str(prompt.pk))]


def test_a_link_that_goes_with_its_chat_ends_by_the_hand_of_its_owner(alice: Any, api_for: Any) -> None:
    chat = Chat.objects.create(owner=alice)
    link = make_shared("shared_chat", alice, chat=chat)
    assert api_for(alice).delete(f"{_V1}/chats/{chat.pk}").status_code == 200
    assert AccessChange.objects.get(kind="resource", object_id=link.pk).ended_by == alice.pk
