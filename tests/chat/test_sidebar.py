"""What one does with chats and folders in the sidebar, through the pages."""

from __future__ import annotations

import io
import json
import uuid
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient, Client

from chat.models import Chat, Folder, Message
from chat.views import organising
from owui.audit.models import AuditEvent
from owui.lib.aio import in_thread
from tests.conftest import token_for
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(alice: Any) -> Client:
    client = Client(headers={"hx-request": "true", "sec-fetch-site": "same-origin"})
    client.cookies["token"] = token_for(alice)
    return client


@pytest.fixture
def chat(alice: Any) -> Chat:
    chat: Chat = Chat.objects.create(owner=alice, title="Signals <b>")
    question = Message.objects.create(chat=chat, author="user", content="What?")
    answer = Message.objects.create(chat=chat, author="assistant", content="That.", parent=question)
    Message.objects.create(chat=chat, author="assistant", content="Another.", parent=question)
    Chat.objects.filter(pk=chat.pk).update(current=answer)
    return chat


def upload(data: bytes, name: str = "chats.json") -> dict[str, Any]:
    return {"file": SimpleUploadedFile(name, data, "application/json")}


# ----------------------------------------------------------------------------------------------------------------- tags
def test_tags_are_chips_that_come_and_go(page: Client, chat: Chat) -> None:
    html = page.post(f"/c/{chat.pk}/tags", {"name": "Big <i> ideas"}).content.decode()
    assert "big_&lt;i&gt;_ideas" in html and "Signals &lt;b&gt;" in html
    html = page.post(f"/c/{chat.pk}/tags", {"name": "", "remove": "big_<i>_ideas"}).content.decode()
    assert "big_" not in html


def test_a_tag_that_cannot_be_says_why_in_the_dialog(page: Client, chat: Chat) -> None:
    answer = page.post(f"/c/{chat.pk}/tags", {"name": "none"})
    assert answer.status_code == 422 and "Choose another name" in answer.content.decode()


# ---------------------------------------------------------------------------------------------------------------- moves
def test_a_chat_moves_into_a_folder_and_out_again(page: Client, alice: Any, chat: Chat) -> None:
    folder = make_shared("folder", alice, name="Project", is_expanded=True)
    assert f'value="{folder.pk}"' in page.get(f"/c/{chat.pk}/move").content.decode()
    html = page.post(f"/c/{chat.pk}/move", {"folder": str(folder.pk)}).content.decode()
    loose = html.partition('data-drop=""')[2]
    assert f"chat-item-{chat.pk}" in html and f"chat-item-{chat.pk}" not in loose
    loose = page.post(f"/c/{chat.pk}/move", {"folder": ""}).content.decode().partition('data-drop=""')[2]
    assert f"chat-item-{chat.pk}" in loose


def test_a_folder_in_itself_is_refused_with_a_sentence(page: Client, alice: Any) -> None:
    outer = make_shared("folder", alice, name="Outer")
    inner = make_shared("folder", alice, name="Inner", parent=outer)
    for place in (outer, inner):
        answer = page.post(f"/folders/{outer.pk}/move", {"parent": str(place.pk)})
        assert answer.status_code == 400 and answer["HX-Retarget"] == "#toasts"
        assert "A folder cannot be inside itself" in answer.content.decode()
    assert page.post(f"/folders/{inner.pk}/move", {"parent": ""}).status_code == 200
    assert Folder.objects.get(pk=inner.pk).parent is None


def test_chats_of_a_closed_folder_are_not_in_the_list_and_come_back_without_folders(
    page: Client, alice: Any, chat: Chat, set_config: Any
) -> None:
    folder = make_shared("folder", alice, name="Project")
    Chat.objects.filter(pk=chat.pk).update(folder=folder)
    assert f"chat-item-{chat.pk}" not in page.get("/c/search").content.decode()
    assert f"chat-item-{chat.pk}" in page.post(f"/folders/{folder.pk}/toggle").content.decode()
    set_config("ui.enable_folders", False)
    html = page.get("/c/search").content.decode()
    assert f"chat-item-{chat.pk}" in html and "Project" not in html


def test_a_very_deep_tree_is_shown_as_far_as_it_goes(page: Client, alice: Any) -> None:
    above = None
    for number in range(40):
        above = make_shared("folder", alice, name=f"Level {number:02}", parent=above, is_expanded=True)
    html = page.get("/c/search").content.decode()
    assert "Level 11" in html and "Level 39" not in html
    assert page.get(f"/folders/{above.pk}").status_code == 200  # type: ignore[union-attr]


# -------------------------------------------------------------------------------------------------------------- folders
def test_a_name_twice_is_said_at_the_field(page: Client, alice: Any) -> None:
    assert page.post("/folders/new", {"name": "Project"}).status_code == 200
    answer = page.post("/folders/new", {"name": "project"})
    assert answer.status_code == 422 and "exists already" in answer.content.decode()


def test_deleting_a_folder_keeps_or_deletes_its_chats(page: Client, alice: Any, chat: Chat) -> None:
    for verb, left in (("keep", 1), ("delete", 0)):
        folder = make_shared("folder", alice, name="Project")
        Chat.objects.filter(pk=chat.pk).update(folder=folder)
        assert page.post(f"/folders/{folder.pk}/remove", {"chats": verb}).status_code == 200
        assert Chat.objects.filter(pk=chat.pk).count() == left
        assert not Folder.objects.filter(pk=folder.pk).exists()


def test_prompt_and_knowledge_are_kept_with_what_the_dialog_does_not_show(page: Client, alice: Any, bob: Any) -> None:
    mine, hidden = make_shared("knowledge", alice, name="Mine"), make_shared("knowledge", bob, name="Hidden")
    items = [{"type": "collection", "id": str(hidden.pk), "name": "Hidden"}, {"type": "file", "id": "f", "name": "F"}]
    folder = make_shared("folder", alice, name="Project", data={"files": items})
    sent = {"system_prompt": "Be <brief>.", "knowledge": [str(mine.pk)]}
    assert page.post(f"/folders/{folder.pk}/settings", sent)["HX-Redirect"] == f"/folders/{folder.pk}"
    data = Folder.objects.get(pk=folder.pk).data
    assert data["system_prompt"] == "Be <brief>."
    assert [item["id"] for item in data["files"]] == [str(hidden.pk), "f", str(mine.pk)]
    assert "Be &lt;brief&gt;." in page.get(f"/folders/{folder.pk}").content.decode()
    assert page.post(f"/folders/{folder.pk}/settings", {"knowledge": [str(uuid.uuid4())]}).status_code == 404


def test_a_new_chat_page_carries_its_folder(page: Client, alice: Any, bob: Any) -> None:
    folder = make_shared("folder", alice, name="Project")
    html = page.get(f"/?folder={folder.pk}").content.decode()
    assert f'name="folder" value="{folder.pk}"' in html and "Project" in html
    assert page.get(f"/?folder={make_shared('folder', bob, name='Theirs').pk}").status_code == 404


# -------------------------------------------------------------------------------------------------------------- archive
def test_the_archive_is_searched_and_emptied(page: Client, alice: Any) -> None:
    for number in range(3):
        Chat.objects.create(owner=alice, title=f"Chat {number}")
    assert "3 chats archived" in page.post("/c/archived/all").content.decode()
    assert page.get("/c/archived").content.decode().count("Unarchive Chat") == 3
    assert page.get("/c/archived?q=chat 1").content.decode().count("Unarchive Chat") == 1
    one = Chat.objects.get(title="Chat 1")
    for _twice in range(2):
        html = page.post(f"/c/{one.pk}/unarchive").content.decode()
        assert f"chat-item-{one.pk}" in html and html.count("Unarchive Chat") == 2
    page.post("/c/archived/none")
    assert not Chat.objects.filter(archived=True).exists()


# -------------------------------------------------------------------------------------------------------- out and in
def test_text_is_the_visible_path(page: Client, chat: Chat) -> None:
    answer = page.get(f"/c/{chat.pk}/export/txt")
    assert answer.content.decode() == "### USER\nWhat?\n\n### ASSISTANT\nThat.\n"
    assert answer["Content-Disposition"] == 'attachment; filename="Signals _b_.txt"'
    event = AuditEvent.objects.get(action="chat.export")
    assert event.detail["chats"] == 1 and event.detail["form"] == "txt"
    assert page.get(f"/c/{chat.pk}/export/exe").status_code == 404


@pytest.mark.django_db(transaction=True)
async def test_what_is_exported_can_be_imported(alice: Any) -> None:
    await in_thread(Chat.objects.create)(owner=alice, title="Signals", pinned=True)
    client = AsyncClient(headers={"sec-fetch-site": "same-origin"})
    client.cookies["token"] = await in_thread(token_for)(alice)
    answer: Any = await client.get("/c/export")
    whole = b"".join([part async for part in answer.streaming_content])
    assert [entry["title"] for entry in json.loads(whole)] == ["Signals"]
    sent = await client.post("/c/import", upload(whole))
    assert sent.status_code == 200 and "1 chat imported" in sent.content.decode()
    assert await in_thread(lambda: Chat.objects.filter(owner=alice, title="Signals").count())() == 2


def test_chatgpt(page: Client, alice: Any) -> None:
    node = {"id": "a", "parent": None, "message": {"author": {"role": "user"}, "content": {"parts": ["Hi <script>"]}}}
    whole = [{"title": "From there", "mapping": {"a": node}, "current_node": "a", "create_time": 1700000000}]
    assert "1 chat imported" in page.post("/c/import", upload(json.dumps(whole).encode())).content.decode()
    assert Message.objects.get(chat__title="From there").content == "Hi <script>"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"{broken", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"", "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b"[1, 2]", "holds no chats"),
        (b'"a"', "holds no chats"),
        (b'[{"chat": 7}]', "not in a form"),
    ],
)
def test_what_cannot_be_read_is_said_in_the_dialog(page: Client, data: bytes, told: str) -> None:
    answer = page.post("/c/import", upload(data))
    assert answer.status_code == 422 and "import-dialog" in answer.content.decode()
    assert told in answer.content.decode()
    assert not Chat.objects.exists()


def test_two_hundred_megabytes_are_refused(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real size goes through the browser's story of uploads; here the limit is small."""
    monkeypatch.setattr(organising, "MOST_BYTES", 1024 * 1024)
    answer = page.post("/c/import", {"file": io.BytesIO(b"[" + b" " * 2**21 + b"]")})
    assert answer.status_code == 422 and "larger than 1 MB" in answer.content.decode()


# --------------------------------------------------------------------------------------------------------------- delete
def test_deleting_another_chat_leaves_the_page_that_is_open(page: Client, alice: Any, chat: Chat) -> None:
    shown = Chat.objects.create(owner=alice, title="Shown")
    answer = page.post(f"/c/{chat.pk}/delete", headers={"hx-current-url": f"http://testserver/c/{shown.pk}"})
    assert "HX-Redirect" not in answer and f"chat-item-{shown.pk}" in answer.content.decode()
    assert 'aria-current="page"' in answer.content.decode()
    answer = page.post(f"/c/{shown.pk}/delete", headers={"hx-current-url": f"http://testserver/c/{shown.pk}"})
    assert answer["HX-Redirect"] == "/"
