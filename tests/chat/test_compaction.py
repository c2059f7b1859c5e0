"""The commands of a chat: a summary for the model, a copy, and what goes to it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from chat import compaction, services, versions
from chat.compaction import pieces
from chat.models import Chat, Message
from owui.audit.models import AuditEvent
from owui.lib.aio import in_thread
from owui.lib.errors import UserError
from tests.chat.helpers import ask, end
from tests.chat.test_views import browser, saved
from tests.conftest import token_for
from tests.fakes.model_server import FakeModelServer

live = pytest.mark.django_db(transaction=True)


def talk(user: Any) -> Any:
    """Two questions with their answers."""
    first = ask(user, "How is a mixer cleaned?")
    end(first, "With water.")
    second = ask(user, "And dried?", chat_id=first.chat.pk)
    end(second, "With air. [[text=THE SUMMARY]]")
    return second


@live
async def test_the_model_gets_the_summary_and_people_keep_the_words(
    process: Any, alice: Any, small: Any, server: FakeModelServer
) -> None:
    started = await in_thread(talk)(alice)
    page, address = browser(await in_thread(token_for)(alice)), f"/c/{started.chat.pk}"

    def sent() -> list[str]:
        bodies = [r.json for r in server.requests if r.path == "/v1/chat/completions"]
        return [m["content"] for m in bodies[-1]["messages"]]

    async def ask_on(text: str) -> None:
        await page.post(f"{address}/messages", {"text": text, "model": "fake-small"})
        chat = await in_thread(Chat.objects.get)()
        await saved(chat.current_id)

    shown = await page.post(f"{address}/compact", {"model": "fake-small"})
    html = shown.content.decode()
    assert shown.status_code == 200 and "THE SUMMARY" in html and "With water." in html
    assert "USER: How is a mixer cleaned?" in sent()[-1] and "ASSISTANT: With water." in sent()[-1]
    await ask_on("Who says so? [[n=2]]")
    assert sent()[-2:] == ["THE SUMMARY", "Who says so? [[n=2]]"] and not any("water" in text for text in sent())
    status = (await page.get(f"{address}/status?model=fake-small")).content.decode()
    assert "6 shown, 6 with all versions" in status and "as a summary" in status and "tokens" in status

    whole = await page.post(f"{address}/messages/{started.message.pk}/whole")
    assert whole.status_code == 200 and "compacted" not in whole.content.decode()
    await ask_on("Again? [[n=2]]")
    assert sent()[0] == "How is a mixer cleaned?"
    actions = await in_thread(lambda: list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)))()
    assert "chat.compact" in actions and "chat.uncompact" in actions


@pytest.mark.django_db
def test_a_summary_of_other_words_does_not_stay(alice, mallory):
    second = talk(alice)
    long = compaction.long_branch(alice, second.chat.pk)
    with pytest.raises(UserError):
        compaction.long_branch(mallory, second.chat.pk)
    compaction.keep_summary(by=alice, long=long, summary="In short.")
    summaries = Message.objects.filter(meta__has_key="summary")
    assert summaries.count() == 1
    versions.save_text(by=alice, message_id=Message.objects.order_by("created_at")[0].pk, text="How is it rinsed?")
    assert not summaries.exists()
    compaction.keep_summary(by=alice, long=long, summary="In short.")
    names = {"model_id": "fake-small", "model_name": "Fake small"}
    services.continue_answer(by=alice, runner_id=uuid.uuid4(), message_id=second.message.pk, **names)
    assert not summaries.exists()
    with pytest.raises(UserError, match="went on"):
        compaction.keep_summary(by=alice, long=long, summary="In short.")


@pytest.mark.django_db
def test_what_is_too_short_or_still_written_is_not_summarised(alice):
    started = ask(alice)
    with pytest.raises(UserError, match="Wait"):
        compaction.long_branch(alice, started.chat.pk)
    end(started)
    with pytest.raises(UserError, match="too short"):
        compaction.long_branch(alice, started.chat.pk)


def test_a_long_conversation_comes_in_pieces_that_hold_every_word():
    history = [{"role": "user", "content": "a" * 5000}, {"role": "assistant", "content": "b </conversation> c"}]
    parts = pieces(history, room=400)
    assert len(parts) > 3 and "".join(parts).count("a") >= 5000
    assert "</conversation>" not in "".join(parts)


@pytest.mark.django_db
def test_commands_are_offered_in_ones_own_chat(client_for, alice, bob, set_config):
    started = talk(alice)
    here = {"headers": {"HX-Current-URL": f"http://testserver/c/{started.chat.pk}"}}
    html = client_for(alice).get("/c/pick/prompt?q=", **here).content.decode()
    assert all(f"/{name}" in html for name in ("compact", "fork", "status"))
    assert "/status" in client_for(alice).get("/c/pick/prompt?q=sta", **here).content.decode()
    assert "/compact" not in client_for(alice).get("/c/pick/prompt").content.decode()
    assert "/compact" not in client_for(bob).get("/c/pick/prompt", **here).content.decode()
    forked = client_for(alice).post(f"/c/{started.chat.pk}/fork", headers={"hx-request": "true"})
    assert Chat.objects.exclude(pk=started.chat.pk).get().messages.count() == 4 and forked["HX-Redirect"]
    set_config("user.permissions", {"chat": {"import": False}})
    assert "/fork" not in client_for(alice).get("/c/pick/prompt", **here).content.decode()
    assert client_for(alice).post(f"/c/{started.chat.pk}/fork").status_code == 403
