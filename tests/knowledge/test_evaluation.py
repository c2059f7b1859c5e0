"""The measures against figures worked out by hand, and the command on a small collection."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from knowledge.evaluation import Collection, documents_of, measured, ndcg, recall
from knowledge.models import Document, KnowledgeBase


def test_gains_shrink_with_the_place_and_are_compared_with_the_best_order() -> None:
    assert ndcg(["a", "b"], {"a": 1, "b": 1}) == 1.0
    assert ndcg(["x", "a"], {"a": 1}) == pytest.approx(1 / math.log2(3))
    assert ndcg(["b", "a"], {"a": 2, "b": 1}) == pytest.approx((1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3)))
    assert ndcg(["x"] * 10 + ["a"], {"a": 1}) == 0.0
    assert recall(["x", "a"], {"a": 1, "b": 1}) == 0.5


def test_a_question_that_found_nothing_counts() -> None:
    result = measured({"1": ["a"]}, {"1": {"a": 1}, "2": {"b": 1}})
    assert (result.questions, result.ndcg_at_10, result.recall_at_100) == (2, 0.5, 0.5)


def test_a_document_stands_where_its_best_passage_is() -> None:
    assert documents_of([3, 1, 3, 2]) == [3, 1, 2]  # type: ignore[list-item]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    corpus = [
        {"_id": "d1", "title": "Mixers", "text": "Rinse the mixer with water."},
        {"_id": "d2", "title": "Balances", "text": "Calibrate the balance daily."},
        {"_id": "d3", "title": "Ovens", "text": "The oven heats to 60 degrees."},
    ]
    queries = [{"_id": "q1", "text": "calibrate a balance"}, {"_id": "q2", "text": "never judged"}]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\nq1\td1\t0\n")
    return tmp_path


def test_a_collection_is_read_without_what_nobody_judged(folder: Path) -> None:
    collection = Collection.read(folder)
    assert collection.questions == {"q1": "calibrate a balance"} and collection.right == {"q1": {"d2": 1}}
    with pytest.raises(ValueError, match="no collection in BEIR's layout"):
        Collection.read(folder, "train")


@pytest.mark.django_db(transaction=True)
def test_the_command_finds_the_judged_document_and_leaves_nothing(
    folder: Path, dana: Any, rag: Callable[..., None], sent: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("eval_retrieval", folder, "--weights", "0.7")
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("words") and "nDCG@10 1.000  recall@100 1.000" in line for line in lines)
    assert any(line.startswith("both, weight 0.7") for line in lines)
    assert not Document.objects.exists() and not KnowledgeBase.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_kept_base_is_found_again(folder: Path, dana: Any, rag: Callable[..., None], sent: list[str]) -> None:
    call_command("eval_retrieval", folder, "--keep")
    first = set(Document.objects.values_list("pk", flat=True))
    call_command("eval_retrieval", folder, "--keep")
    assert set(Document.objects.values_list("pk", flat=True)) == first and len(first) == 3


@pytest.mark.django_db
def test_what_is_missing_is_said(tmp_path: Path, set_config: Callable[..., None]) -> None:
    set_config("rag.embedding_engine", "")
    with pytest.raises(CommandError, match="No embedding engine"):
        call_command("eval_retrieval", tmp_path)
