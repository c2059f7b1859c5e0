"""`/api/v1/retrieval`: search, the steps of ingestion on their own, and the settings."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Body, Router

from inference.providers.errors import ProviderError
from knowledge.api.files import readable, writable
from knowledge.collections import Collections, resolve
from knowledge.config import RagConfig
from knowledge.embedding import embed_queries
from knowledge.models import Document, KnowledgeBase
from knowledge.retrieval.rerank import reranked, wider
from knowledge.retrieval.search import Hit, Options, asearch
from knowledge.schemas import (
    DeleteForm,
    FileIdForm,
    ProcessFileForm,
    ProcessTextForm,
    QueryCollectionForm,
    QueryDocForm,
    QueryForm,
    texts_of,
)
from knowledge.services import bases as base_services
from knowledge.services import documents as services
from knowledge.services.links import link
from knowledge.settings_json import config_changes, config_json, embedding_changes, embedding_json
from owui.config import places
from owui.lib.aio import in_thread
from owui.lib.errors import ACCESS_PROHIBITED, Missing, Refused, UserError
from owui.lib.guards import admin, averified, verified

router = Router(tags=["retrieval"])


# ------------------------------------------------------------------------------------------------------------- queries
@router.post("/query/doc", auth=averified)
async def query_doc(request: HttpRequest, form: QueryDocForm) -> dict[str, Any]:
    return await _query(request, [form.collection_name], form)


@router.post("/query/collection", auth=averified)
async def query_collection(request: HttpRequest, form: QueryCollectionForm) -> dict[str, Any]:
    return await _query(request, form.collection_names, form)


async def _query(request: HttpRequest, names: list[str], form: QueryForm) -> dict[str, Any]:
    user: Any = await request.auser()
    config, found = await in_thread(_prepared)(user, names)
    hits: list[Hit] = []
    if form.queries and names:
        try:
            vectors = await embed_queries(config, form.queries, user=user)
        except ProviderError as error:
            raise UserError(error.message, code="embedding") from error
        options = Options.of(
            config,
            k=form.k,
            hybrid=form.hybrid,
            weight=form.hybrid_bm25_weight,
            threshold=form.r,
            k_reranker=form.k_reranker,
        )
        hits = await asearch(
            user,
            form.queries,
            vectors,
            config=config,
            options=wider(config, options),
            knowledge_base_ids=found.knowledge_base_ids,
            document_ids=found.document_ids,
        )
        hits = await reranked(config, form.queries, hits, options, user=user)
    return {
        "ids": [[str(hit.chunk_id) for hit in hits]],
        "documents": [[hit.text for hit in hits]],
        "metadatas": [[hit.metadata for hit in hits]],
        "distances": [[round(hit.score, 6) for hit in hits]],
    }


def _prepared(user: Any, names: list[str]) -> tuple[RagConfig, Collections]:
    return RagConfig.load(), resolve(user, names)


# ---------------------------------------------------------------------------------------------------------- processing
def _base(request: HttpRequest, name: str | None) -> KnowledgeBase | None:
    """The base behind a collection name, if the person may change it; a `file-…` name means no base."""
    user: Any = request.user
    if not name or name.startswith("file-"):
        return None
    found = resolve(user, [name])
    kb = KnowledgeBase.objects.writable_by(user).filter(pk__in=found.knowledge_base_ids).first()
    if kb is None:
        raise Refused(ACCESS_PROHIBITED)
    return kb  # type: ignore[no-any-return]


@router.post("/process/file", auth=verified)
def process_file(request: HttpRequest, form: ProcessFileForm) -> dict[str, Any]:
    kb = _base(request, form.collection_name)
    if form.content is not None:
        document = services.set_document_text(writable(request, form.file_id), form.content, by=request.user)  # type: ignore[arg-type]
    else:
        document = readable(request, form.file_id)
        if not document.text_hash:
            document = services.process_document(writable(request, form.file_id), by=request.user)  # type: ignore[arg-type]
    if kb is not None:
        link(document, kb, by=request.user)  # type: ignore[arg-type]
    return _processed(document, kb)


@router.post("/process/text", auth=verified)
def process_text(request: HttpRequest, form: ProcessTextForm) -> dict[str, Any]:
    kb = _base(request, form.collection_name)
    document = services.add_text(name=form.name, text=form.content, by=request.user, knowledge_base=kb)  # type: ignore[arg-type]
    return _processed(document, kb) | {"content": form.content}


@router.post("/process/files/batch", auth=verified)
def process_files(request: HttpRequest, files: list[FileIdForm], collection_name: str) -> dict[str, Any]:
    kb = _base(request, collection_name)
    results, errors = [], []
    for form in files:
        row = {"file_id": form.file_id, "status": "completed", "error": None}
        try:
            document = readable(request, form.file_id)
            if kb is not None:
                link(document, kb, by=request.user)  # type: ignore[arg-type]
            results.append(row)
        except UserError as error:
            errors.append(row | {"status": "failed", "error": error.message})
    return {"results": results, "errors": errors}


def _processed(document: Document, kb: KnowledgeBase | None) -> dict[str, Any]:
    return {
        "status": True,
        "collection_name": str(kb.pk) if kb else f"file-{document.pk}",
        "filename": document.filename,
        "file": {"id": str(document.pk)},
        "content": texts_of([document]).get(document.pk, ""),
    }


@router.post("/delete", auth=admin)
def delete_from_collection(request: HttpRequest, form: DeleteForm) -> dict[str, bool]:
    user: Any = request.user
    document = writable(request, form.file_id)
    kb = _base(request, form.collection_name)
    if kb is None or not document.links.filter(knowledge_base=kb).exists():
        raise Missing
    base_services.remove_document(document, kb, by=user, delete_file=False)
    return {"status": True}


# ------------------------------------------------------------------------------------------------------------ settings
@router.get("/config", auth=admin)
def get_config(request: HttpRequest) -> dict[str, Any]:
    return config_json(RagConfig.load())


@router.post("/config/update", auth=admin)
def update_config(request: HttpRequest, form: Body[dict[str, Any]]) -> dict[str, Any]:
    return config_json(_save(request, config_changes(form)))


@router.get("/embedding", auth=admin)
def get_embedding(request: HttpRequest) -> dict[str, Any]:
    return embedding_json(RagConfig.load())


@router.post("/embedding/update", auth=admin)
def update_embedding(request: HttpRequest, form: Body[dict[str, Any]]) -> dict[str, Any]:
    return embedding_json(_save(request, embedding_changes(form)))


@router.get("/", auth=admin)
def get_status(request: HttpRequest) -> dict[str, Any]:
    """For clients of older releases."""
    config = RagConfig.load()
    return {"status": True, **config_json(config), **embedding_json(config)}


def _save(request: HttpRequest, changes: dict[str, Any]) -> RagConfig:
    """All or nothing; a bad value is 400 with the setting named."""
    config = RagConfig.load()
    size = changes.get("chunk_size", config.chunk_size)
    overlap = changes.get("chunk_overlap", config.chunk_overlap)
    if isinstance(size, int) and isinstance(overlap, int) and overlap >= size:
        raise UserError(f"The chunk overlap ({overlap}) must be smaller than the chunk size ({size}).")
    if problems := places.problems({f"{RagConfig.prefix}.{name}": value for name, value in changes.items()}):
        raise UserError(" ".join(problems.values()), code="setting")
    return RagConfig.save(by=request.user, **changes) if changes else config
