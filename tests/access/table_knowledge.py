"""Who may read and change knowledge bases and documents, and who may ask them."""

from __future__ import annotations

from typing import Any

from tests.access.rows import Row, World, task, thing
from tests.access.table_accounts import admins, governance, page, verified
from tests.factories.knowledge import make_base, make_document


@thing("kb_id")
def _base(world: World) -> Any:
    return world.share(make_base(world.owner)).pk


@thing("file_id")
def _file(world: World) -> Any:
    """A document of the owner, in the base that reader and writer share."""
    from knowledge.models import KnowledgeBase

    kb = KnowledgeBase.objects.get(pk=world.made.setdefault("kb_id", None) or _remember(world))
    return make_document(world.owner, bases=[kb]).pk


def _remember(world: World) -> Any:
    world.made["kb_id"] = _base(world)
    return world.made["kb_id"]


@thing("name")
def _name(world: World) -> str:
    return "sop.txt"


def reading(method: str, path: str, code: int = 200, *, hidden: int, **extra: Any) -> Row:
    codes = {"out": 401, "pending": 401, "outsider": hidden, "reader": code, "writer": code, "owner": code}
    return Row(method, path, **codes, **extra)


def writing(method: str, path: str, code: int = 200, *, hidden: int, refused: int, **extra: Any) -> Row:
    codes = {"out": 401, "pending": 401, "outsider": hidden, "reader": refused, "writer": code, "owner": code}
    return Row(method, path, **codes, **extra)


def reading_page(method: str, path: str, code: int = 200, **extra: Any) -> Row:
    codes = {"out": 302, "pending": 302, "outsider": 404, "reader": code, "writer": code, "owner": code}
    return Row(method, path, fill={"pk": "kb_id", "document_id": "file_id"}, **codes, **extra)


def writing_page(method: str, path: str, code: int = 200, **extra: Any) -> Row:
    codes = {"out": 302, "pending": 302, "outsider": 404, "reader": 403, "writer": code, "owner": code}
    return Row(method, path, fill={"pk": "kb_id", "document_id": "file_id"}, **codes, **extra)


_KB, _DOCUMENT = "/workspace/knowledge/{pk}", "/workspace/knowledge/{pk}/documents/{document_id}"
PAGES = [
    page("GET", "/workspace/knowledge/"),
    page("GET", "/workspace/knowledge/new", 403, admin=200),
    page("POST", "/workspace/knowledge/new", 403, admin=302, data={"name": "New", "description": ""}),
    reading_page("GET", _KB),
    writing_page("GET", f"{_KB}/edit"),
    writing_page("POST", f"{_KB}/edit", 302, data={"name": "Other", "description": ""}),
    writing_page("GET", f"{_KB}/delete"),
    writing_page("POST", f"{_KB}/documents", 400),
    reading_page("GET", _DOCUMENT),
    reading_page("GET", f"{_DOCUMENT}/content", 404),
    writing_page("GET", f"{_DOCUMENT}/delete"),
    writing_page("POST", f"{_DOCUMENT}/delete", 302),
    writing_page("POST", f"{_DOCUMENT}/retry"),
]
_V1, _FILE = "/api/v1/knowledge", "/api/v1/files/{file_id}"
BASES = [
    verified("GET", f"{_V1}/"),
    verified("GET", f"{_V1}/search"),
    verified("GET", f"{_V1}/search/files"),
    admins("POST", f"{_V1}/create", json={"name": "New", "description": ""}),
    admins("POST", f"{_V1}/reindex"),
    admins("POST", f"{_V1}/metadata/reindex"),
    reading("GET", f"{_V1}/{{kb_id}}", hidden=401),
    reading("GET", f"{_V1}/{{kb_id}}/files", hidden=401),
    reading("GET", f"{_V1}/{{kb_id}}/files/pending", hidden=401),
    writing("POST", f"{_V1}/{{kb_id}}/update", hidden=400, refused=400, json={"name": "Other", "description": ""}),
    writing("POST", f"{_V1}/{{kb_id}}/access/update", hidden=400, refused=400, json={"access_grants": []}),
    writing("POST", f"{_V1}/{{kb_id}}/file/add", hidden=400, refused=400, json={"file_id": "{file_id}"}),
    writing("POST", f"{_V1}/{{kb_id}}/file/update", hidden=400, refused=400, json={"file_id": "{file_id}"}),
    writing("POST", f"{_V1}/{{kb_id}}/file/remove", hidden=400, refused=400, json={"file_id": "{file_id}"}),
    writing("POST", f"{_V1}/{{kb_id}}/files/batch/add", hidden=400, refused=400, json=[{"file_id": "{file_id}"}]),
    writing("POST", f"{_V1}/{{kb_id}}/reset", hidden=400, refused=400),
    writing("DELETE", f"{_V1}/{{kb_id}}/delete", hidden=400, refused=400),
]
FILES = [
    verified("GET", "/api/v1/files/"),
    verified("GET", "/api/v1/files/count"),
    verified("GET", "/api/v1/files/user/count"),
    verified("GET", "/api/v1/files/search?filename=nothing", 404),
    verified("GET", "/api/v1/files/user/search?filename=nothing", 404),
    verified("POST", "/api/v1/files/", 422, data={"nothing": "x"}),
    admins("DELETE", "/api/v1/files/all"),
    reading("GET", _FILE, hidden=404),
    reading("GET", f"{_FILE}/process/status", hidden=404),
    reading("GET", f"{_FILE}/content", 404, hidden=404),
    reading("GET", f"{_FILE}/content/html", 404, hidden=404),
    reading("GET", f"{_FILE}/content/{{name}}", 404, hidden=404),
    reading("GET", f"{_FILE}/data/content", hidden=404),
    writing("POST", f"{_FILE}/data/content/update", hidden=404, refused=404, json={"content": "New"}),
    writing("POST", f"{_FILE}/rename", hidden=404, refused=404, json={"filename": "new.txt"}),
    writing("DELETE", _FILE, hidden=404, refused=404),
]
_RETRIEVAL = "/api/v1/retrieval"
_ASKING = {"out": 401, "pending": 401, "outsider": 403, "reader": 200, "writer": 200, "owner": 200}
_ADDING = {"out": 401, "pending": 401, "outsider": 403, "reader": 403, "writer": 200, "owner": 200}
RETRIEVAL = [
    admins("GET", f"{_RETRIEVAL}/"),
    admins("GET", f"{_RETRIEVAL}/config"),
    admins("POST", f"{_RETRIEVAL}/config/update", json={}),
    admins("GET", f"{_RETRIEVAL}/embedding"),
    admins("POST", f"{_RETRIEVAL}/embedding/update", json={}),
    # Without a question nothing is embedded; the rights on the collection are asked for all the same.
    *(
        Row("POST", f"{_RETRIEVAL}/query/{kind}", json=names | {"query": ""}, live=True, **_ASKING)
        for kind, names in (
            ("doc", {"collection_name": "{kb_id}"}),
            ("collection", {"collection_names": ["{kb_id}"]}),
        )
    ),
    reading("POST", f"{_RETRIEVAL}/process/file", hidden=404, json={"file_id": "{file_id}"}),
    verified("POST", f"{_RETRIEVAL}/process/text", json={"name": "a", "content": "b"}),
    Row(
        "POST",
        f"{_RETRIEVAL}/process/text",
        json={"name": "a", "content": "b", "collection_name": "{kb_id}"},
        **_ADDING,
    ),
    Row(
        "POST",
        f"{_RETRIEVAL}/process/files/batch?collection_name={{kb_id}}",
        json=[{"file_id": "{file_id}"}],
        **_ADDING,
    ),
    admins("POST", f"{_RETRIEVAL}/delete", json={"collection_name": "{kb_id}", "file_id": "{file_id}"}),
]
TASKS = [
    task("knowledge.ingest_document", "after an upload that was checked; takes a document id"),
    task("knowledge.resume_ingestion", "beat; documents whose worker is gone"),
    task("knowledge.tend_index", "beat; merges segments of the word index and builds HNSW, returns no contents"),
    task("owui.seal_audit", "beat; chains audit events"),
]
GOVERNANCE = [
    governance(f"/admin/knowledge/{name}/") for name in ("document", "embeddingspace", "heldpassage", "knowledgebase")
]
LAB = [
    governance("/admin/retrieval/"),
    Row("POST", "/admin/retrieval/", out=302, pending=302, user=302, admin=200, data={"weight": "0.5"}),
]

ROWS = [*PAGES, *BASES, *FILES, *RETRIEVAL, *TASKS, *GOVERNANCE, *LAB]
