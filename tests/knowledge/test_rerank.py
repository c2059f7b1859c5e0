"""Reranking by a server, in the chat and in REST, and what happens when it does not do its part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from knowledge.chat import retrieve_for_chat
from knowledge.config import RagConfig
from knowledge.retrieval.rerank import wider
from knowledge.retrieval.search import Options
from owui.lib.masks import MASK
from tests.factories.knowledge import make_base, make_document
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)
QUESTION = "how often are mixers cleaned"
TEXTS = [
    "Mixers mixers mixers: a list of mixers.",
    "Cleaned often, how clean they are.",
    "How often are mixers cleaned: daily.",
    "Balances are calibrated.",
]


@pytest.fixture
def base(alice: Any, rag: Callable[..., None], embedding_server: FakeModelServer) -> Any:
    rag(
        enable_hybrid_search=True,
        top_k=2,
        top_k_reranker=2,
        reranking_engine="external",
        reranking_model="scores",
        external_reranker_url=f"{embedding_server.openai_url}/rerank",
        external_reranker_api_key="key",
    )
    kb = make_base(alice)
    make_document(alice, TEXTS, bases=[kb], filename="sop.txt")
    return kb


def asked(client_for: Callable[..., Any], user: Any, kb: Any, **more: Any) -> Any:
    body = {"collection_names": [str(kb.pk)], "query": QUESTION} | more
    answer = client_for(user).post("/api/v1/retrieval/query/collection", body, content_type="application/json")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_the_servers_order_and_scores_count(client_for: Callable[..., Any], alice: Any, base: Any) -> None:
    found = asked(client_for, alice, base)
    assert found["documents"][0][0] == TEXTS[2] and len(found["documents"][0]) == 2
    assert found["distances"][0][0] == 1.0


def test_what_the_server_thinks_little_of_is_left_out(client_for: Callable[..., Any], alice: Any, base: Any) -> None:
    assert asked(client_for, alice, base, r=0.9)["documents"][0] == [TEXTS[2]]


def test_logits_become_shares(client_for: Callable[..., Any], alice: Any, base: Any, rag: Callable[..., None]) -> None:
    rag(reranking_model="logits")
    found = asked(client_for, alice, base)
    assert found["documents"][0][0] == TEXTS[2]
    assert found["distances"][0][0] == pytest.approx(0.9975, abs=1e-3)


def test_batches_are_put_together(
    client_for: Callable[..., Any], alice: Any, base: Any, rag: Callable[..., None], embedding_server: FakeModelServer
) -> None:
    rag(reranking_batch_size=1)
    embedding_server.requests.clear()
    assert asked(client_for, alice, base)["documents"][0][0] == TEXTS[2]
    sent = [request.json for request in embedding_server.requests if request.path == "/v1/rerank"]
    assert len(sent) == 4 and all(len(body["documents"]) == body["top_n"] == 1 for body in sent)


@pytest.mark.parametrize("fault", ["broken", "away"])
def test_without_the_server_the_searchs_order_stays(
    client_for: Callable[..., Any], alice: Any, base: Any, rag: Callable[..., None], fault: str
) -> None:
    rag(reranking_engine="")
    plain = asked(client_for, alice, base)
    rag(reranking_engine="external", reranking_model=fault)
    if fault == "away":
        rag(external_reranker_url="http://127.0.0.1:9/rerank")
    assert asked(client_for, alice, base) == plain


def test_the_chat_reranks_too(alice: Any, base: Any) -> None:
    found = async_to_sync(retrieve_for_chat)(alice, [{"type": "collection", "id": str(base.pk)}], [QUESTION])
    assert found.citations[0]["text"] == TEXTS[2] and found.citations[0]["score"] == 1.0


def test_vectors_alone_are_not_reranked(alice: Any, base: Any) -> None:
    config = RagConfig.load()
    assert wider(config, Options(k=2, hybrid=False)) == Options(k=2, hybrid=False)
    assert wider(config, Options(k=2, hybrid=True, threshold=0.5)).k == 20


def test_the_settings_object_masks_the_key(
    client_for: Callable[..., Any], dana: Any, base: Any, rag: Callable[..., None]
) -> None:
    client = client_for(dana)
    shown = client.get("/api/v1/retrieval/config").json()
    assert shown["RAG_RERANKING_ENGINE"] == "external" and shown["RAG_EXTERNAL_RERANKER_API_KEY"] == MASK
    body = {"RAG_EXTERNAL_RERANKER_API_KEY": MASK, "RAG_RERANKING_MODEL": "other"}
    client.post("/api/v1/retrieval/config/update", body, content_type="application/json")
    config = RagConfig.load()
    assert config.external_reranker_api_key == "key" and config.reranking_model == "other"
