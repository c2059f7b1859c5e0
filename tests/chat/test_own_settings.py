"""The sections of the settings page about chats: the person's own prompt and parameters, and what is kept of theirs."""

from __future__ import annotations

from typing import Any

import pytest

from chat import links
from chat.models import Chat, SharedChat
from inference.permitted import permitted_for
from knowledge.models import Document
from owui.audit.models import AuditEvent
from tests.chat.test_background import behind
from tests.chat.test_organising import talk
from tests.factories.knowledge import make_base, make_document

pytestmark = pytest.mark.django_db


def again(user: Any) -> Any:
    return type(user).objects.get(pk=user.pk)


def test_ones_own_prompt_and_parameters_stand_behind_every_question(alice, client_for):
    page = client_for(alice, htmx=True)
    saved = page.post("/settings/answers", {"system": "Be brief.", "custom": ["seed"], "seed": "7", "top_k": "3"})
    assert "Saved" in saved.content.decode()
    assert again(alice).settings["ui"] == {"system": "Be brief.", "params": {"seed": 7}}
    html = page.get("/settings").content.decode()
    assert "Be brief." in html and 'id="data"' in html and 'id="about"' in html
    found = behind(again(alice), permitted_for(again(alice)))
    assert found.system == "Be brief." and found.params["seed"] == 7
    refused = page.post("/settings/answers", {"custom": ["temperature"], "temperature": "9"})
    assert refused.status_code == 422 and "between 0 and 2" in refused.content.decode()
    page.post("/settings/answers", {"system": ""})
    assert again(alice).settings["ui"] == {"system": "", "params": {}}
    assert AuditEvent.objects.filter(action="user.settings").count() == 2


def test_switches_of_one_section_leave_the_others_alone(alice, client_for, set_config):
    page = client_for(alice, htmx=True)
    page.post("/settings/interface", {"on": ["ctrlEnterToSend", "title.auto", "autoTags"]})
    page.post("/settings/interface", {"group": "notices", "on": ["notificationSound"]})
    speech = {"audio.tts.playbackRate": "1.5", "audio.tts.voice": "Anna", "on": ["responseAutoPlayback"]}
    page.post("/settings/interface", {"group": "speech", **speech})
    ui = again(alice).settings["ui"]
    assert ui["ctrlEnterToSend"] is True and ui["notificationSound"] is True and ui["responseAutoPlayback"] is True
    assert ui["audio"] == {"tts": {"playbackRate": "1.5", "voice": "Anna"}}
    assert ">Anna</option>" in page.get("/settings").content.decode()
    page.post("/settings/interface", {"group": "speech", "audio.tts.playbackRate": "9", "audio.tts.voice": "x" * 201})
    ui = again(alice).settings["ui"]
    assert ui["audio"] == {"tts": {"playbackRate": "1.5", "voice": "Anna"}} and ui["responseAutoPlayback"] is False
    set_config("user.permissions", {"chat": {"tts": False}, "settings": {"interface": False}})
    page.post("/settings/interface", {"group": "speech", "on": ["responseAutoPlayback"]})
    page.post("/settings/interface", {"group": "notices", "on": []})
    ui = again(alice).settings["ui"]
    assert ui["responseAutoPlayback"] is False and ui["notificationSound"] is False, "notices need no key"
    html = page.get("/settings").content.decode()
    assert 'id="speech"' not in html and 'id="notices"' in html


def test_all_chats_go_after_a_question(alice, bob, client_for):
    talk(alice, "A", "B"), talk(alice, "C", "D", archived=True), talk(bob, "E")
    page = client_for(alice, htmx=True)
    assert "2 chats with all their messages" in page.get("/c/remove-all").content.decode()
    assert "2 chats deleted." in page.post("/c/remove-all").content.decode()
    assert list(Chat.objects.values_list("owner", flat=True)) == [bob.pk]


def test_ones_links_are_listed_and_taken_away(alice, bob, client_for, share):
    first, second, other = talk(alice, title="One"), talk(alice, title="Two"), talk(bob, title="Theirs")
    for chat, owner in ((first, alice), (second, alice), (other, bob)):
        links.share_chat(by=owner, chat_id=chat.pk)
    share(SharedChat.objects.get(chat=other), "*")
    page = client_for(alice, htmx=True)
    html = page.get("/settings/links").content.decode()
    assert "One" in html and "Two" in html and "Theirs" not in html
    assert page.post("/settings/links", {"chat": str(other.pk)}).status_code == 404
    html = page.post("/settings/links", {"chat": str(first.pk)}).content.decode()
    assert "One" not in html and "Two" in html
    page.post("/settings/links")
    assert list(SharedChat.objects.values_list("chat", flat=True)) == [other.pk]
    assert AuditEvent.objects.filter(action="shared_chat.deleted").count() == 2


def test_ones_files_are_listed_and_deleted(alice, bob, dana, client_for, django_assert_max_num_queries):
    mine = [make_document(alice, filename=f"File {n:02}.txt") for n in range(52)]
    theirs = make_document(bob, filename="Theirs.txt")
    make_document(alice, bases=[make_base(alice)], filename="In a base.txt")
    page = client_for(alice, htmx=True)
    page.get("/settings/files")
    with django_assert_max_num_queries(12):
        html = page.get("/settings/files").content.decode()
    assert html.count('class="tool"') == 51 and "Theirs" not in html and "page=2" in html
    assert "in a knowledge base" in html
    assert page.get("/settings/files?page=2").content.decode().count('class="tool"') == 3
    for person in (alice, dana):
        answer = client_for(person, htmx=True).post("/settings/files/remove", {"file": str(theirs.pk)})
        assert answer.status_code == 404, "here everybody has their own only"
    assert page.post("/settings/files/remove", {"file": str(mine[0].pk)}).status_code == 200
    assert not Document.objects.filter(pk=mine[0].pk).exists()
