"""REST of files, knowledge bases and retrieval: shapes and codes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from knowledge import pipeline
from knowledge.config import RagConfig
from knowledge.models import Document, KnowledgeBase
from owui.lib.masks import MASK
from tests.factories.knowledge import make_base, make_document
from tests.knowledge.conftest import body_of

pytestmark = pytest.mark.usefixtures("sent", "rag")
FILES, KB, RETRIEVAL = "/api/v1/files/", "/api/v1/knowledge/", "/api/v1/retrieval/"
TEXT = "Mixers are cleaned with warm water."


@pytest.fixture
def kb(alice: Any, bob: Any, carols_group: Any, share: Callable[..., None]) -> KnowledgeBase:
    kb = make_base(alice)
    share(kb, bob, "read")
    share(kb, carols_group, "write")
    return kb


def send(api: Any, content: bytes = TEXT.encode(), name: str = "a.txt", query: str = "", **fields: Any) -> Any:
    file = SimpleUploadedFile(name, content, content_type=fields.pop("content_type", "text/plain"))
    return api.post(f"{FILES}{query}", {"file": file, **fields}, multipart=True)


# --------------------------------------------------------------------------------------------------------------- files
def test_upload_status_and_text(api_for: Callable[..., Any], alice: Any) -> None:
    api = api_for(alice)
    file = send(api).json()
    assert file["status"] is True and file["data"] == {"status": "pending"}
    assert file["meta"]["name"] == "a.txt" and file["meta"]["size"] == len(TEXT)
    assert file["meta"]["collection_name"] == f"file-{file['id']}"
    path = f"{FILES}{file['id']}"
    assert api.get(f"{path}/process/status").json() == {"status": "pending"}
    pipeline.advance(uuid.UUID(file["id"]))
    assert api.get(f"{path}/process/status").json() == {"status": "completed"}
    whole = api.get(path).json()
    assert whole["data"]["content"] == TEXT and whole["hash"]
    assert set(whole) == {"id", "user_id", "hash", "filename", "data", "meta", "created_at", "updated_at"}
    assert api.get(f"{path}/data/content").json() == {"content": TEXT}


def test_upload_that_waits_for_the_end(api_for: Callable[..., Any], alice: Any) -> None:
    assert send(api_for(alice), query="?process_in_background=false").json()["data"]["status"] == "completed"
    failed = send(api_for(alice), b"%PDF-1.4 x", "b.pdf", query="?process_in_background=false")
    assert failed.status_code == 400 and "damaged" in failed.json()["detail"]


def test_upload_without_processing(api_for: Callable[..., Any], alice: Any) -> None:
    file = send(api_for(alice), query="?process=false").json()
    api_for(alice).post(f"{RETRIEVAL}process/file", {"file_id": file["id"]})
    pipeline.advance(uuid.UUID(file["id"]))
    assert api_for(alice).get(f"{FILES}{file['id']}").json()["data"]["content"] == TEXT


def test_refusals_of_an_upload(api_for: Callable[..., Any], alice: Any, pending: Any, rag: Callable[..., None]) -> None:
    rag(file_max_size=1, allowed_file_extensions=["txt"])
    api = api_for(alice)
    assert send(api, b"x" * 1024 * 1024).status_code == 200
    assert send(api, b"x" * (1024 * 1024 + 1)).status_code == 413
    assert send(api, b"").status_code == 400
    assert send(api, b"x", "a.exe").status_code == 400
    assert send(api, metadata="{broken").status_code == 400
    assert send(api, metadata="[]").status_code == 400
    assert send(api_for(pending)).status_code == 401
    assert send(api_for(None)).status_code == 401
    assert api.post(FILES, {}, multipart=True).status_code == 422


def test_upload_into_a_base(api_for: Callable[..., Any], kb: KnowledgeBase, alice: Any, carol: Any, bob: Any) -> None:
    for person, linked in ((carol, 1), (bob, 0)):
        file = send(api_for(person), person.name.encode(), metadata=json.dumps({"knowledge_id": str(kb.pk)})).json()
        assert Document.objects.get(pk=file["id"]).links.count() == linked
        assert file["meta"]["data"]["knowledge_id"] == str(kb.pk)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("get", ""), ("get", "/content"), ("get", "/content/html"), ("get", "/content/sop.txt"),
        ("get", "/data/content"),
        ("get", "/process/status"), ("get", "/process/status?stream=false"), ("delete", ""), ("post", "/rename"),
        ("post", "/data/content/update"),
    ],
)  # fmt: skip
def test_outsiders_find_no_file(api_for: Callable[..., Any], alice: Any, mallory: Any, verb: str, path: str) -> None:
    document = make_document(alice)
    body = {"content": "x", "filename": "y"}
    answer = getattr(api_for(mallory), verb)(f"{FILES}{document.pk}{path}", *([body] if verb == "post" else []))
    assert answer.status_code == 404
    assert Document.objects.get().filename == "sop.txt"


def test_reader_of_a_base_reads_its_files_but_changes_none(
    api_for: Callable[..., Any], kb: KnowledgeBase, alice: Any, bob: Any, carol: Any
) -> None:
    document = make_document(alice, bases=[kb])
    path = f"{FILES}{document.pk}"
    assert api_for(bob).get(path).status_code == 200
    assert api_for(bob).delete(path).status_code == 404
    assert api_for(bob).post(f"{path}/data/content/update", {"content": "x"}).status_code == 404
    assert api_for(carol).post(f"{path}/data/content/update", {"content": "New text."}).json() == {
        "content": "New text."
    }
    assert api_for(carol).delete(path).json() == {"message": "File deleted successfully"}


def test_listing_is_paged_and_constant(
    api_for: Callable[..., Any], alice: Any, mallory: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(35):
        make_document(alice, f"text {number}", filename=f"file{number}.pdf")
    make_document(mallory)
    api = api_for(alice)
    with django_assert_max_num_queries(7):
        first = api.get(FILES).json()
    assert first["total"] == 35 and len(first["items"]) == 30 and "content" in first["items"][0]["data"]
    second = api.get(f"{FILES}?page=2&content=false").json()
    assert len(second["items"]) == 5 and "content" not in second["items"][0]["data"]
    assert api.get(f"{FILES}count").json() == 35
    assert len(api.get(f"{FILES}search?filename=file1*.pdf").json()) == 11
    assert len(api.get(f"{FILES}search?filename=*LE1?*pd*").json()) == 11
    for pattern in ("*.docx", "[*^", "*\\\\*", "file(*"):
        assert api.get(f"{FILES}search", {"filename": pattern}).status_code == 404, pattern


@pytest.mark.parametrize(
    ("name", "kind", "inline"),
    [
        ("a.pdf", "application/pdf", True), ("a.txt", "text/plain", True), ("a.png", "image/png", True),
        ("a.html", "text/html", False), ("a.svg", "image/svg+xml", False), ("a.js", "text/javascript", False),
    ],
)  # fmt: skip
def test_content_is_handed_out_harmless(
    api_for: Callable[..., Any], alice: Any, name: str, kind: str, inline: bool
) -> None:
    api = api_for(alice)
    file = send(api, b"<script>alert(1)</script>", name, content_type=kind).json()
    answer = api.get(f"{FILES}{file['id']}/content")
    assert body_of(answer) == b"<script>alert(1)</script>"
    assert answer["Content-Disposition"].startswith("inline" if inline else "attachment")
    assert answer["X-Content-Type-Options"] == "nosniff" and "default-src 'none'" in answer["Content-Security-Policy"]
    assert ("sandbox" in answer["Content-Security-Policy"]) == (kind != "application/pdf")
    if not inline:
        assert answer["Content-Type"] == "application/octet-stream"
    forced = api.get(f"{FILES}{file['id']}/content?attachment=true")
    body_of(forced)
    assert forced["Content-Disposition"].startswith("attachment")


def test_odd_names_travel_by_rfc_5987(api_for: Callable[..., Any], alice: Any) -> None:
    api = api_for(alice)
    file = send(api, name='Prüf;"bericht.txt').json()
    answer = api.get(f"{FILES}{file['id']}/content")
    body_of(answer)
    assert "filename*=utf-8''Pr%C3%BCf" in answer["Content-Disposition"] and "\n" not in answer["Content-Disposition"]


@pytest.mark.django_db(transaction=True)
async def test_status_stream_ends_with_the_work(alice: Any, rag: Callable[..., None]) -> None:
    from django.test import AsyncClient

    from owui.lib.aio import in_thread
    from tests.conftest import token_for

    document = await in_thread(make_document)(alice)
    headers = {"authorization": f"Bearer {await in_thread(token_for)(alice)}"}
    answer = await AsyncClient().get(f"{FILES}{document.pk}/process/status?stream=true", headers=headers)
    assert answer["Content-Type"] == "text/event-stream", answer.content
    assert [line async for line in answer.streaming_content] == [b'data: {"status": "completed"}\n\n']


# ----------------------------------------------------------------------------------------------------- knowledge bases
def test_life_of_a_base(api_for: Callable[..., Any], dana: Any, bob: Any) -> None:
    api = api_for(dana)
    grants = [{"principal_type": "user", "principal_id": str(bob.pk), "permission": "read"}]
    kb = api.post(f"{KB}create", {"name": "SOPs", "description": "d", "access_grants": grants, "unknown": 1}).json()
    assert kb["access_grants"] == grants and kb["access_control"]["read"]["user_ids"] == [str(bob.pk)]
    assert kb["files"] == [] and kb["write_access"] is True and kb["user"]["email"] == dana.email
    document = make_document(dana, TEXT)
    path = f"{KB}{kb['id']}"
    added = api.post(f"{path}/file/add", {"file_id": str(document.pk)}).json()
    assert [file["id"] for file in added["files"]] == [str(document.pk)]
    twin = make_document(dana, TEXT)
    again = api.post(f"{path}/file/add", {"file_id": str(twin.pk)})
    assert again.status_code == 400 and again.json()["detail"].startswith("Duplicate content")
    batch = api.post(
        f"{path}/files/batch/add", [{"file_id": str(twin.pk)}, {"file_id": str(make_document(dana, "b").pk)}]
    )
    assert len(batch.json()["files"]) == 2 and len(batch.json()["warnings"]["errors"]) == 1
    listed = api.get(f"{path}/files?query=sop&order_by=name").json()
    assert listed["total"] == 2 and listed["directories"] == [] and len(listed["items"]) == 2
    removed = api.post(f"{path}/file/remove?delete_file=false", {"file_id": str(document.pk)}).json()
    assert len(removed["files"]) == 1 and Document.objects.filter(pk=document.pk).exists()
    assert api.post(f"{path}/update", {"name": "New"}).json()["name"] == "New"
    assert api.post(f"{path}/access/update", {"access_grants": []}).json()["access_grants"] == []
    assert api.post(f"{path}/reset").json()["files"] == []
    assert api.delete(f"{path}/delete").json() is True
    assert api.get(path).status_code == 404


def test_create_needs_the_permission(api_for: Callable[..., Any], alice: Any, set_config: Callable[..., None]) -> None:
    answer = api_for(alice).post(f"{KB}create", {"name": "x"})
    assert (answer.status_code, answer.json()) == (401, {"detail": "401 Unauthorized"})
    set_config("user.permissions", {"workspace": {"knowledge": True}})
    assert api_for(alice).post(f"{KB}create", {"name": "x"}).json()["access_grants"] == []
    assert api_for(alice).post(f"{KB}create", {"name": "  "}).status_code == 400


def test_codes_of_a_base_by_person(api_for: Callable[..., Any], kb: KnowledgeBase, people: Any) -> None:
    document = make_document(people.alice, bases=[kb])
    path, body = f"{KB}{kb.pk}", {"file_id": str(document.pk)}
    reads = {"alice": 200, "bob": 200, "carol": 200, "dana": 200, "mallory": 401, "pending": 401}
    for name, code in reads.items():
        api = api_for(getattr(people, name))
        assert api.get(path).status_code == code, name
        assert api.get(f"{path}/files").status_code == code, name
        assert api.get(f"{path}/files/pending").status_code == code, name
    for name in ("bob", "mallory"):
        api = api_for(getattr(people, name))
        for route in ("update", "access/update", "file/add", "file/update", "file/remove", "reset"):
            assert api.post(f"{path}/{route}", body).status_code == 400, (name, route)
        assert api.post(f"{path}/files/batch/add", [body]).status_code == 400
        assert api.delete(f"{path}/delete").status_code == 400
    missing = f"{KB}{uuid.uuid4()}"
    assert api_for(people.alice).get(missing).status_code == 404
    assert api_for(people.alice).post(f"{missing}/update", {"name": "x"}).status_code == 400
    assert api_for(people.alice).get(f"{KB}nonsense").status_code == 404
    assert kb.links.count() == 1


def test_file_one_cannot_read_cannot_be_added(api_for: Callable[..., Any], alice: Any, mallory: Any) -> None:
    mine = make_base(mallory)
    answer = api_for(mallory).post(f"{KB}{mine.pk}/file/add", {"file_id": str(make_document(alice).pk)})
    assert answer.status_code == 400 and mine.links.count() == 0


def test_listing_of_bases(
    api_for: Callable[..., Any],
    alice: Any,
    bob: Any,
    mallory: Any,
    share: Callable[..., None],
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(35):
        share(make_base(alice, f"base {number:02}"), bob, "read")
    make_base(bob, "own")
    assert api_for(mallory).get(KB).json() == {"items": [], "total": 0}
    with django_assert_max_num_queries(10):
        listed = api_for(bob).get(KB).json()
    assert listed["total"] == 36 and len(listed["items"]) == 30
    assert {item["write_access"] for item in listed["items"]} == {True, False}
    search = f"{KB}search?query=base&order_by=name&direction=asc&page=2"
    assert [item["name"] for item in api_for(bob).get(search).json()["items"]] == [f"base {n}" for n in range(30, 35)]
    assert api_for(bob).get(f"{KB}search?view_option=created").json()["total"] == 1
    assert api_for(bob).get(f"{KB}search?view_option=shared").json()["total"] == 35


def test_search_of_files_in_readable_bases(
    api_for: Callable[..., Any], kb: KnowledgeBase, alice: Any, bob: Any, mallory: Any
) -> None:
    make_document(alice, bases=[kb], filename="cleaning.pdf")
    make_document(alice, "private", filename="cleaning-private.pdf")
    assert api_for(bob).get(f"{KB}search/files?query=clean").json()["total"] == 1
    assert api_for(mallory).get(f"{KB}search/files?query=clean").json()["total"] == 0


def test_reindex_is_for_administrators(api_for: Callable[..., Any], alice: Any, dana: Any) -> None:
    make_document(alice)
    assert api_for(alice).post(f"{KB}reindex").status_code == 401
    assert api_for(dana).post(f"{KB}reindex").json() is True
    assert Document.objects.get().state == "extracted"


# ----------------------------------------------------------------------------------------------------------- retrieval
@pytest.mark.django_db(transaction=True)
def test_queries_by_person_and_name(api_for: Callable[..., Any], kb: KnowledgeBase, people: Any) -> None:
    document = make_document(people.alice, TEXT, bases=[kb], filename="clean.txt")
    for name, code in {"alice": 200, "bob": 200, "carol": 200, "dana": 200, "mallory": 403, "pending": 401}.items():
        api = api_for(getattr(people, name))
        for collection in (str(kb.pk), f"file-{document.pk}"):
            one = api.post(f"{RETRIEVAL}query/doc", {"collection_name": collection, "query": "mixers", "k": 2})
            many = api.post(f"{RETRIEVAL}query/collection", {"collection_names": [collection], "query": "mixers"})
            assert (one.status_code, many.status_code) == (code, code), (name, collection)
            if code == 200:
                assert one.json()["documents"] == many.json()["documents"] == [[TEXT]]
                assert one.json()["metadatas"][0][0]["name"] == "clean.txt"
                assert 0 < one.json()["distances"][0][0] <= 1
            else:
                assert TEXT not in one.content.decode() + many.content.decode()


UNKNOWN = "00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("collection", "code"),
    [
        ("../etc", 400), ("a b", 400), ("", 400), ("knowledge-bases", 403), ("user-memory-1", 403),
        (UNKNOWN, 403), (f"file-{UNKNOWN}", 403), ("file-", 403), ("x" * 300, 400),
    ],
)  # fmt: skip
@pytest.mark.django_db(transaction=True)
def test_names_of_collections(api_for: Callable[..., Any], alice: Any, collection: str, code: int) -> None:
    answer = api_for(alice).post(f"{RETRIEVAL}query/doc", {"collection_name": collection, "query": "x"})
    assert answer.status_code == code


@pytest.mark.django_db(transaction=True)
def test_one_forbidden_collection_refuses_all(api_for: Callable[..., Any], alice: Any, mallory: Any) -> None:
    mine = make_base(mallory)
    names = [str(mine.pk), str(make_base(alice).pk)]
    answer = api_for(mallory).post(f"{RETRIEVAL}query/collection", {"collection_names": names, "query": "x"})
    assert answer.status_code == 403


@pytest.mark.django_db(transaction=True)
def test_dead_embedding_server_is_a_sentence(
    api_for: Callable[..., Any], kb: KnowledgeBase, alice: Any, rag: Callable[..., None]
) -> None:
    rag(openai_api_base_url="http://127.0.0.1:1/v1")
    answer = api_for(alice).post(f"{RETRIEVAL}query/doc", {"collection_name": str(kb.pk), "query": "x"})
    assert answer.status_code == 400 and "127.0.0.1:1" in answer.json()["detail"]
    empty = api_for(alice).post(f"{RETRIEVAL}query/doc", {"collection_name": str(kb.pk), "query": " "})
    assert empty.json()["documents"] == [[]]


def test_text_into_a_base(api_for: Callable[..., Any], kb: KnowledgeBase, carol: Any, bob: Any) -> None:
    body = {"name": "note", "content": TEXT, "collection_name": str(kb.pk)}
    assert api_for(bob).post(f"{RETRIEVAL}process/text", body).status_code == 403
    done = api_for(carol).post(f"{RETRIEVAL}process/text", body).json()
    assert done["status"] is True and done["collection_name"] == str(kb.pk) and kb.links.count() == 1


def test_settings_for_administrators(api_for: Callable[..., Any], alice: Any, dana: Any) -> None:
    for path in ("config", "embedding"):
        assert api_for(alice).get(f"{RETRIEVAL}{path}").status_code == 401
    api = api_for(dana)
    assert api.post(f"{RETRIEVAL}config/update", {"TOP_K": 7, "FILE_MAX_SIZE": 5, "unknown": 1}).json()["TOP_K"] == 7
    assert api.get(f"{RETRIEVAL}config").json()["FILE_MAX_SIZE"] == 5
    assert api.post(f"{RETRIEVAL}config/update", {"FILE_MAX_SIZE": None}).json()["FILE_MAX_SIZE"] is None
    sides = {"FILE_IMAGE_COMPRESSION_WIDTH": 800, "FILE_IMAGE_COMPRESSION_HEIGHT": None}
    assert sides.items() <= api.post(f"{RETRIEVAL}config/update", sides).json().items()
    assert api.get("/api/config").json()["file"]["image_compression"] == {"width": 800, "height": None}
    assert api.post(f"{RETRIEVAL}config/update", {"CHUNK_SIZE": 10, "CHUNK_OVERLAP": 10}).status_code == 400
    assert api.post(f"{RETRIEVAL}config/update", {"TOP_K": "many"}).status_code == 400
    update = {"RAG_EMBEDDING_MODEL": "m2", "openai_config": {"url": "http://e/v1", "key": "k2"}}
    embedding = api.post(f"{RETRIEVAL}embedding/update", update).json()
    assert embedding["RAG_EMBEDDING_MODEL"] == "m2" and embedding["openai_config"] == {
        "url": "http://e/v1",
        "key": MASK,
    }
    assert RagConfig.load().openai_api_key == "k2"
    assert api.post(f"{RETRIEVAL}embedding/update", embedding).status_code == 200
    assert RagConfig.load().openai_api_key == "k2"
    elsewhere = {"openai_config": {"url": "http://elsewhere/v1", "key": MASK}}
    answer = api.post(f"{RETRIEVAL}embedding/update", elsewhere)
    assert answer.status_code == 400 and "openai_api_key again" in answer.json()["detail"]
    assert RagConfig.load().openai_api_base_url == "http://e/v1"
