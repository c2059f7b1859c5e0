"""Sharing a chat by link: a snapshot, opened by whom its owner lets in; documents keep their own rights."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from chat import links
from chat.models import Chat, Citation, Message, SharedChat, State
from owui.audit.models import AuditEvent
from rbac.grants import Grant
from rbac.services import set_grants
from tests.chat.test_organising import talk
from tests.factories.accounts import a_system_admin
from tests.factories.knowledge import make_base, make_document

pytestmark = pytest.mark.django_db
API = "/api/v1/chats"
SECRET = "Nobody but readers of the base may see this passage"


@pytest.fixture
def shared(alice):
    return links.share_chat(by=alice, chat_id=talk(alice, "Question", "Answer **bold**").pk)


def open_to(shared: SharedChat, kind: str, pk: Any = "*") -> None:
    set_grants(shared, [Grant(kind, str(pk), "read")], by=a_system_admin())


def test_a_link_is_closed_to_all_but_its_owner_until_access_is_given(shared, alice, bob, mallory, api_for, client_for):
    url, page = f"{API}/share/{shared.pk}", f"/s/{shared.pk}"
    assert api_for(alice).get(url).json()["chat"]["messages"][1]["content"] == "Answer **bold**"
    assert api_for(bob).get(url).status_code == 401 and api_for().get(url).status_code == 401
    assert client_for(bob).get(page).status_code == 404
    assert client_for().get(page).url == f"/auth?next={page}" or "next=" in client_for().get(page).url
    open_to(shared, "user", bob.pk)
    assert api_for(bob).get(url).status_code == 200 and api_for(mallory).get(url).status_code == 401
    assert "<strong>bold</strong>" in client_for(bob).get(page).content.decode()
    open_to(shared, "user", mallory.pk)
    assert api_for(bob).get(url).status_code == 401


def test_everyone_signed_in_and_anyone_are_two_audiences(shared, bob, pending, api_for, client_for, set_config):
    url, page = f"{API}/share/{shared.pk}", f"/s/{shared.pk}"
    open_to(shared, "user")
    assert api_for(bob).get(url).status_code == 200 and api_for().get(url).status_code == 401
    open_to(shared, "anyone")
    assert api_for().get(url).status_code == 200
    answer = client_for().get(page)
    assert answer.status_code == 200 and b"Clone chat" not in answer.content
    assert client_for(pending).get(page).status_code == 200
    set_config("ui.response_watermark", "Written by AI. Review it.")
    assert b"Written by AI. Review it." in client_for().get(page).content, "also for strangers"


def test_the_owner_gives_only_the_audiences_they_may(shared, alice, api_for, set_config):
    url = f"{API}/shared/{shared.pk}/access/update"
    everyone = {"access_grants": [{"principal_type": "user", "principal_id": "*", "permission": "read"}]}
    anyone = {"access_grants": [{"principal_type": "anyone", "principal_id": "*", "permission": "read"}]}
    assert api_for(alice).post(url, everyone).status_code == 403
    set_config("user.permissions", {"sharing": {"public_chats": True}})
    assert api_for(alice).post(url, everyone).status_code == 200
    assert api_for(alice).post(url, anyone).status_code == 403
    set_config("user.permissions", {"sharing": {"public_chats": True, "open_chats": True}})
    assert api_for(alice).post(url, anyone).status_code == 200


def test_a_link_shows_what_was_said_then_until_it_is_updated(shared, alice, api_for):
    chat = shared.chat
    later = Message.objects.create(chat=chat, parent=chat.current, author="user", content="Later")
    Chat.objects.filter(pk=chat.pk).update(current=later, title="Renamed")
    url = f"{API}/share/{shared.pk}"
    assert [m["content"] for m in api_for(alice).get(url).json()["chat"]["messages"]] == ["Question", "Answer **bold**"]
    again = api_for(alice).post(f"{API}/{chat.pk}/share").json()
    assert again["share_id"] == str(shared.pk)
    said = api_for(alice).get(url).json()
    assert (said["title"], said["chat"]["messages"][-1]["content"]) == ("Renamed", "Later")


def test_what_was_asked_anew_in_other_words_is_not_behind_the_link(alice, mallory, api_for, client_for):
    chat = talk(alice, "My salary is 4711", "I see")
    question = Message.objects.create(chat=chat, author="user", content="What is a salary?")
    answer = Message.objects.create(chat=chat, parent=question, author="assistant", content="Money")
    Chat.objects.filter(pk=chat.pk).update(current=answer)
    shared = links.share_chat(by=alice, chat_id=chat.pk)
    open_to(shared, "anyone")
    api = api_for(mallory)
    said = api.get(f"{API}/share/{shared.pk}")
    history = said.json()["chat"]["history"]
    assert [m["content"] for m in said.json()["chat"]["messages"]] == ["What is a salary?", "Money"]
    assert history["messages"][str(question.pk)]["childrenIds"] == [str(answer.pk)]
    assert history["messages"][str(answer.pk)]["childrenIds"] == [] and history["currentId"] == str(answer.pk)
    copy = api.post(f"{API}/{shared.pk}/clone/shared").json()["id"]
    page = client_for().get(f"/s/{shared.pk}")
    for seen in (said, page, api.get(f"{API}/{copy}")):
        assert "Money" in seen.content.decode() and "4711" not in seen.content.decode()


def test_parameters_and_prompts_of_the_owner_stay_with_the_owner(alice, api_for):
    shared = links.share_chat(by=alice, chat_id=talk(alice, "Q", params={"system": "Secret prompt"}).pk)
    open_to(shared, "anyone")
    assert "Secret prompt" not in api_for().get(f"{API}/share/{shared.pk}").content.decode()


@pytest.fixture
def cited(alice):
    """An answer of alice's that quotes a document of a base of hers."""
    base = make_base(alice)
    document = make_document(alice, SECRET, bases=[base], filename="SOP.md")
    chat = talk(alice, "Question", "Answer [1]")
    answer = chat.messages.get(author="assistant")
    Citation.objects.create(message=answer, number=1, document=document, document_name="SOP.md", text=SECRET, score=0.9)
    metadata = {"source": "SOP.md", "name": "SOP.md", "file_id": str(document.pk)}
    source = {"source": {"id": str(base.pk), "name": "SOPs"}, "document": [SECRET], "metadata": [metadata]}
    answer.meta = {"sources": [source]}
    answer.save()
    return base, links.share_chat(by=alice, chat_id=chat.pk)


def test_passages_are_shown_by_the_rights_of_whoever_looks(cited, alice, bob, mallory, share, api_for, client_for):
    base, shared = cited
    open_to(shared, "anyone")
    share(base, bob, "read")
    for reader, sees in ((alice, True), (bob, True), (mallory, False), (None, False)):
        said = api_for(reader).get(f"{API}/share/{shared.pk}").content.decode()
        page = client_for(reader).get(f"/s/{shared.pk}").content.decode()
        assert (SECRET in said, SECRET in page) == (sees, sees), reader
        assert ("SOP.md" in said, "SOP.md" in page) == (sees, sees), "nor do others learn that there is such a document"
        assert str(base.pk) not in said + page


def test_places_of_closed_sources_keep_the_numbers_right(cited, mallory, api_for):
    _base, shared = cited
    answer = next(m for m in shared.snapshot["history"]["messages"].values() if m["role"] == "assistant")
    (first,) = answer["sources"]
    other = {**first, "metadata": [{"source": "Plan.pdf", "file_id": str(uuid.uuid4())}]}
    answer["sources"] = [first, first, other]
    shared.save()
    open_to(shared, "anyone")
    said = api_for(mallory).get(f"{API}/share/{shared.pk}").json()["chat"]["messages"][1]["sources"]
    assert [s["metadata"][0]["source"] for s in said] == ["source-1", "source-1", "source-2"]


def test_a_link_shows_what_was_said_and_by_which_model_and_nothing_behind_it(alice, mallory, api_for, client_for):
    chat = talk(alice, "Question", "Answer")
    question, answer = chat.messages.order_by("created_at")
    document = uuid.uuid4()
    question.files = [{"type": "file", "id": str(document), "name": "Salaries.xlsx"}]
    question.save()
    answer.reasoning, answer.usage = "I should not say that", {"completion_tokens": 7}
    answer.status_history = [{"action": "knowledge_search", "description": "Searched Salaries"}]
    answer.model_id, answer.model_name = "hidden-id", "House model"
    answer.save()
    shared = links.share_chat(by=alice, chat_id=chat.pk)
    open_to(shared, "anyone")
    for reader in (None, mallory, alice):
        said = api_for(reader).get(f"{API}/share/{shared.pk}").content.decode()
        page = client_for(reader).get(f"/s/{shared.pk}").content.decode()
        for secret in ("Salaries", str(document), "should not say", "hidden-id", "completion_tokens"):
            assert secret not in said and secret not in page, secret
        assert "House model" in said and '<p class="shared-model quiet small">House model</p>' in page
        assert "just now" not in page and shared.updated_at.strftime("%Y, %H:") in page
    made = api_for(mallory).post(f"{API}/{shared.pk}/clone/shared").json()
    assert "hidden-id" not in api_for(mallory).get(f"{API}/{made['id']}").content.decode()


def test_a_copy_of_a_link_carries_no_passage(cited, mallory, api_for):
    _base, shared = cited
    open_to(shared, "anyone")
    made = api_for(mallory).post(f"{API}/{shared.pk}/clone/shared").json()
    copy = Chat.objects.get(pk=made["id"])
    assert copy.owner == mallory
    assert [m.content for m in copy.messages.order_by("created_at")] == ["Question", "Answer [1]"]
    assert SECRET not in api_for(mallory).get(f"{API}/{copy.pk}").content.decode()
    assert not Citation.objects.filter(message__chat=copy).exists()


def test_the_link_goes_with_the_chat_and_by_itself(shared, alice, api_for):
    assert api_for(alice).delete(f"{API}/{shared.chat_id}/share").json() is True
    assert api_for(alice).get(f"{API}/share/{shared.pk}").status_code == 401
    assert api_for(alice).delete(f"{API}/{shared.chat_id}/share").status_code == 404
    again = links.share_chat(by=alice, chat_id=shared.chat_id)
    assert again.pk != shared.pk, "an old link must not come to life"
    shared.chat.delete()
    assert api_for(alice).get(f"{API}/share/{again.pk}").status_code == 401
    assert {e.action for e in AuditEvent.objects.filter(object_type="shared_chat")} >= {
        "shared_chat.created",
        "shared_chat.deleted",
    }


def test_sharing_needs_its_permission_and_a_finished_answer(alice, api_for, set_config):
    chat = talk(alice, "Question", "Half")
    chat.messages.filter(author="assistant").update(state=State.RUNNING)
    assert api_for(alice).post(f"{API}/{chat.pk}/share").status_code == 409
    chat.messages.update(state=State.DONE)
    set_config("user.permissions", {"chat": {"share": False}})
    assert api_for(alice).post(f"{API}/{chat.pk}/share").status_code == 401
    assert not SharedChat.objects.exists()


def test_nobody_shares_or_unshares_what_is_anothers(shared, bob, dana, api_for, client_for):
    for person in (bob, dana):
        assert api_for(person).post(f"{API}/{shared.chat_id}/share").status_code == 404
        assert api_for(person).delete(f"{API}/{shared.chat_id}/share").status_code == 404
        assert client_for(person, htmx=True).post(f"/c/{shared.chat_id}/unshare").status_code == 404
    assert api_for(bob).delete(f"{API}/share/all").json() is True
    assert SharedChat.objects.filter(pk=shared.pk).exists()


def test_administrators_open_links_only_while_they_may_read_chats(shared, dana, api_for, settings):
    assert api_for(dana).get(f"{API}/share/{shared.pk}").status_code == 200
    settings.ENABLE_ADMIN_CHAT_ACCESS = False
    assert api_for(dana).get(f"{API}/share/{shared.pk}").status_code == 401


def test_the_dialog_makes_shows_and_removes_the_link(alice, client_for):
    chat, browser = talk(alice, "Question"), client_for(alice, htmx=True)
    assert b"Create link" in browser.get(f"/c/{chat.pk}/share").content
    made = browser.post(f"/c/{chat.pk}/share").content.decode()
    shared = SharedChat.objects.get(chat=chat)
    assert f"http://testserver/s/{shared.pk}" in made and f"/access/shared_chat/{shared.pk}" in made
    assert b"Create link" in browser.post(f"/c/{chat.pk}/unshare").content
    assert not SharedChat.objects.exists()


def test_markup_of_a_shared_chat_is_only_text(alice, client_for):
    chat = talk(alice, "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", title="<script>alert(2)</script>")
    shared = links.share_chat(by=alice, chat_id=chat.pk)
    page = client_for(alice).get(f"/s/{shared.pk}").content.decode()
    assert "<script>alert" not in page and "onerror" not in page.replace("&lt;img src=x onerror=alert(1)&gt;", "")


def test_an_id_that_is_no_link_is_a_plain_404(alice, client_for, api_for):
    assert client_for(alice).get(f"/s/{uuid.uuid4()}").status_code == 404
    assert api_for(alice).get(f"{API}/share/not-an-id").status_code in (401, 404, 422)
