"""`manage.py eval_retrieval FOLDER`: how well search ranks a collection in BEIR's layout, with the settings of now."""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from accounts.models import User
from inference.providers.errors import ProviderError
from knowledge import pipeline
from knowledge.config import RagConfig
from knowledge.embedding import embed_queries
from knowledge.evaluation import Collection, documents_of, measured
from knowledge.ingest.hashing import hash_text
from knowledge.models import Document, DocumentPage, DocumentState, KnowledgeBase, KnowledgeDocument
from knowledge.retrieval.search import Options, search
from knowledge.services import create_base, delete_base
from owui.audit.record import batched, record

#: passages asked for: enough for 100 documents, of which one may be found by several
DEPTH = 300


class Command(BaseCommand):
    help = (
        "Reads a folder in BEIR's layout (corpus.jsonl, queries.jsonl, qrels/test.tsv) into a base of its own, "
        "asks its questions by words, by vectors and by both, and prints nDCG@10 and recall@100."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--split", default="test", help="which questions: the name of a file in qrels/")
        parser.add_argument("--weights", type=float, nargs="+", help="weights of words to try, beside the setting's")
        parser.add_argument("--workers", type=int, default=2, help="documents that are embedded at once")
        parser.add_argument("--keep", action="store_true", help="leave the base; the next run finds it and is fast")

    def handle(self, *_args: Any, **options: Any) -> None:
        config = RagConfig.load()
        if not config.embedding_engine:
            raise CommandError(
                "No embedding engine is set: without one nothing can be compared (RAG_EMBEDDING_ENGINE)."
            )
        try:
            collection = Collection.read(options["folder"], options["split"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        by = User.objects.filter(role="admin", is_active=True).order_by("created_at").first()
        if by is None:
            raise CommandError("There is no administrator yet: manage.py create_admin makes one.")
        base = self._base(collection, options["folder"].name, by)
        try:
            self._index(base, options["workers"])
            self._ask(base, by, collection, config, options["weights"])
        except ProviderError as error:
            raise CommandError(f"The embedding server does not do its part: {error.message}") from error
        finally:
            if not options["keep"]:
                delete_base(base, by=by, delete_documents=True)

    def _base(self, collection: Collection, name: str, by: User) -> KnowledgeBase:
        """The base of an earlier run, or a new one with all documents, which are not read yet."""
        name = f"Evaluation: {name}"
        former: KnowledgeBase | None = KnowledgeBase.objects.filter(
            name=name, owner=by, meta__evaluation=len(collection.documents)
        ).first()
        if former is not None:
            return former
        with transaction.atomic():
            base: KnowledgeBase = create_base(name=name, description="", by=by)
            base.meta = {"evaluation": len(collection.documents)}
            base.save(update_fields=["meta"])
            for some in batched(collection.documents.items(), 500):
                self._add(base, some, by)
            count = len(collection.documents)
            record("knowledge.evaluate", by=by, obj=base, object_type="knowledge", detail={"documents": count})
        return base

    def _add(self, base: KnowledgeBase, some: list[tuple[str, tuple[str, str]]], by: User) -> None:
        documents = [
            Document(
                owner=by,
                filename=f"{key}.txt"[:255],
                content_type="text/plain",
                text_hash=hash_text(f"{title}\n\n{text}"),
                meta={"evaluation": key},
                state=DocumentState.EXTRACTED,
                page_count=1,
            )
            for key, (title, text) in some
        ]
        Document.objects.bulk_create(documents)
        texts = [f"{title}\n\n{text}".strip() for _key, (title, text) in some]
        DocumentPage.objects.bulk_create(
            DocumentPage(document=document, position=0, text=text)
            for document, text in zip(documents, texts, strict=True)
        )
        KnowledgeDocument.objects.bulk_create(
            KnowledgeDocument(knowledge_base=base, document=document, added_by=by) for document in documents
        )

    def _index(self, base: KnowledgeBase, workers: int) -> None:
        """Splits and embeds here; workers of the site may help."""
        documents = Document.objects.filter(links__knowledge_base=base)
        open_ids = list(documents.exclude(state__in=["live", "failed"]).values_list("pk", flat=True))
        with ThreadPoolExecutor(workers) as pool:
            for count, _done in enumerate(pool.map(_advanced, open_ids), start=1):
                if count % 500 == 0:
                    self.stdout.write(f"{count} of {len(open_ids)} documents are indexed")
        if failed := documents.filter(state=DocumentState.FAILED).count():
            self.stdout.write(f"{failed} documents failed and cannot be found.")

    def _ask(
        self, base: KnowledgeBase, by: User, collection: Collection, config: RagConfig, weights: list[float] | None
    ) -> None:
        keys = dict(Document.objects.filter(links__knowledge_base=base).values_list("pk", "meta__evaluation"))
        questions = list(collection.questions.items())
        vectors = asyncio.run(_vectors(config, [text for _key, text in questions]))
        own = config.hybrid_bm25_weight
        runs = {"words": 1.0, "vectors": 0.0, f"both, weight {own}": own}
        runs |= {f"both, weight {weight}": weight for weight in weights or ()}
        for name, weight in runs.items():
            options = Options(k=DEPTH, k_reranker=DEPTH, hybrid=True, weight=weight)
            found: dict[str, list[str]] = {}
            for (key, text), vector in zip(questions, vectors, strict=True):
                hits = search(by, [text], [vector], config=config, options=options, knowledge_base_ids=[base.pk])
                found[key] = [keys[pk] for pk in documents_of([hit.document_id for hit in hits])]
            result = measured(found, collection.right)
            self.stdout.write(
                f"{name:24} nDCG@10 {result.ndcg_at_10:.3f}  recall@100 {result.recall_at_100:.3f}"
                f"  ({result.questions} questions)"
            )


async def _vectors(config: RagConfig, texts: list[str]) -> list[list[float]]:
    vectors: list[list[float]] = []
    for some in batched(texts, 16):
        vectors += await embed_queries(config, some)
    return vectors


def _advanced(document_id: uuid.UUID) -> None:
    try:
        while pipeline.advance(document_id):
            pass
    finally:
        connection.close()
