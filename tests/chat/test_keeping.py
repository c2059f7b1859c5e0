"""Where chats are kept, nothing of them goes: by no page, no program, not in bulk, not by being written over."""

from __future__ import annotations

from typing import Any

import pytest

from chat import feedback
from chat.models import Chat, Feedback, Message, MessageVersion
from knowledge.models import Document
from owui.audit.models import AuditEvent
from tests.chat.helpers import ask
from tests.chat.test_organising import talk
from tests.factories.knowledge import make_base, make_document
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db
API = "/api/v1"


@pytest.fixture
def kept(alice: Any, set_config: Any) -> Chat:
    """A chat in a folder; its owner may edit, but delete nothing."""
    set_config("user.permissions", {"chat": {"delete": False, "delete_message": True, "edit": True, "import": True}})
    return talk(alice, "Question", "Answer", folder=make_shared("folder", alice, name="Batch"))


def test_no_way_takes_a_chat_or_a_message_away(alice: Any, kept: Chat, api_for: Any, client_for: Any) -> None:
    api, page = api_for(alice), client_for(alice, htmx=True)
    answer = kept.messages.get(author="assistant")
    refused = [
        api.delete(f"{API}/chats/{kept.pk}"),
        api.delete(f"{API}/chats/"),
        api.delete(f"{API}/folders/{kept.folder_id}"),
        api.delete(f"{API}/folders/{kept.folder_id}?delete_contents=true"),
        page.get(f"/c/{kept.pk}/delete"),
        page.post(f"/c/{kept.pk}/delete"),
        page.get(f"/c/{kept.pk}/messages/{answer.pk}/delete"),
        page.post(f"/c/{kept.pk}/messages/{answer.pk}/delete"),
    ]
    assert [response.status_code for response in refused] == [401, 401, 403, 403, 403, 403, 403, 403]
    menu = page.get(f"/c/{kept.pk}/messages/{answer.pk}/menu").content.decode()
    assert "/delete" not in menu
    page.post(f"/folders/{kept.folder_id}/remove", {"delete_contents": "1"})
    assert Chat.objects.filter(pk=kept.pk).exists() and Message.objects.count() == 2


def test_no_way_takes_a_rating_away(alice: Any, dana: Any, kept: Chat, api_for: Any, client_for: Any) -> None:
    api, page = api_for(alice), client_for(alice, htmx=True)
    answer = kept.messages.get(author="assistant")
    said = {"comment": "Not what the leaflet says.", "score": "2"}
    row = feedback.rate(by=alice, message_id=answer.pk, rating=-1, said=said)
    refused = [
        api.delete(f"{API}/evaluations/feedback/{row.pk}"),
        api.delete(f"{API}/evaluations/feedbacks"),
        page.post(f"/c/{kept.pk}/messages/{answer.pk}/unrate"),
    ]
    assert [response.status_code for response in refused] == [401, 401, 403]
    assert "/unrate" not in page.get(f"/c/{kept.pk}/messages/{answer.pk}/rate").content.decode()
    # Nor by leaving out what was said; other words may come in its place.
    for data in ({"tags": ["x"]}, {"rating": None, "comment": None}, {"rating": 1}):
        assert api.post(f"{API}/evaluations/feedback/{row.pk}", {"data": data}).status_code == 200
    row = Feedback.objects.get()
    assert (row.data["rating"], row.data["comment"], row.data["tags"]) == (1, said["comment"], ["x"])
    answer.refresh_from_db()
    assert answer.meta["annotation"] == {"rating": 1}
    assert not AuditEvent.objects.filter(action__startswith="feedback.delete").exists()
    assert api_for(dana).delete(f"{API}/evaluations/feedback/{row.pk}").status_code == 200, "administrators may"


def test_a_copy_without_messages_loses_none_and_other_words_leave_the_former_ones(
    alice: Any, kept: Chat, api_for: Any
) -> None:
    api = api_for(alice)
    sent = api.get(f"{API}/chats/{kept.pk}").json()["chat"]
    answer = kept.messages.get(author="assistant")
    sent["history"]["messages"] = {str(answer.pk): {**sent["history"]["messages"][str(answer.pk)], "content": "Mine"}}
    assert api.post(f"{API}/chats/{kept.pk}", {"chat": sent}).status_code == 200
    assert api.post(f"{API}/chats/{kept.pk}", {"chat": {**sent, "history": {"messages": {}}}}).status_code == 200
    assert sorted(kept.messages.values_list("content", flat=True)) == ["Mine", "Question"]
    version = MessageVersion.objects.get()
    assert (version.content, version.message_id, version.replaced_by) == ("Answer", answer.pk, alice)
    assert AuditEvent.objects.get(action="message.edit").detail["version"] == version.pk
    assert Message.objects.get(pk=answer.pk).meta["edited_at"], "and the page says so"


def test_files_that_went_into_a_chat_are_kept_with_it(
    alice: Any, kept: Chat, api_for: Any, client_for: Any, set_config: Any
) -> None:
    base = make_base(alice)
    asked, other = make_document(alice, bases=[base], filename="a.txt"), make_document(alice, filename="b.txt")
    ask(alice, file_ids=[str(asked.pk)])
    api, page = api_for(alice), client_for(alice, htmx=True)
    refused = api.delete(f"{API}/files/{asked.pk}")
    assert refused.status_code == 403 and "chats are kept here" in refused.json()["detail"]
    assert page.post("/settings/files/remove", {"file": str(asked.pk)}).status_code == 403
    removed = api.post(f"{API}/knowledge/{base.pk}/file/remove?delete_file=true", {"file_id": str(asked.pk)})
    assert removed.status_code == 200 and not base.links.exists(), "out of the base, so that nobody finds it there"
    assert Document.objects.filter(pk=asked.pk).exists()
    assert api.delete(f"{API}/files/{other.pk}").status_code == 200
    set_config("user.permissions", {"chat": {"delete": True}})
    assert api.delete(f"{API}/files/{asked.pk}").status_code == 200


def test_a_file_brought_in_again_writes_over_nothing(alice: Any, kept: Chat, api_for: Any) -> None:
    api = api_for(alice)
    entry = api.get(f"{API}/chats/{kept.pk}").json()
    entry["chat"]["history"]["messages"] = {}
    entry["chat"]["messages"] = []
    assert api.post(f"{API}/chats/import", {"chats": [entry]}).status_code == 200
    assert Chat.objects.count() == 2 and kept.messages.count() == 2
