"""Bases, uploads, links: who may, what stays, what goes."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference.models import AIModel
from knowledge import services
from knowledge.models import Chunk, Document, DocumentState, KnowledgeBase, WordSlot
from owui.audit.models import AuditEvent
from owui.lib.errors import Refused, UserError
from rbac.permissions import environment_defaults
from tests.factories.knowledge import make_base, make_document

pytestmark = pytest.mark.usefixtures("sent")


def upload(by: Any, content: bytes = b"text", name: str = "a.txt", **kwargs: Any) -> Document:
    return services.add_document(file=io.BytesIO(content), filename=name, by=by, **kwargs)


def bases_of(document: Document) -> list[Any]:
    return sorted(Chunk.objects.filter(document=document).values_list("knowledge_base__name", flat=True), key=str)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


def test_base_needs_the_permission(alice: Any, dana: Any) -> None:
    assert environment_defaults()["workspace"]["knowledge"] is False
    with pytest.raises(Refused) as refused:
        services.create_base(name="SOPs", by=alice)
    assert refused.value.status == 401
    assert services.create_base(name="  SOPs ", by=dana).name == "SOPs"
    assert AuditEvent.objects.filter(action="knowledge.create").exists()


def test_upload_needs_the_permission_or_a_base(alice: Any, uploads: Path, set_config: Callable[..., None]) -> None:
    set_config("user.permissions", {"chat": {"file_upload": False}})
    with pytest.raises(Refused) as refused:
        upload(alice)
    assert refused.value.status == 403 and files_in(uploads) == []
    assert upload(alice, knowledge_base=make_base(alice)).links.count() == 1


def test_upload_is_stored_hashed_and_recorded(alice: Any, uploads: Path) -> None:
    document = upload(alice, b"text of a file", "Ünïcode report.txt")
    stored = files_in(uploads)
    assert (
        len(stored) == 1
        and stored[0].name.endswith("_Ünïcode report.txt")
        and stored[0].read_bytes() == b"text of a file"
    )
    assert document.size == 14 and len(document.bytes_hash) == 64
    assert AuditEvent.objects.get(action="document.add").detail["sha256"] == document.bytes_hash


@pytest.mark.parametrize(
    ("content", "name", "status"),
    [
        (b"", "empty.txt", 400),
        (b"x" * (1024 * 1024 + 1), "large.txt", 413),
        (b"x", "tool.exe", 400),
        (b"x", "none", 400),
    ],
)
def test_refused_upload_leaves_nothing(
    alice: Any, uploads: Path, set_config: Callable[..., None], content: bytes, name: str, status: int
) -> None:
    set_config("rag.file_max_size", 1)
    set_config("rag.allowed_file_extensions", ["txt", ".PDF"])
    with pytest.raises(UserError) as refused:
        upload(alice, content, name)
    assert refused.value.status == status
    assert files_in(uploads) == [] and not Document.objects.exists()


def test_file_of_exactly_the_limit_passes(alice: Any, uploads: Path, set_config: Callable[..., None]) -> None:
    set_config("rag.file_max_size", 1)
    assert upload(alice, b"x" * 1024 * 1024).size == 1024 * 1024


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "/etc/cron.d/x",
        "a\0b.txt",
        "\u202etxt.exe",
        "名" * 300 + ".pdf",
        ".",
        "..",
        "",
        "a\r\nX-Bad: 1.txt",
        "CON",
        "x" * 5000,
    ],
)
def test_no_name_leaves_the_folder_or_breaks_the_store(alice: Any, uploads: Path, name: str) -> None:
    document = upload(alice, b"text", name)
    stored = files_in(uploads)
    assert [path.parent for path in stored] == [uploads]
    assert len(stored[0].name.encode()) < 255
    assert document.filename and not any(char in document.filename for char in "/\\\0\r\n\u202e")


def test_lost_transaction_leaves_no_file(alice: Any, uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge.services.documents.record", lambda *a, **k: (_ for _ in ()).throw(RuntimeError))
    with pytest.raises(RuntimeError):
        upload(alice)
    assert files_in(uploads) == []


def test_dead_broker_is_no_error(
    alice: Any, uploads: Path, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    from knowledge import pipeline, tasks

    monkeypatch.undo()
    monkeypatch.setattr(tasks.ingest_document, "apply_async", lambda *a, **k: (_ for _ in ()).throw(OSError("refused")))
    with django_capture_on_commit_callbacks(execute=True):
        document = upload(alice)
    assert pipeline.waiting() == [document.pk]
    assert tasks.resume_ingestion() == 1


def test_same_file_twice_in_a_base_is_refused(alice: Any, uploads: Path) -> None:
    kb = make_base(alice)
    upload(alice, knowledge_base=kb)
    with pytest.raises(UserError, match="Duplicate content") as refused:
        upload(alice, name="copy.txt", knowledge_base=kb)
    assert refused.value.status == 400 and len(files_in(uploads)) == 1


def test_chunks_move_into_the_first_base_and_are_copied_into_the_second(alice: Any) -> None:
    one, two = make_base(alice, "one"), make_base(alice, "two")
    document = make_document(alice)
    assert bases_of(document) == [None]
    services.link(document, one, by=alice)
    assert bases_of(document) == ["one"]
    services.link(document, two, by=alice)
    services.link(document, two, by=alice)
    assert bases_of(document) == ["one", "two"]
    copies = Chunk.objects.filter(document=document)
    assert copies[0].embedding == copies[1].embedding and WordSlot.objects.count() == 2
    services.unlink(document, one, by=alice)
    assert bases_of(document) == ["two"]
    services.unlink(document, two, by=alice)
    assert bases_of(document) == [None]


def test_document_in_work_cannot_be_linked_yet(alice: Any, uploads: Path) -> None:
    with pytest.raises(UserError, match="processed"):
        services.link(upload(alice), make_base(alice), by=alice)


def test_same_text_twice_in_a_base_is_refused(alice: Any) -> None:
    kb = make_base(alice)
    make_document(alice, bases=[kb])
    with pytest.raises(UserError, match="Duplicate content"):
        services.link(make_document(alice), kb, by=alice)


def test_reader_cannot_keep_a_document_by_linking_it(alice: Any, bob: Any, share: Callable[..., None]) -> None:
    theirs, mine = make_base(alice), make_base(bob, "mine")
    document = make_document(alice, bases=[theirs])
    share(theirs, bob, "read")
    assert Document.objects.readable_by(bob).filter(pk=document.pk).exists()
    with pytest.raises(Refused, match="not pass it on"):
        services.link(document, mine, by=bob)
    assert not mine.links.exists() and bases_of(document) == ["SOPs"]


def test_link_made_by_somebody_else_does_not_win_a_document(
    alice: Any, dana: Any, mallory: Any, share: Callable[..., None]
) -> None:
    mine = make_base(mallory, "mine")
    document = make_document(alice, bases=[make_base(alice)])
    services.link(document, mine, by=dana)
    assert not Document.objects.writable_by(mallory).exists()
    services.remove_document(document, mine, by=mallory, delete_file=True)
    assert Document.objects.filter(pk=document.pk).exists()


def test_writer_of_a_base_may_change_what_its_owner_put_there(
    alice: Any, carol: Any, carols_group: Any, share: Callable[..., None]
) -> None:
    kb = make_base(alice)
    document = make_document(alice, bases=[kb])
    share(kb, carols_group, "write")
    assert list(Document.objects.writable_by(carol)) == [document]


def test_removed_document_goes_with_its_file_unless_another_base_has_it(
    alice: Any, uploads: Path, django_capture_on_commit_callbacks: Any
) -> None:
    one, two = make_base(alice, "one"), make_base(alice, "two")
    document = upload(alice, knowledge_base=one)
    other = make_document(alice, bases=[one, two])
    with django_capture_on_commit_callbacks(execute=True):
        services.remove_document(document, one, by=alice)
        services.remove_document(other, one, by=alice)
    assert list(Document.objects.all()) == [other] and files_in(uploads) == []


def test_retention_keeps_the_file(alice: Any, uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kb = make_base(alice)
    document = upload(alice, knowledge_base=kb)
    services.remove_document(document, kb, by=alice, delete_file=False)
    assert Document.objects.filter(pk=document.pk).exists()


def test_deleted_base_leaves_models_and_keeps_documents(alice: Any, dana: Any) -> None:
    kb = make_base(alice)
    document = make_document(alice, bases=[kb])
    model = AIModel.objects.create(
        model_id="m", name="m", owner=dana, meta={"knowledge": [{"id": str(kb.pk)}, {"id": "x"}]}
    )
    services.delete_base(kb, by=alice)
    model.refresh_from_db()
    assert model.meta["knowledge"] == [{"id": "x"}]
    assert not KnowledgeBase.objects.exists() and bases_of(document) == [None]


def test_base_deleted_with_its_documents_spares_those_of_other_bases(alice: Any) -> None:
    kb, other = make_base(alice), make_base(alice, "other")
    make_document(alice, "one", bases=[kb])
    shared = make_document(alice, "two", bases=[kb, other])
    services.delete_base(kb, by=alice, delete_documents=True)
    assert list(Document.objects.all()) == [shared] and bases_of(shared) == ["other"]


def test_reset_base_is_empty(alice: Any) -> None:
    kb = make_base(alice)
    document = make_document(alice, bases=[kb])
    services.reset_base(kb, by=alice)
    assert kb.links.count() == 0 and bases_of(document) == [None]


def test_renamed_document(alice: Any) -> None:
    document = services.rename_document(make_document(alice), "../new name.txt", by=alice)
    assert document.filename == "new name.txt" and document.state == DocumentState.LIVE
