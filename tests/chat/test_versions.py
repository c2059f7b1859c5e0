"""Messages in other words, copied, taken away, asked again differently."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import RequestFactory
from lxml import html as lxml_html

from chat import copies, services, versions
from chat.models import Chat, Citation, Message, MessageVersion
from chat.views.editing import edit_form
from owui.audit.models import AuditEvent
from owui.lib.errors import Missing, Refused, UserError
from owui.lib.markdown import code_blocks
from tests.chat.helpers import MODEL, ask, end

pytestmark = pytest.mark.django_db


def again(user: Any) -> Any:
    """The person as the next request reads them: what they may is asked anew."""
    return type(user).objects.get(pk=user.pk)


def answered(user: Any, text: str = "What is it?", said: str = "It is so.", **more: Any) -> Any:
    started = ask(user, text, **more)
    end(started, said)
    started.message.refresh_from_db()
    return started


def test_a_text_is_saved_in_place_and_the_former_one_is_kept(alice):
    started = answered(alice)
    versions.save_text(by=alice, message_id=started.question.pk, text="What is that?")
    versions.save_text(by=alice, message_id=started.message.pk, text="It is not so.")
    assert [m.content for m in Message.objects.order_by("created_at")] == ["What is that?", "It is not so."]
    kept = MessageVersion.objects.order_by("pk")
    assert [(v.content, v.replaced_by) for v in kept] == [("What is it?", alice), ("It is so.", alice)]
    events = AuditEvent.objects.filter(action="message.edit").order_by("pk")
    assert [e.detail["version"] for e in events] == [v.pk for v in kept]
    assert "It is" not in str([e.detail for e in events]), "no words in the log, which nobody can clean"


def test_the_same_text_is_no_change(alice):
    started = answered(alice)
    versions.save_text(by=alice, message_id=started.message.pk, text="It is so.")
    assert not MessageVersion.objects.exists() and not AuditEvent.objects.filter(action="message.edit").exists()


@pytest.mark.parametrize("verb", ["save_text", "save_copy"])
def test_only_owners_with_the_permission_change_words(alice, mallory, set_config, verb):
    started = answered(alice)
    change = getattr(versions, verb)
    with pytest.raises(Missing):
        change(by=mallory, message_id=started.message.pk, text="No.")
    with pytest.raises(UserError):
        change(by=alice, message_id=started.message.pk, text="  ")
    set_config("user.permissions", {"chat": {"edit": False}})
    with pytest.raises(Refused):
        change(by=again(alice), message_id=started.message.pk, text="No.")
    assert not MessageVersion.objects.exists() and Message.objects.count() == 2


def test_what_is_being_written_is_left_alone(alice):
    started = ask(alice)
    for change in (versions.save_text, versions.save_copy):
        with pytest.raises(UserError) as refused:
            change(by=alice, message_id=started.message.pk, text="No.")
        assert refused.value.status == 409
    with pytest.raises(UserError):
        versions.delete_message(by=alice, message_id=started.message.pk)


def test_a_copy_stands_beside_the_model_s_answer(alice):
    started = answered(alice)
    chat = versions.save_copy(by=alice, message_id=started.message.pk, text="My words.")
    copy = Message.objects.get(pk=chat.current_id)
    assert (copy.content, copy.parent_id) == ("My words.", started.question.pk)
    assert Message.objects.get(pk=started.message.pk).content == "It is so."
    with pytest.raises(UserError):
        versions.save_copy(by=alice, message_id=started.question.pk, text="x")


def test_what_followed_a_deleted_message_follows_what_it_followed(alice):
    first = answered(alice, "One", "A")
    second = answered(alice, "Two", "B", chat_id=first.chat.pk)
    versions.delete_message(by=alice, message_id=first.message.pk)
    assert Message.objects.get(pk=second.question.pk).parent_id == first.question.pk
    versions.delete_message(by=alice, message_id=first.question.pk)
    assert Message.objects.get(pk=second.question.pk).parent_id is None
    chat = Chat.objects.get()
    assert chat.current_id == second.message.pk
    versions.delete_message(by=alice, message_id=second.message.pk)
    assert Chat.objects.get().current_id == second.question.pk
    versions.delete_message(by=alice, message_id=second.question.pk)
    assert Chat.objects.get().current_id is None and not Message.objects.exists()
    assert AuditEvent.objects.filter(action="message.delete").count() == 4


def test_the_other_answer_is_shown_when_the_shown_one_is_deleted(alice):
    started = answered(alice)
    other = services.regenerate(by=alice, runner_id=uuid.uuid4(), message_id=started.message.pk, **MODEL)
    end(other, "Or so.")
    assert versions.delete_message(by=alice, message_id=other.message.pk).current_id == started.message.pk


def test_only_owners_with_the_permission_delete(alice, mallory, set_config):
    started = answered(alice)
    with pytest.raises(Missing):
        versions.delete_message(by=mallory, message_id=started.message.pk)
    set_config("user.permissions", {"chat": {"delete_message": False}})
    with pytest.raises(Refused):
        versions.delete_message(by=again(alice), message_id=started.message.pk)
    assert Message.objects.count() == 2


def test_where_chats_are_kept_their_messages_are(alice, set_config):
    """Somebody who may delete no chat must not empty it message by message."""
    started = answered(alice)
    set_config("user.permissions", {"chat": {"delete": False}})
    with pytest.raises(Refused):
        versions.delete_message(by=again(alice), message_id=started.message.pk)


def test_asked_again_differently_the_model_sees_its_first_answer(alice):
    started = answered(alice)
    other = services.regenerate(
        by=alice, runner_id=uuid.uuid4(), message_id=started.message.pk, instruction="Shorter.", **MODEL
    )
    assert [(m["role"], m["content"]) for m in other.history] == [
        ("user", "What is it?"),
        ("assistant", "It is so."),
        ("user", "Shorter."),
    ]
    assert Message.objects.filter(author="user").count() == 1, "the wish is no question of the chat"


def test_a_continued_answer_loses_the_questions_that_followed_its_end(alice):
    started = answered(alice)
    Message.objects.filter(pk=started.message.pk).update(meta={"follow_ups": ["And?"], "sources": []})
    services.continue_answer(by=alice, runner_id=uuid.uuid4(), message_id=started.message.pk)
    assert Message.objects.get(pk=started.message.pk).meta == {"sources": []}


def test_copies_of_chats_need_the_permission_to_bring_chats_in(alice, set_config):
    started = answered(alice)
    set_config("user.permissions", {"chat": {"import": False}})
    with pytest.raises(Refused):
        copies.clone_chat(started.chat, by=again(alice), leaf=started.message.pk)


# ---- answers that are more than text
FOLDED = (
    '<details type="tool_calls" done="true" id="call_1" name="search" arguments="&quot;{\\&quot;q\\&quot;: 1}&quot;" '
    'result="&quot;found&quot;">\n<summary>Tool Executed</summary>\n</details>\nIt is so [1].'
)


def folded(alice):
    started = answered(alice)
    Message.objects.filter(pk=started.message.pk).update(
        content=FOLDED, reasoning="I think.", usage={"reasoning_ms": 3000, "completion_tokens": 9}
    )
    Citation.objects.create(message=started.message, number=1, document_name="SOP.pdf", text="Passage")
    return started, f"/c/{started.chat.pk}/messages/{started.message.pk}"


def sent_back(html, **changes):
    """What a browser would send of the form, with other words in some fields."""
    form = lxml_html.fromstring(html).xpath("//form")[0]
    values = {one.get("name"): one.get("value") or "" for one in form.xpath(".//input")}
    # A browser takes the first line end of such a field away.
    values |= {one.get("name"): (one.text or "").removeprefix("\n") for one in form.xpath(".//textarea")}
    assert set(changes) <= set(values), "there is no such field"
    return {name: value.replace("\n", "\r\n") for name, value in (values | changes).items()}


def test_thoughts_and_tools_are_changed_one_by_one_and_nothing_else_moves(alice, client_for):
    started, path = folded(alice)
    page = client_for(alice, htmx=True)
    html = edit_form(RequestFactory().get(path), alice, started.message.pk).content.decode()
    assert page.post(f"{path}/save", sent_back(html)).status_code == 200
    kept = Message.objects.get(pk=started.message.pk)
    assert (kept.content, kept.reasoning, MessageVersion.objects.count()) == (FOLDED, "I think.", 0)
    changes = {"reasoning": "I\nknow.", "part.0.result": "nothing", "part.1.text": "It is <b>not</b> so [1]."}
    saved = page.post(f"{path}/save", sent_back(html, **changes))
    assert saved.status_code == 200 and "Result of search" in saved.content.decode()
    kept.refresh_from_db()
    assert kept.reasoning == "I\nknow."
    assert kept.content == FOLDED.replace("found", "nothing").replace("is so", "is <b>not</b> so")
    version = MessageVersion.objects.get()
    assert (version.content, version.reasoning, version.replaced_by) == (FOLDED, "I think.", alice)
    assert AuditEvent.objects.filter(action="message.edit").count() == 1
    again_sent = page.post(f"{path}/save", sent_back(html, **{"part.1.text": "Mine, from an old window."}))
    assert again_sent.status_code == 409 and MessageVersion.objects.count() == 1
    shown = again_sent.content.decode()
    assert "changed in another window" in shown
    assert page.post(f"{path}/save", sent_back(shown)).status_code == 200, "the second time it is meant"
    kept.refresh_from_db()
    assert kept.content.endswith("Mine, from an old window.") and kept.reasoning == "I think."


def test_a_copy_has_the_thoughts_the_tools_and_the_sources(alice, client_for):
    started, path = folded(alice)
    page = client_for(alice, htmx=True)
    html = edit_form(RequestFactory().get(path), alice, started.message.pk).content.decode()
    branch = page.post(f"{path}/copy", sent_back(html, **{"part.1.text": "Mine [1]."}))
    assert branch.status_code == 200 and "Mine" in branch.content.decode()
    copy = Message.objects.get(content__endswith="Mine [1].")
    assert copy.content == FOLDED.replace("It is so [1].", "Mine [1].") and copy.reasoning == "I think."
    assert copy.usage == {"reasoning_ms": 3000} and copy.citations.get().document_name == "SOP.pdf"
    former = Message.objects.get(pk=started.message.pk)
    assert (former.content, former.reasoning, former.citations.count()) == (FOLDED, "I think.", 1)


CODED = """Look:

1. First
   ```python
   a = 1
   ```

> ~~~js
> b()
> ~~~

```
same
```
```
same
```
"""


def coded(user, said=CODED):
    started = answered(user, said=said)
    return started, f"/c/{started.chat.pk}/messages/{started.message.pk}/code"


def test_one_block_of_code_is_changed_in_its_place(alice, client_for):
    started, path = coded(alice)
    page = client_for(alice, htmx=True)
    saved = page.post(path, {"number": "0", "former": "a = 1\n", "code": "a = 2\r\n\r\nprint(a)\r\n"})
    assert saved.status_code == 200 and "edited" in saved.content.decode()
    page.post(path, {"number": "1", "former": "b()", "code": "c()\n~~~\nd()"})
    page.post(path, {"number": "3", "former": "same", "code": "```\nother"})
    content = Message.objects.get(pk=started.message.pk).content
    assert content == CODED.replace("   a = 1\n", "   a = 2\n\n   print(a)\n").replace(
        "> ~~~js\n> b()\n> ~~~", "> ~~~~js\n> c()\n> ~~~\n> d()\n> ~~~~"
    ).replace("```\nsame\n```\n```\nsame\n```", "```\nsame\n```\n````\n```\nother\n````")
    assert [block.code for block in code_blocks(content)] == [
        "a = 2\n\nprint(a)\n",
        "c()\n~~~\nd()\n",
        "same\n",
        "```\nother\n",
    ]
    assert MessageVersion.objects.order_by("pk").first().content == CODED and MessageVersion.objects.count() == 3
    assert AuditEvent.objects.filter(action="message.edit").count() == 3


def test_a_block_is_known_by_what_stood_in_it(alice, client_for):
    started, path = coded(alice)
    page = client_for(alice, htmx=True)
    assert page.post(path, {"number": "7", "former": "a = 1", "code": "a = 3"}).status_code == 200, "it moved"
    for number, former in (("0", "a = 1"), ("0", "same"), ("9", "same"), ("x", "gone"), ("", "")):
        assert page.post(path, {"number": number, "former": former, "code": "no"}).status_code == 409
    assert page.post(path, {"number": "1", "former": "b()", "code": "b()"}).status_code == 200
    assert MessageVersion.objects.count() == 1, "the same code is no change"
    question = f"/c/{started.chat.pk}/messages/{started.question.pk}/code"
    assert page.post(question, {"number": "0", "former": "", "code": "x"}).status_code == 409


def test_code_that_was_never_closed_and_code_by_margin(alice):
    started, _path = coded(alice, "é\n\n```python\nopen")
    saved = versions.save_code(by=alice, message_id=started.message.pk, number=0, former="open", code="closed")
    assert saved.content == "é\n\n```python\nclosed\n```"
    started, _path = coded(alice, "Text\n\n    by margin\n")
    with pytest.raises(UserError, match="whole answer"):
        versions.save_code(by=alice, message_id=started.message.pk, number=0, former="by margin", code="x")
    started, _path = coded(alice, f"{FOLDED}\n\n```\nx\n```")
    saved = versions.save_code(by=alice, message_id=started.message.pk, number=0, former="x", code="y")
    assert saved.content == f"{FOLDED}\n\n```\ny\n```"


@pytest.mark.parametrize("who", ["mallory", "alice"])
def test_code_needs_the_permission_and_the_chat(alice, mallory, set_config, who):
    started, _path = coded(alice)
    set_config("user.permissions", {"chat": {"edit": who == "mallory"}})
    person = again({"alice": alice, "mallory": mallory}[who])
    with pytest.raises(Refused if who == "alice" else Missing):
        versions.save_code(by=person, message_id=started.message.pk, number=0, former="a = 1", code="x")
    assert not MessageVersion.objects.exists()


def test_the_pieces_of_an_answer_need_the_permission_too(alice, bob, client_for, set_config):
    _started, path = folded(alice)
    form = {"base": FOLDED, "part.1.text": "No."}
    assert client_for(bob, htmx=True).post(f"{path}/save", form).status_code == 404
    set_config("user.permissions", {"chat": {"edit": False}})
    for verb in ("save", "copy"):
        assert client_for(again(alice), htmx=True).post(f"{path}/{verb}", form).status_code == 403
    assert not MessageVersion.objects.exists()


# ---- pages
def test_the_pages_of_a_message(alice, client_for, set_config):
    set_config("ui.response_watermark", "Written by AI. Check it.")
    started = answered(alice)
    base = f"/c/{started.chat.pk}/messages/"
    question, answer = f"{base}{started.question.pk}", f"{base}{started.message.pk}"
    page = client_for(alice, htmx=True)
    assert page.get(f"{answer}/text").content.decode() == "It is so.\n\nWritten by AI. Check it."
    assert page.get(f"{question}/text").content.decode() == "What is it?"
    menu = page.get(f"{answer}/menu").content.decode()
    assert all(f'{answer}/{verb}"' in menu for verb in ("edit", "fork", "delete"))
    assert "/regenerate" not in menu and f'{answer}/regenerate"' in page.get(f"{answer}/menu?again").content.decode()
    assert "/regenerate" not in page.get(f"{question}/menu?again").content.decode()
    saved = page.post(f"{answer}/save", {"text": "<b>No</b>."}).content.decode()
    assert "edited" in saved and "No" in saved and "<b>" not in saved
    branch = page.post(f"{answer}/copy", {"text": "Mine."})
    assert branch["HX-Retarget"] == "#messages" and "Mine." in branch.content.decode()
    forked = page.post(f"{answer}/fork")
    assert forked["HX-Redirect"] == f"/c/{Chat.objects.exclude(pk=started.chat.pk).get().pk}"
    assert "Delete this question?" in page.get(f"{question}/delete").content.decode()
    gone = page.post(f"{question}/delete")
    assert "What is it?" not in gone.content.decode() and not Message.objects.filter(pk=started.question.pk).exists()


def test_without_the_menu_the_button_asks_again_at_once(alice, client_for):
    started = answered(alice)
    path = f"/c/{started.chat.pk}/messages/{started.message.pk}"
    page = client_for(alice, htmx=True)
    assert f'hx-get="{path}/menu?again"' in page.get(path).content.decode()
    page.post("/settings/interface", {"on": []})
    html = page.get(path).content.decode()
    assert "?again" not in html and f'hx-post="{path}/regenerate"' in html
    assert f'{path}/regenerate"' in page.get(f"{path}/menu").content.decode(), "the other ways stay in the menu"


def test_former_words_are_for_administrators_who_may_read_chats(alice, dana, client_for, settings):
    started = answered(alice)
    versions.save_text(by=alice, message_id=started.message.pk, text="Other.")
    version = MessageVersion.objects.get()
    path = f"/admin/chat/messageversion/{version.pk}/change/"
    settings.ENABLE_ADMIN_CHAT_ACCESS = True
    assert "It is so." in client_for(dana).get(path).content.decode()
    assert AuditEvent.objects.filter(action="message_version.read", object_id=str(version.pk)).count() == 1
    settings.ENABLE_ADMIN_CHAT_ACCESS = False
    assert "It is so." not in client_for(dana).get(path).content.decode()
