"""The word index follows the chunks, whatever is done with them, and ranks by BM25."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from knowledge import pipeline, services
from knowledge.config import RagConfig
from knowledge.models import Chunk, Document, KnowledgeBase, Posting, WordSegment, WordSlot
from knowledge.retrieval import tending
from knowledge.retrieval.search import Candidate, Options, search_stages
from tests.factories.knowledge import make_base, make_document
from tests.fakes.model_server import embedding

pytestmark = pytest.mark.usefixtures("rag", "sent")

_LACKING = """
WITH held AS (
  SELECT slot.chunk_id, posting.lexeme FROM knowledge_posting AS posting
  CROSS JOIN LATERAL unnest(posting.slots) AS list(slot)
  JOIN knowledge_wordslot AS slot ON slot.key = (posting.segment_id << 24) | list.slot
  UNION ALL
  SELECT slot.chunk_id, posting.lexeme FROM knowledge_posting AS posting
  CROSS JOIN LATERAL generate_series(0, length(posting.dense) - 1) AS list(slot)
  JOIN knowledge_wordslot AS slot ON slot.key = (posting.segment_id << 24) | list.slot
  WHERE get_byte(posting.dense, list.slot) > 0
), wanted AS (
  SELECT chunk.id AS chunk_id, word.lexeme FROM knowledge_chunk AS chunk
  JOIN knowledge_document AS document ON document.id = chunk.document_id
  JOIN knowledge_wordslot AS slot ON slot.chunk_id = chunk.id
  JOIN knowledge_wordsegment AS segment ON segment.id = slot.key >> 24
    AND segment.space_id = chunk.space_id AND segment.knowledge_base_id IS NOT DISTINCT FROM chunk.knowledge_base_id
    AND (chunk.knowledge_base_id IS NOT NULL OR segment.document_id = chunk.document_id)
  CROSS JOIN LATERAL unnest(
    knowledge_words_of(segment.language, document.filename, chunk.headings, chunk.text)) AS word
)
(SELECT 'too many', * FROM (TABLE held EXCEPT ALL TABLE wanted) AS a)
UNION ALL (SELECT 'too few', * FROM (TABLE wanted EXCEPT ALL TABLE held) AS b)
"""


def check() -> None:
    """Each chunk has one slot in a segment of its base, and there just its words; nothing else is kept."""
    assert set(WordSlot.objects.values_list("chunk_id", flat=True)) == set(Chunk.objects.values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(_LACKING)
        assert cursor.fetchall() == []
    segments = {key >> 24 for key in WordSlot.objects.values_list("key", flat=True)}
    assert set(WordSegment.objects.values_list("pk", flat=True)) == segments
    assert set(Posting.objects.values_list("segment_id", flat=True)) <= segments


def by_words(user: Any, question: str, **scope: Any) -> list[Candidate]:
    options = Options(k=10, hybrid=True, weight=1.0)
    return search_stages(user, question, embedding(question), config=RagConfig.load(), options=options, **scope).words


@pytest.mark.parametrize("seed", range(6))
def test_words_follow_the_chunks_through_everything(alice: Any, seed: int) -> None:
    rng = random.Random(seed)
    for step in range(25):
        bases, documents = list(KnowledgeBase.objects.all()), list(Document.objects.all())
        match rng.choice(["add", "add", "add", "link", "unlink", "delete", "replace", "drop", "merge", "merge"]):
            case "add":
                chosen = rng.sample(bases, min(len(bases), rng.randrange(3))) or [make_base(alice, str(step))]
                words = ["mixer", "clean", "Charge", "gereinigt", "die", "und", f"n{step}"]
                texts = [f"{step} {n} " + " ".join(rng.choices(words, k=8)) for n in range(rng.randrange(1, 5))]
                make_document(alice, texts, bases=chosen if rng.random() < 0.8 else [], filename=f"f{step}.txt")
            case "link" if bases and documents:
                services.link(rng.choice(documents), rng.choice(bases), by=alice)
            case "unlink" if documents:
                if link := rng.choice(documents).links.first():
                    services.unlink(link.document, link.knowledge_base, by=alice)
            case "delete" if documents:
                services.delete_document(rng.choice(documents), by=alice)
            case "replace" if documents:
                document = rng.choice(documents)
                services.set_document_text(document, f"Replaced in step {step}.", by=alice)
                check()
                pipeline.advance(document.pk)
            case "drop" if bases:
                rng.choice(bases).delete()
            case "merge":
                WordSegment.objects.update(created_at="2020-01-01T00:00:00Z")
                tending.merge_words()
        check()


def test_small_segments_are_merged_as_they_come(alice: Any) -> None:
    kb = make_base(alice)
    for number in range(30):
        make_document(alice, f"Mixer {number}", bases=[kb])
    assert WordSegment.objects.count() < 16
    check()


def test_holes_are_closed(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kb = make_base(alice)
    documents = [make_document(alice, f"Mixer {number}", bases=[kb]) for number in range(16)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT knowledge_words_merge(space_id, knowledge_base_id, 1000, 1) FROM knowledge_wordsegment LIMIT 1"
        )
    for document in documents[:12]:
        services.delete_document(document, by=alice)
    assert WordSegment.objects.get().chunk_count == 16
    with connection.cursor() as cursor:
        cursor.execute("SELECT knowledge_words_merge(%s, %s, 1000, 8)", [WordSegment.objects.get().space_id, kb.pk])
    assert WordSegment.objects.get().chunk_count == 4
    check()


def test_ranking_is_that_of_bm25(alice: Any) -> None:
    """Against the formula, over a base large enough for words that are kept as one byte a chunk."""
    rng = random.Random(3)
    kb = make_base(alice)
    vocabulary = [f"w{number}x" for number in range(200)]
    weights = [1 / (rank + 1) for rank in range(200)]
    texts = [" ".join(rng.choices(vocabulary, weights, k=rng.randrange(5, 60))) for _ in range(400)]
    make_document(alice, texts, bases=[kb], filename="f")
    assert Posting.objects.exclude(dense=None).exists() and Posting.objects.filter(dense=None).exists()
    held = [Counter([*text.split(), "f"]) for text in texts]
    mean = (sum(map(Counter.total, held)) + 500) / (len(held) + 5)
    for question in ("w0x w150x", "w1x w2x w3x w180x w190x", "w7x", "f"):
        scores = []
        for words in held:
            score = 0.0
            for word in question.split():
                count = sum(word in other for other in held)
                norm = 1.2 * (0.25 + 0.75 * words.total() / mean)
                idf = math.log(1 + (len(held) - count + 0.5) / (count + 0.5))
                score += idf * words[word] * 2.2 / (words[word] + norm)
            scores.append(score)
        found = by_words(alice, question, knowledge_base_ids=[kb.pk])
        assert len(found) == 50
        for place, candidate in enumerate(found):
            assert candidate.word_score == pytest.approx(scores[texts.index(candidate.hit.text)], rel=0.02)
            assert candidate.word_score == pytest.approx(sorted(scores)[-1 - place], rel=0.02)


def test_words_are_stemmed_by_the_language_of_the_document(alice: Any) -> None:
    kb = make_base(alice)
    make_document(alice, "Die Mischer werden nach jeder Charge gereinigt, und das mit warmem Wasser.", bases=[kb])
    make_document(alice, "Les mélangeurs sont nettoyés après chaque lot avec de l'eau chaude.", bases=[kb])
    make_document(alice, "The mixers are cleaned after each of the batches.", bases=[kb])
    assert set(WordSegment.objects.values_list("language", flat=True)) == {"english", "german", "french"}
    for question, start in (
        ("gereinigte Chargen", "Die Mischer"),
        ("nettoyer le mélangeur", "Les mélangeurs"),
        ("cleaning a batch", "The mixers"),
    ):
        assert by_words(alice, question)[0].hit.text.startswith(start)


def test_stop_words_of_a_question_are_no_rare_words_of_another_language(alice: Any) -> None:
    kb = make_base(alice)
    make_document(alice, [f"The cleaning of mixer {number} is described." for number in range(5)], bases=[kb])
    make_document(alice, "Les notes sur « of the » sont avec de l'eau dans le lot et pour la fin.", bases=[kb])
    assert set(WordSegment.objects.values_list("language", flat=True)) == {"english", "french"}
    found = by_words(alice, "Is the cleaning of the mixer described?")
    assert len(found) == 5 and all(candidate.hit.text.startswith("The cleaning") for candidate in found)


def test_frequencies_are_those_of_what_the_person_may_read(alice: Any, bob: Any, share: Callable[..., None]) -> None:
    """A score that moved with other people's documents would tell about them."""
    mine = make_base(bob, "mine")
    make_document(bob, ["Mixers turn.", "Cats sleep."], bases=[mine])
    before = by_words(bob, "mixers")[0].word_score
    theirs = make_base(alice, "theirs")
    make_document(alice, [f"Mixers {number}" for number in range(20)], bases=[theirs])
    assert by_words(bob, "mixers")[0].word_score == before
    share(theirs, bob, "read")
    assert by_words(bob, "mixers")[0].word_score != before
