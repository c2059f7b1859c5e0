"""Workspace pages: who sees what, and what the pages do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from knowledge import pipeline
from knowledge.models import Document, DocumentState, HeldPassage, KnowledgeBase, KnowledgeDocument
from tests.factories.knowledge import make_base, make_document
from tests.knowledge.conftest import body_of

pytestmark = pytest.mark.usefixtures("sent", "rag")
ROOT = "/workspace/knowledge/"


@pytest.fixture
def kb(alice: Any, bob: Any, carols_group: Any, share: Callable[..., None]) -> KnowledgeBase:
    kb = make_base(alice)
    share(kb, bob, "read")
    share(kb, carols_group, "write")
    return kb


def test_codes_by_person(client_for: Callable[..., Any], kb: KnowledgeBase, people: Any) -> None:
    document = make_document(people.alice, bases=[kb])
    page = f"{ROOT}{kb.pk}"
    one = f"{page}/documents/{document.pk}"
    reads = {"alice": 200, "bob": 200, "carol": 200, "dana": 200, "mallory": 404, "pending": 302}
    writes = {"alice": 200, "bob": 403, "carol": 200, "dana": 200, "mallory": 404, "pending": 302}
    for name in reads:
        client = client_for(getattr(people, name))
        assert client.get(page).status_code == client.get(one).status_code == reads[name], name
        for path in ("edit", "delete", f"documents/{document.pk}/delete"):
            assert client.get(f"{page}/{path}").status_code == writes[name], (name, path)
        assert client.post(f"{one}/retry").status_code == writes[name], name
        file = SimpleUploadedFile("a.txt", name.encode())
        assert client.post(f"{page}/documents", {"file": file}).status_code == writes[name], name
    assert client_for(None).get(page).status_code == 302


def test_list_shows_what_one_may_read(
    client_for: Callable[..., Any], kb: KnowledgeBase, bob: Any, mallory: Any, dana: Any
) -> None:
    assert "SOPs" in client_for(bob).get(ROOT).content.decode()
    assert "SOPs" not in client_for(mallory).get(ROOT).content.decode()
    assert "New knowledge base" in client_for(dana).get(ROOT).content.decode()
    assert "New knowledge base" not in client_for(bob).get(ROOT).content.decode()


@pytest.mark.parametrize("what", ["bases", "documents"])
def test_pages_have_a_constant_number_of_statements(client_for: Callable[..., Any], alice: Any, what: str) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    kb = make_base(alice)
    make_document(alice, bases=[kb])
    client = client_for(alice)
    path = ROOT if what == "bases" else f"{ROOT}{kb.pk}"

    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path).status_code == 200
        return len(captured)

    count()
    one = count()
    for number in range(49):
        if what == "bases":
            make_document(alice, bases=[make_base(alice, f"base {number}")])
        else:
            make_document(alice, f"text {number}", bases=[kb], filename=f"{number}.txt")
    assert count() == one <= 20


def test_create_edit_delete(client_for: Callable[..., Any], dana: Any, alice: Any) -> None:
    client = client_for(dana, htmx=True)
    assert client.post(f"{ROOT}new", {"name": ""}).status_code == 422
    answer = client.post(f"{ROOT}new", {"name": "SOPs", "description": "All of them"})
    kb = KnowledgeBase.objects.get()
    assert answer["HX-Redirect"] == f"{ROOT}{kb.pk}"
    client.post(f"{ROOT}{kb.pk}/edit", {"name": "Renamed"})
    kb.refresh_from_db()
    assert (kb.name, kb.description) == ("Renamed", "")
    assert client.post(f"{ROOT}{kb.pk}/delete")["HX-Redirect"] == ROOT
    assert not KnowledgeBase.objects.exists()
    assert client_for(alice).get(f"{ROOT}new").status_code == 403


def test_upload_row_polls_until_ready(client_for: Callable[..., Any], kb: KnowledgeBase, carol: Any) -> None:
    client = client_for(carol, htmx=True)
    file = SimpleUploadedFile("sop.txt", b"Mixers are cleaned daily.", content_type="text/plain")
    row = client.post(f"{ROOT}{kb.pk}/documents", {"file": file, "path": "folder/sop.txt"}).content.decode()
    document = Document.objects.get()
    path = f"{ROOT}{kb.pk}/documents/{document.pk}"
    assert f'id="document-{document.pk}"' in row and "every 1s" in row
    pipeline.advance(document.pk)
    assert "every 1s" not in client.get(path).content.decode()
    assert document.meta["data"] == {"path": "folder/sop.txt"}
    content = client.get(f"{path}/content")
    assert body_of(content) == b"Mixers are cleaned daily."


def test_refused_upload_is_a_toast(
    client_for: Callable[..., Any], kb: KnowledgeBase, alice: Any, rag: Callable[..., None]
) -> None:
    rag(file_max_size=1)
    file = SimpleUploadedFile("big.txt", b"x" * (1024 * 1024 + 1))
    answer = client_for(alice, htmx=True).post(f"{ROOT}{kb.pk}/documents", {"file": file})
    assert answer.status_code == 413 and "larger than 1 MB" in answer.content.decode()
    assert client_for(alice, htmx=True).post(f"{ROOT}{kb.pk}/documents").status_code == 400


def test_failed_document_comes_first_and_can_be_tried_again(
    client_for: Callable[..., Any], kb: KnowledgeBase, alice: Any
) -> None:
    make_document(alice, "a", bases=[kb], filename="a.txt")
    failed = make_document(alice, "b", bases=[kb], filename="b.txt")
    Document.objects.filter(pk=failed.pk).update(state=DocumentState.FAILED, error="Broken because.")
    client = client_for(alice, htmx=True)
    page = client.get(f"{ROOT}{kb.pk}").content.decode()
    assert page.index("b.txt") < page.index("a.txt") and "Broken because." in page
    row = client.post(f"{ROOT}{kb.pk}/documents/{failed.pk}/retry").content.decode()
    assert "every 1s" in row


def test_delete_document(client_for: Callable[..., Any], kb: KnowledgeBase, carol: Any, alice: Any) -> None:
    document = make_document(alice, bases=[kb])
    client = client_for(carol, htmx=True)
    path = f"{ROOT}{kb.pk}/documents/{document.pk}/delete"
    assert "sop.txt" in client.get(path).content.decode()
    assert client.post(path)["HX-Redirect"] == f"{ROOT}{kb.pk}"
    assert not Document.objects.exists()


@pytest.mark.parametrize("name", ["knowledgebase", "document", "embeddingspace"])
def test_governance_lists(client_for: Callable[..., Any], kb: KnowledgeBase, alice: Any, dana: Any, name: str) -> None:
    make_document(alice, bases=[kb])
    client = client_for(dana)
    assert client.get(f"/admin/knowledge/{name}/").status_code == 200
    if name == "knowledgebase":
        assert "bob@example.org" in client.get(f"/admin/knowledge/{name}/{kb.pk}/change/").content.decode()


def test_the_list_of_bases_comes_in_pages_at_a_steady_cost(
    client_for: Callable[..., Any], people: Any, share: Callable[..., None]
) -> None:
    def cost(number: int) -> int:
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as asked:
            answer = client.get(ROOT, {"page": number})
        assert answer.status_code == 200
        return len(asked)

    client = client_for(people.bob)
    for at in range(3):
        share(make_base(people.alice, name=f"Base {at:03}"), people.bob, "read")
    cost(1)
    few = cost(1)
    bases = [KnowledgeBase(name=f"Base {at:03}", owner=people.bob, description="Stability" if at == 77 else "")
             for at in range(3, 120)]  # fmt: skip
    KnowledgeBase.objects.bulk_create(bases)
    make_base(people.mallory, name="Base 999")
    assert cost(1) == cost(2) == few
    for page, first, last in ((1, 0, 49), (2, 50, 99), (3, 100, 119), (9, 100, 119)):
        names = [row["name"] for row in client.get(ROOT, {"page": page}).context["kb_list"]]
        assert (names[0], names[-1]) == (f"Base {first:03}", f"Base {last:03}")
    assert "Page 3 of 3, 120 knowledge bases" in client.get(ROOT, {"page": "9"}).content.decode()
    assert [row["name"] for row in client.get(ROOT, {"q": "stabil"}).context["kb_list"]] == ["Base 077"]
    assert "No knowledge base found" in client.get(ROOT, {"q": "nothing of the kind"}).content.decode()
    assert client.get(ROOT, {"page": "x"}).context["shown"].page == 1


def test_many_documents_come_in_pages(client_for: Callable[..., Any], alice: Any, kb: KnowledgeBase) -> None:
    rows = [Document(owner=alice, filename=f"SOP {n:03}.pdf", state=DocumentState.LIVE) for n in range(120)]
    rows[117].state, rows[118].state = DocumentState.FAILED, DocumentState.RECEIVED
    Document.objects.bulk_create(rows)
    KnowledgeDocument.objects.bulk_create(KnowledgeDocument(knowledge_base=kb, document=row) for row in rows)
    client = client_for(alice)

    def shown(**asked: Any) -> list[str]:
        return [row["name"] for row in client.get(f"{ROOT}{kb.pk}", asked).context["document_list"]]

    first = shown()
    assert first[:3] == ["SOP 117.pdf", "SOP 118.pdf", "SOP 000.pdf"] and len(first) == 50
    assert len(shown(page=3)) == 20 and shown(page=3)[-1] == "SOP 119.pdf"
    assert shown(page=99) == shown(page=3) and shown(page="x") == first
    assert shown(q="p 04") == [f"SOP 04{n}.pdf" for n in range(10)]
    page = client.get(f"{ROOT}{kb.pk}", {"q": "100%"}).content.decode()
    assert "No document of this base has “100%” in its name." in page
    assert "Page 1 of 3, 120 documents" in client.get(f"{ROOT}{kb.pk}").content.decode()


def test_a_page_costs_the_same_for_any_number_of_documents(
    client_for: Callable[..., Any], alice: Any, kb: KnowledgeBase
) -> None:
    client = client_for(alice)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"{ROOT}{kb.pk}").status_code == 200
        return len(queries)

    make_document(alice, bases=[kb])
    cost()
    one = cost()
    for number in range(8):
        make_document(alice, bases=[kb], filename=f"{number}.txt")
    assert cost() == one


def test_a_row_says_how_many_passages_are_held(client_for: Callable[..., Any], alice: Any, kb: KnowledgeBase) -> None:
    document = make_document(alice, bases=[kb])
    for decision in ("", "", "refused"):
        HeldPassage.objects.create(
            document=document, page_position=0, text="x", text_hash="x", score=0.9, decision=decision
        )
    client = client_for(alice)
    for path in (f"{ROOT}{kb.pk}", f"{ROOT}{kb.pk}/documents/{document.pk}"):
        assert "2 passages are held back" in client.get(path).content.decode()
