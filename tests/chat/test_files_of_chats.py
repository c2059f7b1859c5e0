"""Chats out and in: what an import keeps, other products' files, folders, paper; titles that a model suggests."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient, Client

from chat.models import Chat, Message
from owui.audit.models import AuditEvent
from owui.lib.aio import in_thread
from tests.chat.test_organising import talk
from tests.conftest import token_for
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db
API = "/api/v1/chats"
BAD = "<script>alert(1)</script>"
PICTURE = f"data:image/png;base64,{base64.b64encode(bytes.fromhex('89504e470d0a1a0a') + b'x' * 40).decode()}"


@pytest.fixture
def page(client_for: Callable[..., Client], alice: Any) -> Client:
    return client_for(alice, htmx=True)


def upload(page: Client, data: Any, name: str = "chats.json") -> Any:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return page.post("/c/import", {"file": SimpleUploadedFile(name, raw, "application/json")})


# ------------------------------------------------------------------------------------------------------------------- in
def test_an_import_keeps_what_an_export_says(alice: Any, api_for: Any) -> None:
    folder = make_shared("folder", alice, name="Project")
    chat = talk(
        alice, "What is this?", "A mixer.", title="Mixers", folder=folder, pinned=True,
        params={"system": "Be brief.", "temperature": 0.2}, meta={"tags": ["cleaning"]},
    )  # fmt: skip
    question, answer = chat.messages.order_by("created_at")
    Message.objects.filter(pk=question.pk).update(files=[{"type": "image", "name": "a.png", "url": PICTURE}])
    Message.objects.filter(pk=answer.pk).update(reasoning="It turns.", meta={"follow_ups": ["How fast?"]})
    api = api_for(alice)
    (made,) = api.post(f"{API}/import", {"chats": [api.get(f"{API}/{chat.pk}").json()]}).json()
    copy = Chat.objects.get(pk=made["id"])
    assert (copy.title, copy.pinned, copy.folder, copy.meta) == ("Mixers", True, folder, {"tags": ["cleaning"]})
    assert copy.params == {"system": "Be brief.", "temperature": 0.2}
    asked, said = copy.messages.order_by("created_at")
    assert asked.files == [{"type": "image", "name": "a.png", "url": PICTURE}]
    assert (said.content, said.reasoning, said.meta) == ("A mixer.", "It turns.", {"follow_ups": ["How fast?"]})
    assert copy.current == said and {asked.pk, said.pk}.isdisjoint({question.pk, answer.pk})


def test_an_import_believes_nothing_about_rights(alice: Any, bob: Any, api_for: Any, set_config: Any) -> None:
    theirs = make_shared("folder", bob, name="Theirs")
    set_config("user.permissions", {"chat": {"system_prompt": False, "params": True, "controls": True}})
    link = "https://example.org/a.png"
    files = [
        {"type": "image", "url": url} for url in (link, "data:image/png;base64,AAAA", "data:text/html;base64,eA==")
    ]
    message = {"id": "a", "role": "user", "content": "Hi", "files": [*files, {"type": "file", "id": str(uuid.uuid4())}]}
    entry = {
        "chat": {
            "title": BAD,
            "params": {"system": "Obey.", "top_k": 3, "unknown": 1},
            "history": {"messages": {"a": message}, "currentId": "a"},
        },
        "folder_id": str(theirs.pk),
        "user_id": str(bob.pk),
        "share_id": str(uuid.uuid4()),
    }
    (made,) = api_for(alice).post(f"{API}/import", {"chats": [entry]}).json()
    chat = Chat.objects.get(pk=made["id"])
    assert (chat.owner, chat.folder, chat.params) == (alice, None, {"top_k": 3})
    assert chat.messages.get().files == []


def test_the_number_of_statements_of_an_import_is_that_of_its_chats(
    alice: Any, api_for: Any, django_assert_max_num_queries: Any
) -> None:
    entries = [{"chat": {"title": f"{n}", "params": {"top_k": n}, "messages": []}} for n in range(20)]
    api = api_for(alice)
    api.post(f"{API}/import", {"chats": entries[:1]})
    with django_assert_max_num_queries(20 * 5 + 30):
        assert len(api.post(f"{API}/import", {"chats": entries}).json()) == 20


def test_claude(page: Client, alice: Any) -> None:
    entry = {
        "uuid": str(uuid.uuid4()),
        "name": "From Claude",
        "created_at": "2025-03-01T10:00:00.000000Z",
        "updated_at": "2025-03-01T10:05:00Z",
        "chat_messages": [
            {"sender": "human", "text": f"Hello {BAD}", "created_at": "2025-03-01T10:00:00Z"},
            {"sender": "assistant", "text": "", "content": [{"type": "text", "text": "Good morning."}]},
            {"sender": "assistant", "text": "   "},
        ],
    }
    assert "1 chat imported" in upload(page, [entry]).content.decode()
    chat = Chat.objects.get(title="From Claude")
    assert [(m.author, m.content) for m in chat.messages.order_by("created_at")] == [
        ("user", f"Hello {BAD}"),
        ("assistant", "Good morning."),
    ]
    assert chat.updated_at.isoformat() == "2025-03-01T10:05:00+00:00"
    assert BAD not in page.get(f"/c/{chat.pk}").content.decode()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"PK\x03\x04rest", "ZIP file"),
        ([{"chat_messages": 7}], "not in a form"),
        ([{"chat_messages": ["x"]}], "not in a form"),
        ([{"mapping": {"a": 1}}], "not in a form"),
        ([{"chat": {"history": {"messages": {"a": {"id": "a", "role": "user", "content": "x", "output": 7}}}}}], ""),
        ({"something": "else"}, ""),
        ([{"chat": {"title": "x", "params": "x", "tags": 7, "models": "x", "messages": []}}], ""),
    ],
)
def test_files_of_other_products_end_in_a_sentence(page: Client, data: Any, told: str) -> None:
    answer = upload(page, data)
    assert answer.status_code in ((422,) if told else (200, 422))
    assert told in answer.content.decode()
    if answer.status_code == 422:
        assert not Chat.objects.exists(), "all or none"


def test_names_are_text_wherever_they_stand(page: Client, alice: Any, api_for: Any) -> None:
    folder = make_shared("folder", alice, name=BAD, meta={"icon": BAD, "colour": f'"{BAD}'}, is_expanded=True)
    chat = talk(alice, BAD, "Yes", title=BAD, folder=folder, meta={"tags": [BAD]})
    share = api_for(alice).post(f"{API}/{chat.pk}/share").json()["share_id"]
    for path in (
        "/c/search", f"/c/{chat.pk}", f"/folders/{folder.pk}", f"/folders/{folder.pk}/settings", "/c/find?q=script",
        f"/c/{chat.pk}/tags", f"/c/{chat.pk}/rename", f"/c/{chat.pk}/print", f"/s/{share}", f"/c/{chat.pk}/delete",
    ):  # fmt: skip
        html = page.get(path).content.decode()
        assert BAD not in html and "alert(1)" in html, path


# ------------------------------------------------------------------------------------------------------------------ out
def test_the_link_of_a_chat_is_in_what_its_owner_gets(alice: Any, bob: Any, api_for: Any, share: Any) -> None:
    folder = share_folder = make_shared("folder", alice, name="Project")
    share(share_folder, bob, "read")
    chat = talk(alice, "Hi", "Hello", folder=folder)
    assert api_for(alice).get(f"{API}/{chat.pk}").json()["share_id"] is None
    link = api_for(alice).post(f"{API}/{chat.pk}/share").json()["share_id"]
    assert api_for(alice).get(f"{API}/{chat.pk}").json()["share_id"] == link
    assert api_for(bob).get(f"{API}/{chat.pk}").json()["share_id"] is None


@pytest.mark.django_db(transaction=True)
async def test_a_folder_as_a_file_holds_ones_own_chats_in_it_and_below(alice: Any, bob: Any, share: Any) -> None:
    def build() -> tuple[Any, str]:
        outer = make_shared("folder", alice, name="Outer")
        inner = make_shared("folder", alice, name="Inner", parent=outer)
        share(outer, bob, "write")
        talk(alice, "Hi", title="In outer", folder=outer)
        talk(alice, "Hi", "Ho", title="In inner", folder=inner)
        talk(bob, "Hi", title="Bob's", folder=inner)
        talk(alice, "Hi", title="Elsewhere")
        return outer, token_for(alice)

    outer, token = await in_thread(build)()
    client = AsyncClient(headers={"sec-fetch-site": "same-origin"})
    client.cookies["token"] = token
    answer: Any = await client.get(f"/folders/{outer.pk}/export")
    whole = json.loads(b"".join([part async for part in answer.streaming_content]))
    assert sorted(entry["title"] for entry in whole) == ["In inner", "In outer"]
    event = await in_thread(AuditEvent.objects.get)(action="chat.export")
    assert sorted(event.detail.pop("ids")) == sorted(entry["id"] for entry in whole), "which, not only how many"
    assert event.detail == {"chats": 2, "messages": 3, "form": "json", "folder": str(outer.pk)}


def test_paper_shows_the_visible_path_and_is_in_the_audit_log(page: Client, alice: Any, bob: Any) -> None:
    chat = talk(alice, "What is it?", "**That**.", title="Report")
    Message.objects.create(chat=chat, author="assistant", content="Another answer", parent=chat.current.parent)
    html = page.get(f"/c/{chat.pk}/print").content.decode()
    assert "<strong>That</strong>" in html and "Another answer" not in html
    assert "print.js" in html and "is-plain" not in html and 'hx-post="' not in html
    assert "is-plain" in page.get(f"/c/{chat.pk}/print?plain").content.decode()
    details = list(AuditEvent.objects.filter(action="chat.export").values_list("detail", flat=True))
    assert details == [{"chats": 1, "ids": [str(chat.pk)], "messages": 3, "form": "pdf"}] * 2
    alice.settings = {"ui": {"stylizedPdfExport": False}}
    alice.save()
    assert "is-plain" in page.get(f"/c/{chat.pk}/print").content.decode()


def test_everybodys_chats_leave_with_their_number(dana: Any, alice: Any, bob: Any, api_for: Any) -> None:
    for owner in (alice, alice, bob):
        talk(owner, "Hi")
    assert api_for(dana).get(f"{API}/all/db").status_code == 200
    assert AuditEvent.objects.get(action="chat.export_all").detail == {"chats": 3, "people": 2}


def test_a_link_to_a_chat_that_was_deleted_leads_nowhere(page: Client, alice: Any, api_for: Any) -> None:
    chat = talk(alice, "Hi", "Hello")
    link = api_for(alice).post(f"{API}/{chat.pk}/share").json()["share_id"]
    assert page.get(f"/s/{link}").status_code == 200
    assert page.post(f"/c/{chat.pk}/delete").status_code in (200, 302)
    answer = page.get(f"/s/{link}")
    assert answer.status_code == 404 and "leads nowhere" in answer.content.decode()
    assert api_for().get(f"{API}/share/{link}").status_code == 401


# -------------------------------------------------------------------------------------------------------------- folders
def test_a_folder_gets_colour_and_sign(page: Client, alice: Any) -> None:
    folder = make_shared("folder", alice, name="Project", meta={"kept": 1})
    assert "HX-Redirect" in page.post(f"/folders/{folder.pk}/settings", {"colour": "teal", "sign": " 🧪\x00 "})
    folder.refresh_from_db()
    assert folder.meta == {"kept": 1, "colour": "teal", "icon": "🧪"}
    html = page.get("/c/search").content.decode()
    assert "swatch tint-teal" in html and "🧪" in html
    page.post(f"/folders/{folder.pk}/settings", {"colour": "no-colour", "sign": "x" * 100})
    folder.refresh_from_db()
    assert folder.meta == {"kept": 1, "colour": "", "icon": "x" * 8}


# --------------------------------------------------------------------------------------------------------------- titles
@pytest.mark.django_db(transaction=True)
async def test_a_model_suggests_a_title_and_changes_nothing(process: Any, small: Any, alice: Any) -> None:
    chat = await in_thread(talk)(alice, 'How? [[text={"title": "Clean mixers"}]]', "So.", model_ids=["fake-small"])
    client = AsyncClient(headers={"sec-fetch-site": "same-origin", "hx-request": "true"})
    client.cookies["token"] = await in_thread(token_for)(alice)
    dialog = (await client.get(f"/c/{chat.pk}/rename")).content.decode()
    assert f"/c/{chat.pk}/suggest-title" in dialog
    answer = await client.post(f"/c/{chat.pk}/suggest-title", {"title": "Mine"})
    assert answer.status_code == 200 and 'value="Clean mixers"' in answer.content.decode()
    await in_thread(chat.refresh_from_db)()
    assert chat.title == "Signals"
    event = await in_thread(AuditEvent.objects.get)(action="completion.create")
    assert event.detail == {"task": "title"}
    await in_thread(small.delete)()
    answer = await client.post(f"/c/{chat.pk}/suggest-title", {"title": "Mine"})
    assert answer.status_code == 422 and 'value="Mine"' in answer.content.decode(), "what was typed stays"


@pytest.mark.django_db(transaction=True)
def test_where_titles_are_off_none_is_offered(page: Client, alice: Any, set_config: Any) -> None:
    chat = talk(alice, "Hi", "Hello")
    set_config("task.title", False)
    assert "suggest-title" not in page.get(f"/c/{chat.pk}/rename").content.decode()
    assert page.post(f"/c/{chat.pk}/suggest-title").status_code == 403


@pytest.mark.parametrize("way", ["/c/export", "/c/{}/export/txt", "/c/{}/print", "/api/v1/chats/all"])
def test_a_picture_in_an_answer_exports_nothing_in_its_readers_name(page: Client, alice: Any, way: str) -> None:
    chat = talk(alice, "Hi")
    for dest, status in (("image", 403), ("iframe", 403), ("document", 200), ("empty", 200)):
        assert page.get(way.format(chat.pk), headers={"sec-fetch-dest": dest}).status_code == status
    assert AuditEvent.objects.filter(action="chat.export").count() == 2


def test_an_import_says_what_came_of_it_and_where(alice: Any, api_for: Any) -> None:
    folder = make_shared("folder", alice, name="Shown to others")
    entry = {"chat": {"title": "In", "messages": []}, "folder_id": str(folder.pk)}
    made = api_for(alice).post(f"{API}/import", {"chats": [entry, {"chat": {"title": "Out", "messages": []}}]}).json()
    detail = AuditEvent.objects.get(action="chat.import").detail
    assert detail == {"chats": 2, "ids": [chat["id"] for chat in made], "folders": [str(folder.pk)]}


def test_a_file_cannot_bring_what_no_column_holds(alice: Any, api_for: Any, client_for: Any) -> None:
    """NUL in a name, numbers that are texts, a picture that is none: the rest of the chat is there."""
    url = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode().rstrip("=") + "A"
    question = {
        "id": "a", "role": "user", "content": "Look", "parentId": None,
        "files": [{"type": "image", "name": "a\x00b", "url": url}],
    }  # fmt: skip
    usage = {"completion_tokens": 7, "note": "a\x00b", "k\x00": 1}
    answer = {"id": "b", "role": "assistant", "content": "Seen", "parentId": "a", "usage": usage}
    history = {"messages": {"a": question, "b": answer}, "currentId": "b"}
    made = api_for(alice).post(f"{API}/import", {"chats": [{"chat": {"title": "T", "history": history}}]})
    assert made.status_code == 200, made.content
    chat = Chat.objects.get(pk=made.json()[0]["id"])
    assert chat.messages.get(author="assistant").usage == {"completion_tokens": 7, "note": "ab", "k": 1}
    asked = chat.messages.get(author="user")
    assert client_for(alice).get(f"/c/{chat.pk}/messages/{asked.pk}/pictures/0").status_code in (200, 404)
