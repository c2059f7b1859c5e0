"""Answers keep the passages they were made from; whoever reads a chat gets them only by his own rights of now."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from chat import rendering, selectors
from chat.models import Chat, Citation, Message
from chat.schemas import chat_json
from knowledge.models import Document, KnowledgeDocument
from rbac.services import set_grants
from tests.chat.helpers import ask, end
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db
PASSAGE = "The dose was doubled on day three."


@pytest.fixture
def answered(alice: Any, bob: Any, share: Any) -> SimpleNamespace:
    """Bob's answer on alice's base, which is shared with him, in a folder that carol reads."""
    base = make_shared("knowledge", alice)
    document = Document.objects.create(owner=alice, filename="SOP-17.pdf", state="live")
    KnowledgeDocument.objects.create(knowledge_base=base, document=document, added_by=alice)
    share(base, bob)
    started = ask(bob)
    end(started, "It was doubled [1].")
    metadata = {"file_id": str(document.pk), "name": "SOP-17.pdf", "source": "SOP-17.pdf", "headings": ["Patient 12"]}
    source = {
        "source": {"type": "collection", "id": str(base.pk), "name": "SOPs"},
        "document": [PASSAGE, "of no document"],
        "metadata": [metadata],
        "distances": [0.9],
    }
    Message.objects.filter(pk=started.message.pk).update(meta={"sources": [source]})
    Citation.objects.create(
        message=started.message, number=1, document=document, knowledge_base=base, document_name="SOP-17.pdf",
        text=PASSAGE, score=0.9,
    )  # fmt: skip
    return SimpleNamespace(base=base, chat=started.chat, message=started.message, source=source)


@pytest.fixture
def carol_reads(answered: Any, bob: Any, carol: Any, share: Any) -> None:
    folder = make_shared("folder", bob)
    share(folder, carol, "read")
    Chat.objects.filter(pk=answered.chat.pk).update(folder=folder)


def sources_of(answer: Any, message: Message) -> list[dict[str, Any]]:
    body = answer.json()["chat"]
    (flat,) = (m["sources"] for m in body["messages"] if m["id"] == str(message.pk))
    assert flat == body["history"]["messages"][str(message.pk)]["sources"]
    return flat  # type: ignore[no-any-return]


def shown_to(who: Any, answered: Any, api_for: Any) -> list[dict[str, Any]]:
    return sources_of(api_for(who).get(f"/api/v1/chats/{answered.chat.pk}"), answered.message)


def on_the_page(who: Any, answered: Any, client_for: Any) -> tuple[bool, bool]:
    html = client_for(who).get(f"/c/{answered.chat.pk}").content.decode()
    return PASSAGE in html, "SOP-17.pdf" in html


def test_who_may_read_the_document_reads_the_passage(answered: Any, bob: Any, api_for: Any, client_for: Any) -> None:
    (source,) = shown_to(bob, answered, api_for)
    assert source == answered.source | {"document": [PASSAGE, ""]}
    assert on_the_page(bob, answered, client_for) == (True, True)


@pytest.mark.usefixtures("carol_reads")
def test_a_reader_of_the_folder_sees_that_there_is_a_source_and_not_its_words(
    answered: Any, carol: Any, api_for: Any, client_for: Any, share: Any
) -> None:
    (source,) = shown_to(carol, answered, api_for)
    assert source["document"] == ["", ""] and source["source"] == answered.source["source"]
    assert source["metadata"] == [{k: v for k, v in answered.source["metadata"][0].items() if k != "headings"}]
    assert source["distances"] == [0.9]
    assert on_the_page(carol, answered, client_for) == (False, True)
    share(answered.base, carol, "read")
    assert shown_to(carol, answered, api_for)[0]["document"][0] == PASSAGE
    assert on_the_page(carol, answered, client_for) == (True, True)


def test_the_owner_of_the_chat_loses_the_words_with_the_right(
    answered: Any, alice: Any, bob: Any, api_for: Any, client_for: Any
) -> None:
    set_grants(answered.base, [], by=alice)
    assert shown_to(bob, answered, api_for)[0]["document"] == ["", ""]
    assert on_the_page(bob, answered, client_for) == (False, True)


def test_an_administrator_without_the_bypass_reads_chats_and_no_documents(
    answered: Any, dana: Any, api_for: Any, client_for: Any, settings: Any
) -> None:
    assert shown_to(dana, answered, api_for)[0]["document"][0] == PASSAGE
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert shown_to(dana, answered, api_for)[0]["document"] == ["", ""]
    assert on_the_page(dana, answered, client_for) == (False, True)


@pytest.mark.usefixtures("carol_reads")
def test_the_last_word_of_a_socket_follows_the_same_rule(answered: Any, bob: Any, carol: Any) -> None:
    shown = {}
    for who in (bob, carol):
        branch = selectors.load_branch(answered.chat, reader=who, only=answered.message.pk)
        (view,) = rendering.branch_views(branch.messages, branch.everything, branch.citations, branch.running)
        shown[who] = PASSAGE in str(rendering.final_ops(view, rendering.can_of(who)))
    assert shown == {bob: True, carol: False}
    assert Citation.objects.get().text == PASSAGE, "only what is shown is blank"


@pytest.mark.usefixtures("carol_reads")
def test_rights_are_asked_once_for_all_answers_of_a_chat(
    answered: Any, carol: Any, django_assert_num_queries: Any
) -> None:
    answers = [
        Message(chat=answered.chat, author="assistant", created_at=timezone.now(), meta={"sources": [answered.source]})
        for _number in range(9)
    ]
    with django_assert_num_queries(1):
        shown = chat_json(answered.chat, answers, reader=carol)
    with django_assert_num_queries(0):
        chat_json(answered.chat, [Message(chat=answered.chat, created_at=timezone.now())], reader=carol)
    assert PASSAGE not in str(shown)
