"""How well search ranks, on questions whose right documents are known (BEIR's layout of files)."""

from __future__ import annotations

import csv
import json
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measured:
    """Means over all questions, from 0 to 1."""

    questions: int
    ndcg_at_10: float
    recall_at_100: float


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents (title and text), questions, and for each question its right documents with their grades."""

    documents: Mapping[str, tuple[str, str]]
    questions: Mapping[str, str]
    right: Mapping[str, Mapping[str, int]]

    @classmethod
    def read(cls, folder: Path, split: str = "test") -> Collection:
        """`corpus.jsonl`, `queries.jsonl` and `qrels/SPLIT.tsv`; questions without a right document are left out.

        :raises ValueError: what is missing or malformed, as a sentence
        """
        try:
            documents = {row["_id"]: (row.get("title", ""), row["text"]) for row in _rows(folder / "corpus.jsonl")}
            texts = {row["_id"]: row["text"] for row in _rows(folder / "queries.jsonl")}
            right: dict[str, dict[str, int]] = {}
            with (folder / "qrels" / f"{split}.tsv").open(encoding="utf-8", newline="") as lines:
                for row in csv.DictReader(lines, delimiter="\t"):
                    if int(row["score"]) > 0 and row["query-id"] in texts:
                        right.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{folder} is no collection in BEIR's layout: {error!r}") from error
        if not documents or not right:
            raise ValueError(f"{folder} holds no documents or no judged questions.")
        return cls(documents, {key: texts[key] for key in right}, right)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def ndcg(found: Sequence[str], right: Mapping[str, int], depth: int = 10) -> float:
    """Normalised discounted cumulative gain, gains as they are judged (as trec_eval's `ndcg_cut`)."""
    gain = sum(right.get(key, 0) / math.log2(place + 2) for place, key in enumerate(found[:depth]))
    best = sorted(right.values(), reverse=True)[:depth]
    return gain / sum(grade / math.log2(place + 2) for place, grade in enumerate(best))


def recall(found: Sequence[str], right: Mapping[str, int], depth: int = 100) -> float:
    return len(set(found[:depth]) & set(right)) / len(right)


def measured(found: Mapping[str, Sequence[str]], right: Mapping[str, Mapping[str, int]]) -> Measured:
    """:param found: documents by question, best first; a question without an entry found nothing"""
    count = len(right)
    return Measured(
        questions=count,
        ndcg_at_10=sum(ndcg(found.get(key, ()), grades) for key, grades in right.items()) / count,
        recall_at_100=sum(recall(found.get(key, ()), grades) for key, grades in right.items()) / count,
    )


def documents_of(hits: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Each document once, at the place of its best passage."""
    return list(dict.fromkeys(hits))
