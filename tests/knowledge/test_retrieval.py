"""Search finds what the person may read, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from knowledge import services
from knowledge.config import RagConfig
from knowledge.models import Chunk, EmbeddingSpace
from knowledge.retrieval.search import Hit, Options, joined, search, search_stages
from knowledge.retrieval.tending import build_graph
from knowledge.spaces import ReindexNeeded
from tests.factories.knowledge import make_base, make_document
from tests.fakes.model_server import embedding

TEXT = "Mixers are cleaned with warm water after each batch."
QUESTION = "How are mixers cleaned after a batch?"


def find(user: Any, question: str = QUESTION, **how: Any) -> list[Hit]:
    return search(user, [question], [embedding(question)], config=RagConfig.load(), **how)


def texts(user: Any, question: str = QUESTION, **how: Any) -> list[str]:
    """The same with a way to search the vectors."""
    stages = search_stages(user, question, embedding(question), config=RagConfig.load(), **how)
    return [candidate.hit.text for candidate in stages.fused]


@pytest.fixture(autouse=True)
def _rag(rag: Callable[..., None]) -> None:
    pass


@pytest.fixture
def kb(alice: Any, bob: Any, carols_group: Any, share: Callable[..., None]) -> Any:
    kb = make_base(alice)
    share(kb, bob, "read")
    share(kb, carols_group, "write")
    return kb


@pytest.mark.parametrize("way", ["exact", "coarse", "graph"])
@pytest.mark.parametrize("hybrid", [True, False])
def test_rights_decide_what_is_found(kb: Any, people: Any, way: str, hybrid: bool) -> None:
    document = make_document(people.alice, TEXT, bases=[kb])
    connection.check_constraints()  # no index can be made among open checks
    build_graph(EmbeddingSpace.objects.get())
    options = Options(hybrid=hybrid)
    scopes: list[dict[str, Any]] = [{}, {"knowledge_base_ids": [kb.pk]}, {"document_ids": [document.pk]}]
    for name in ("alice", "bob", "carol", "dana"):
        for scope in scopes:
            assert texts(getattr(people, name), options=options, way=way, **scope) == [TEXT], (name, scope)
    for name in ("mallory", "pending"):
        for scope in scopes:
            assert texts(getattr(people, name), options=options, way=way, **scope) == [], (name, scope)


def test_grant_taken_away_is_gone_in_the_next_search(kb: Any, alice: Any, bob: Any) -> None:
    from rbac.services import set_grants

    make_document(alice, TEXT, bases=[kb])
    assert find(bob)
    set_grants(kb, [], by=alice)
    assert find(bob) == []


def test_own_document_of_no_base_is_found_by_its_owner_only(alice: Any, dana: Any, bob: Any) -> None:
    document = make_document(alice, TEXT)
    assert find(alice) and find(alice, document_ids=[document.pk])
    assert find(bob) == find(bob, document_ids=[document.pk]) == []
    assert find(dana) == [] and find(dana, document_ids=[document.pk])


def test_administrator_without_bypass_is_an_outsider(kb: Any, alice: Any, dana: Any, settings: Any) -> None:
    make_document(alice, TEXT, bases=[kb])
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert find(dana) == []


def test_operator_may_switch_the_check_off(kb: Any, alice: Any, mallory: Any, settings: Any) -> None:
    make_document(alice, TEXT, bases=[kb])
    settings.BYPASS_RETRIEVAL_ACCESS_CONTROL = True
    assert find(mallory, knowledge_base_ids=[kb.pk])


def test_document_in_two_bases_is_found_once(kb: Any, alice: Any) -> None:
    make_document(alice, TEXT, bases=[kb, make_base(alice, "Other")])
    assert Chunk.objects.count() == 2
    assert len(find(alice)) == 1


def test_hit_says_where_the_text_stands(kb: Any, alice: Any) -> None:
    document = make_document(alice, ["Something else.", TEXT], bases=[kb], filename="clean.pdf")
    hit = find(alice)[0]
    assert (hit.document_id, hit.knowledge_base_id, hit.filename) == (document.pk, kb.pk, "clean.pdf")
    assert (hit.page_position, hit.page_number, hit.owner_id) == (1, 2, alice.pk)
    assert 0.3 < hit.score <= 1 and hit.metadata["page"] == 1
    assert find(alice, TEXT)[0].score == pytest.approx(1, abs=0.01)


def test_words_find_an_exact_code_that_vectors_miss(kb: Any, alice: Any) -> None:
    for number in range(30):
        make_document(alice, f"What does the procedure say about cleaning? Step {number}.", bases=[kb])
    make_document(alice, "SOP-MFG-042: rinse twice, dry, sign.", bases=[kb])
    question = "What does the procedure SOP-MFG-042 say about cleaning?"
    assert "SOP-MFG-042" not in find(alice, question, options=Options(k=3))[0].text
    hits = find(alice, question, options=Options(k=3, hybrid=True, weight=0.7))
    assert "SOP-MFG-042" in hits[0].text
    only_words = find(alice, question, options=Options(k=3, hybrid=True, weight=1.0))
    assert "SOP-MFG-042" in only_words[0].text


def test_code_in_the_file_name_is_found_too(kb: Any, alice: Any) -> None:
    for number in range(5):
        make_document(alice, f"Rinse twice, dry, sign. {number}", bases=[kb], filename=f"SOP-MFG-04{number}.pdf")
    hits = find(alice, "SOP-MFG-043", options=Options(hybrid=True, weight=1.0))
    assert hits[0].filename == "SOP-MFG-043.pdf"


def test_threshold_of_hybrid_search_drops_weak_hits(kb: Any, alice: Any) -> None:
    make_document(alice, TEXT, bases=[kb])
    make_document(alice, "Cats sleep.", bases=[kb])
    assert len(find(alice, options=Options(hybrid=True))) == 2
    assert [h.text for h in find(alice, options=Options(hybrid=True, threshold=0.3))] == [TEXT]


@pytest.mark.parametrize(
    "question", ["'", "\\", "a & b | !c <-> d:*", "''\\'':a", "the of and", "\0x", "…", "x" * 9000]
)
def test_no_question_breaks_the_word_search(kb: Any, alice: Any, question: str) -> None:
    make_document(alice, TEXT, bases=[kb])
    find(alice, question, options=Options(hybrid=True, weight=1.0))


def test_results_are_cut_to_k_and_best_first(kb: Any, alice: Any) -> None:
    for number in range(8):
        make_document(alice, f"Mixers and {'mixers ' * number} number {number}", bases=[kb])
    hits = find(alice, options=Options(k=5))
    assert len(hits) == 5 and [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


def test_several_questions_are_merged(kb: Any, alice: Any) -> None:
    make_document(alice, "Cats sleep.", bases=[kb])
    make_document(alice, TEXT, bases=[kb])
    questions = ["Cats sleep?", QUESTION]
    hits = search(alice, questions, [embedding(q) for q in questions], config=RagConfig.load(), options=Options(k=2))
    assert {hit.text for hit in hits} == {TEXT, "Cats sleep."}


def test_changed_model_says_that_a_reindex_is_needed(kb: Any, alice: Any, rag: Callable[..., None]) -> None:
    make_document(alice, TEXT, bases=[kb])
    rag(embedding_model="another-model")
    with pytest.raises(ReindexNeeded, match="reindex"):
        find(alice)


def test_vector_of_other_length_says_that_a_reindex_is_needed(kb: Any, alice: Any) -> None:
    make_document(alice, TEXT, bases=[kb])
    with pytest.raises(ReindexNeeded):
        search(alice, ["x"], [[1.0, 0.0]], config=RagConfig.load())


def test_nothing_was_ever_embedded(alice: Any) -> None:
    assert find(alice) == []


def test_number_of_statements_does_not_grow_with_the_number_of_bases(
    alice: Any, django_assert_num_queries: Any
) -> None:
    def count(options: Options) -> int:
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as captured:
            search(alice, [QUESTION], [vector], config=config, options=options)
        return len(captured)

    config, vector = RagConfig.load(), embedding(QUESTION)
    make_document(alice, TEXT, bases=[make_base(alice, "0")])
    few = count(Options(hybrid=True))
    for number in range(1, 50):
        make_document(alice, f"{TEXT} {number}", bases=[make_base(alice, str(number))])
    assert count(Options(hybrid=True)) == few == 1


def test_replaced_text_is_found_nowhere(kb: Any, alice: Any, sent: list[str]) -> None:
    from knowledge import pipeline

    document = make_document(alice, TEXT, bases=[kb])
    services.set_document_text(document, "Now it is done with steam.", by=alice)
    assert find(alice) == []
    pipeline.advance(document.pk)
    assert [hit.text for hit in find(alice)] == ["Now it is done with steam."]


def test_neighbours_on_a_page_are_one_passage_and_keep_what_they_share_once() -> None:
    document = uuid.uuid4()

    def hit(position: int, start: int, text: str, page: int = 0, **more: Any) -> Hit:
        return Hit(position, document, None, "a.txt", page, None, "", start, text, (), 0.5, None, position, **more)

    one, two, three = hit(0, 0, "Rinse it. Dry it."), hit(1, 10, "Dry it. Sign it."), hit(2, 30, "File it.")
    elsewhere, other_page = hit(7, 90, "Burn it."), hit(3, 0, "Next page.", page=1)
    found = joined([two, elsewhere, one, other_page, three])
    assert [hit.text for hit in found] == ["Rinse it. Dry it. Sign it.\nFile it.", "Burn it.", "Next page."]
    assert joined([one, three]) == [one, three]


def test_stages_show_ranks_and_scores(kb: Any, alice: Any) -> None:
    make_document(alice, ["Mixers are cleaned.", "Cats sleep.", "Mixers mixers."], bases=[kb])
    stages = search_stages(alice, "mixers", embedding("mixers"), config=RagConfig.load(), options=Options(hybrid=True))
    assert stages.way == "exact" and [c.vector_rank for c in stages.vector] == [1, 2, 3]
    assert [c.hit.text for c in stages.words] == ["Mixers mixers.", "Mixers are cleaned."]
    assert stages.words[0].word_score > stages.words[1].word_score > 0  # type: ignore[operator]
    assert [c.points for c in stages.fused] == sorted((c.points for c in stages.fused), reverse=True)
    assert stages.fused[-1].hit.text == "Cats sleep." and stages.fused[-1].word_rank is None
