"""One's own chats in order: archive, pins, tags, folders; copies; files of chats in and out."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.utils.translation import override

from chat import copies, organising
from chat.models import Chat, Citation, Message, State
from owui.audit.models import AuditEvent
from owui.lib.errors import Missing, Refused, UserError
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db
API = "/api/v1/chats"


@pytest.fixture
def permit(set_config: Callable[..., None]) -> Callable[[str, bool], None]:
    """What everybody may, key by key."""
    tree: dict[str, dict[str, bool]] = {}

    def change(key: str, value: bool) -> None:
        section, _dot, name = key.partition(".")
        tree.setdefault(section, {})[name] = value
        set_config("user.permissions", tree)

    return change


def talk(owner: Any, *texts: str, **fields: Any) -> Chat:
    """A chat whose messages follow one another, questions and answers in turn."""
    chat = Chat.objects.create(owner=owner, **{"title": "Signals", **fields})
    parent = None
    for index, text in enumerate(texts):
        author = "assistant" if index % 2 else "user"
        parent = Message.objects.create(chat=chat, parent=parent, author=author, content=text)
    Chat.objects.filter(pk=chat.pk).update(current=parent)
    chat.refresh_from_db()
    return chat


def told(chat: Chat) -> list[str]:
    return list(chat.messages.order_by("created_at").values_list("content", flat=True))


def shape(chat: Chat) -> dict[str, str]:
    """What each message follows."""
    return {m.content: m.parent.content if m.parent else "" for m in chat.messages.select_related("parent")}


# ---- archive
def test_the_archive_takes_a_chat_out_of_the_list_and_gives_it_back(alice, api_for):
    chat, api = talk(alice, pinned=True), api_for(alice)
    assert api.post(f"{API}/{chat.pk}/archive").json()["archived"] is True
    assert api.get(f"{API}/").json() == [] and api.get(f"{API}/pinned").json() == []
    assert [c["id"] for c in api.get(f"{API}/archived").json()] == [str(chat.pk)]
    assert api.get(f"{API}/archived/count").json() == 1
    age = Chat.objects.get(pk=chat.pk).updated_at
    assert api.post(f"{API}/{chat.pk}/archive").json()["archived"] is False
    assert Chat.objects.get(pk=chat.pk).updated_at == age, "tidying must not make a chat young"


def test_all_at_once_are_ones_own_only(alice, bob, api_for):
    talk(alice)
    talk(bob)
    assert api_for(alice).post(f"{API}/archive/all").json() is True
    assert Chat.objects.filter(archived=True).count() == 1
    assert api_for(alice).post(f"{API}/unarchive/all").json() is True
    assert not Chat.objects.filter(archived=True).exists()


def test_deleting_all_needs_the_permission_and_is_in_the_audit_log(alice, bob, api_for, permit):
    mine = talk(alice)
    talk(bob)
    permit("chat.delete", False)
    assert api_for(alice).delete(f"{API}/").status_code == 401
    assert Chat.objects.count() == 2
    permit("chat.delete", True)
    assert api_for(alice).delete(f"{API}/").json() is True
    assert list(Chat.objects.values_list("owner", flat=True)) == [bob.pk]
    assert AuditEvent.objects.get(action="chat.delete_all").detail == {"chats": 1, "ids": [str(mine.pk)]}


# ---- tags
def test_tags_are_added_once_listed_found_and_removed(alice, api_for):
    chat, other, api = talk(alice), talk(alice), api_for(alice)
    for _ in range(2):
        added = api.post(f"{API}/{chat.pk}/tags", {"name": "Drug  Safety"})
    assert [t["id"] for t in added.json()] == ["drug_safety"]
    assert [t["id"] for t in api.get(f"{API}/all/tags").json()] == ["drug_safety"]

    def found(name: str) -> list[str]:
        answer = api.post(f"{API}/tags", {"name": name})
        return [c["id"] for c in answer.json()]

    assert found("drug safety") == [str(chat.pk)] and found("none") == [str(other.pk)]
    body: dict[str, Any] = {"data": {"name": "Drug Safety"}, "content_type": "application/json"}
    assert api.delete(f"{API}/{chat.pk}/tags", **body).json() == []
    assert set(found("none")) == {str(chat.pk), str(other.pk)}


@pytest.mark.parametrize("name", ["", "  ", "None", "x" * 81])
def test_what_can_be_no_tag_is_refused_with_words(alice, api_for, name):
    answer = api_for(alice).post(f"{API}/{talk(alice).pk}/tags", {"name": name})
    assert answer.status_code == 400 and answer.json()["detail"]


def test_a_chat_has_a_limit_of_tags(alice):
    chat = talk(alice, meta={"tags": [f"t{n}" for n in range(organising.TAGS_PER_CHAT)]})
    with pytest.raises(UserError, match="Remove one"):
        organising.add_tag(by=alice, chat_id=chat.pk, name="more")


# ---- folders
def test_a_move_opens_a_chat_to_the_readers_of_its_folder_and_closes_it_again(alice, bob, share, api_for):
    folder, chat = make_shared("folder", alice, name="Team"), talk(alice, "Question")
    share(folder, bob, "read")

    def move(folder_id: str | None) -> int:
        body = {"folder_id": folder_id}
        return api_for(alice).post(f"{API}/{chat.pk}/folder", body).status_code

    assert api_for(bob).get(f"{API}/{chat.pk}").status_code == 401
    assert move(str(folder.pk)) == 200
    assert api_for(bob).get(f"{API}/{chat.pk}").status_code == 200
    assert move(None) == 200
    assert api_for(bob).get(f"{API}/{chat.pk}").status_code == 401
    assert AuditEvent.objects.filter(action="chat.move").count() == 2


def test_nobody_puts_a_chat_where_they_may_only_read(alice, bob, mallory, share):
    folder, chat = make_shared("folder", alice), talk(bob)
    share(folder, bob, "read")
    with pytest.raises(Refused):
        organising.move_chat(by=bob, chat_id=chat.pk, folder_id=str(folder.pk))
    with pytest.raises(Missing):
        organising.move_chat(by=mallory, chat_id=talk(mallory).pk, folder_id=str(folder.pk))


# ---- copies
def test_a_clone_is_whole_and_ones_own(alice, bob, share, api_for):
    folder = make_shared("folder", alice)
    share(folder, bob, "read")
    source = talk(alice, "Question", "Answer", folder=folder, params={"system": "mine"}, meta={"tags": ["a"]})
    answer = source.messages.get(author="assistant")
    Citation.objects.create(message=answer, number=1, document_name="SOP.pdf", text="Passage")
    sibling = Message.objects.create(chat=source, parent=answer.parent, author="assistant", content="Other answer")
    made = api_for(bob).post(f"{API}/{source.pk}/clone", {}).json()
    copy = Chat.objects.get(pk=made["id"])
    assert (copy.owner, copy.folder, copy.params, copy.meta) == (bob, None, {}, {})
    assert told(copy) == ["Question", "Answer", "Other answer"]
    assert copy.current is not None and copy.current.content == "Answer" and copy.current.citations.count() == 1
    assert {m.parent_id for m in copy.messages.filter(author="assistant")} == {copy.messages.get(author="user").pk}
    assert sibling.chat_id == source.pk and source.messages.count() == 3
    assert AuditEvent.objects.get(action="chat.clone").detail == {"from": str(source.pk)}


def test_a_fork_is_the_one_branch_up_to_a_message(alice, api_for):
    source = talk(alice, "One", "Two", "Three", "Four")
    Message.objects.create(chat=source, author="user", content="Elsewhere")
    two = source.messages.get(content="Two")
    body = {"message_id": str(two.pk)}
    made = api_for(alice).post(f"{API}/{source.pk}/fork", body).json()
    assert told(Chat.objects.get(pk=made["id"])) == ["One", "Two"]
    assert made["title"] == f"{source.title} (fork)"
    missing = {"message_id": str(uuid.uuid4())}
    assert api_for(alice).post(f"{API}/{source.pk}/fork", missing).status_code == 404


def test_a_copy_says_what_it_is_in_the_readers_language_however_long_the_title(alice):
    source = talk(alice, "One", "Two")
    source.title = "Cleaning"
    with override("de"):
        assert copies.clone_chat(source, by=alice, leaf=source.current_id).title == "Cleaning (Abzweig)"
        assert copies.clone_chat(source, by=alice).title == "Kopie von Cleaning"
    source.title = "long " * 100
    fork = copies.clone_chat(source, by=alice, leaf=source.current_id)
    assert fork.title.endswith(" (fork)") and len(fork.title) <= 500
    assert copies.clone_chat(source, by=alice, leaf=source.current_id, title="Mine").title == "Mine"


def test_an_answer_that_is_being_written_is_copied_as_it_is(alice):
    source = talk(alice, "Question", "Half")
    source.messages.filter(author="assistant").update(state=State.RUNNING)
    copy = copies.clone_chat(source, by=alice)
    assert copy.messages.get(author="assistant").state == State.INTERRUPTED


def test_whoever_is_bound_to_temporary_chats_copies_and_imports_nothing(alice, permit):
    source = talk(alice, "Question")
    permit("chat.temporary_enforced", True)
    with pytest.raises(Refused):
        copies.clone_chat(source, by=alice)
    with pytest.raises(Refused):
        copies.import_chats([], by=alice)


# ---- files
@pytest.mark.django_db(transaction=True)
def test_what_is_exported_can_be_imported_and_is_the_same(alice, bob, api_for):
    source = talk(alice, "Question **one**", "Answer", "Question two", "Answer two", meta={"tags": ["a"]}, pinned=True)
    first = source.messages.get(content="Answer")
    Message.objects.create(chat=source, parent=first.parent, author="assistant", content="Other", error="Broke")
    answer = api_for(alice).get(f"{API}/all")
    exported = json.loads(b"".join(_bytes(answer)))
    back = api_for(bob).post(f"{API}/import", {"chats": exported})
    assert back.status_code == 200, back.content
    copy = Chat.objects.get(pk=back.json()[0]["id"])
    assert (copy.owner, copy.title, copy.pinned, copy.meta["tags"]) == (bob, "Signals", True, ["a"])
    assert shape(copy) == shape(source)
    assert copy.current is not None and copy.current.content == "Answer two"
    assert not set(copy.messages.values_list("pk", flat=True)) & set(source.messages.values_list("pk", flat=True))
    assert int(copy.created_at.timestamp()) == int(source.created_at.timestamp())


def _bytes(answer: Any) -> list[bytes]:
    import asyncio

    async def read() -> list[bytes]:
        return [piece async for piece in answer.streaming_content]

    content = answer.streaming_content
    return asyncio.run(read()) if hasattr(content, "__aiter__") else list(content)


CHATGPT = {
    "title": "From elsewhere",
    "create_time": 1_700_000_000.5,
    "update_time": 1_700_000_100.5,
    "current_node": "d",
    "mapping": {
        "root": {"id": "root", "message": None, "parent": None, "children": ["s"]},
        "s": {"message": {"author": {"role": "system"}, "content": {"parts": [""]}}, "parent": "root"},
        "a": {
            "message": {
                "author": {"role": "user"},
                "content": {"parts": ["Hello", {"image": 1}]},
                "create_time": 1.7e9,
            },
            "parent": "s",
        },
        "t": {"message": {"author": {"role": "tool"}, "content": {"parts": ["noise"]}}, "parent": "a"},
        "d": {
            "message": {
                "author": {"role": "assistant"},
                "content": {"parts": ["Hi"]},
                "metadata": {"model_slug": "gpt-x"},
            },
            "parent": "t",
        },
    },
}


def test_chatgpts_file_is_understood(alice):
    (chat,) = copies.import_chats([CHATGPT], by=alice)
    assert (chat.title, told(chat), chat.model_ids) == ("From elsewhere", ["Hello", "Hi"], ["gpt-x"])
    hi = chat.messages.get(content="Hi")
    assert hi.parent is not None and hi.parent.content == "Hello" and chat.current == hi
    assert chat.created_at.timestamp() == 1_700_000_000.5


_IN_LOOP = {one: {"id": one, "parentId": other, "role": "user"} for one, other in ("ab", "ba")}
LOOP = {"history": {"messages": _IN_LOOP}}


@pytest.mark.parametrize(
    "entry", [1, None, "text", [], {"chat": 5}, {"mapping": []}, {"chat": LOOP}, {"messages": [{}]}]
)
def test_one_broken_chat_refuses_the_whole_file_with_its_number(alice, api_for, entry):
    body = {"chats": [CHATGPT, entry]}
    answer = api_for(alice).post(f"{API}/import", body)
    assert answer.status_code == 400 and "Chat 2" in answer.json()["detail"]
    assert not Chat.objects.exists()


def test_a_file_cannot_name_somebody_elses_messages_or_rights(alice, bob):
    theirs = talk(bob, "Secret")
    message = theirs.messages.get()
    inner = {"id": str(message.pk), "role": "user", "content": "Mine", "parentId": None, "files": [{"id": "x"}]}
    entry = {
        "id": str(theirs.pk), "user_id": str(bob.pk), "folder_id": str(uuid.uuid4()), "share_id": "x",
        "chat": {"title": "T", "history": {"currentId": str(message.pk), "messages": {str(message.pk): inner}}},
    }  # fmt: skip
    (chat,) = copies.import_chats([entry], by=alice)
    assert chat.owner == alice and chat.folder is None and told(chat) == ["Mine"]
    assert told(theirs) == ["Secret"] and chat.messages.get().files == []


def test_importing_and_exporting_need_their_permissions(alice, api_for, permit):
    permit("chat.import", False)
    permit("chat.export", False)
    assert api_for(alice).post(f"{API}/import", {"chats": []}).status_code == 403
    assert api_for(alice).get(f"{API}/all").status_code == 401


def test_too_many_chats_are_refused_as_a_whole(alice):
    with pytest.raises(UserError) as error:
        copies.import_chats([CHATGPT] * (copies.MOST_CHATS + 1), by=alice)
    assert error.value.status == 413


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("chat_access", "export"), [(False, True), (True, False)])
def test_administrators_export_and_list_only_while_the_switches_allow_it(
    alice, dana, api_for, settings, chat_access, export
):
    talk(alice)
    settings.ENABLE_ADMIN_CHAT_ACCESS, settings.ENABLE_ADMIN_EXPORT = chat_access, export
    assert api_for(dana).get(f"{API}/all/db").status_code == 401
    assert api_for(dana).get(f"{API}/list/user/{alice.pk}").status_code == (200 if chat_access else 401)
    settings.ENABLE_ADMIN_CHAT_ACCESS = settings.ENABLE_ADMIN_EXPORT = True
    assert len(json.loads(b"".join(_bytes(api_for(dana).get(f"{API}/all/db"))))) == 1
    assert AuditEvent.objects.filter(action="chat.export_all").count() == 1


def test_the_archive_and_tags_cost_as_many_statements_for_many_chats(alice, api_for, django_assert_max_num_queries):
    for _ in range(5):
        talk(alice, meta={"tags": ["a", "b"]}, archived=True)
    with django_assert_max_num_queries(2):
        assert organising.all_tags(alice) == [("a", 5), ("b", 5)]
