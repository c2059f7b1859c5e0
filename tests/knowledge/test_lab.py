"""The retrieval lab: stages of one question, settings compared, for administrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from owui.audit.models import AuditEvent
from tests.factories.knowledge import make_base, make_document

PATH = "/admin/retrieval/"
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("rag")]


@pytest.fixture
def base(dana: Any) -> Any:
    kb = make_base(dana)
    make_document(dana, ["Mixers are cleaned with warm water."], bases=[kb], filename="clean.pdf")
    make_document(dana, ["Balances are calibrated daily."], bases=[kb], filename="balance.pdf")
    return kb


def ask(client: Any, **values: Any) -> Any:
    answer = client.post(PATH, {"weight": "0.5", "threshold": "0"} | values)
    assert answer.status_code == 200
    return answer


def test_a_question_shows_every_stage_side_by_side(client_for: Callable[..., Any], dana: Any, base: Any) -> None:
    answer = ask(client_for(dana), question="How are mixers cleaned?", other_weight="1", base=str(base.pk))
    titles = [column.title for column in answer.context["columns"]]
    assert len(titles) == 4 and titles[3] == "Both, weight of words 1.0: points"
    vectors, words, both, other = answer.context["columns"]
    assert [c.hit.filename for _n, c, _s in words.candidates] == ["clean.pdf"]
    assert len(vectors.candidates) == 2 and both.candidates[0][1].hit.filename == "clean.pdf"
    assert all(score is not None for _n, _c, score in vectors.candidates)
    assert len(other.candidates) == 1
    assert "clean.pdf" in answer.content.decode()
    event = AuditEvent.objects.get(action="retrieval.tried")
    assert event.detail == {"knowledge_base": str(base.pk), "judged": 0}


def test_judged_questions_are_measured_for_both_settings(client_for: Callable[..., Any], dana: Any, base: Any) -> None:
    lines = "How are mixers cleaned?\tclean.pdf\nHow are balances calibrated?\tbalance.pdf\nWhat else?\tgone.pdf\n"
    answer = ask(client_for(dana), judged=lines, other_weight="0")
    rows = answer.context["measured"]["rows"]
    assert [weight for weight, _result in rows] == [0.5, 0.0]
    assert rows[0][1].questions == 2 and rows[0][1].ndcg_at_10 == 1.0 and rows[0][1].recall_at_100 == 1.0
    assert answer.context["measured"]["unknown"] == ["gone.pdf"]


def test_only_what_the_administrator_may_read_is_found(
    client_for: Callable[..., Any], dana: Any, alice: Any, settings: Any
) -> None:
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    kb = make_base(alice)
    make_document(alice, ["Mixers are cleaned in secret."], bases=[kb], filename="secret.pdf")
    answer = ask(client_for(dana), question="How are mixers cleaned?")
    assert "secret.pdf" not in answer.content.decode()
    refused = client_for(dana).post(PATH, {"weight": "0.5", "threshold": "0", "question": "x", "base": str(kb.pk)})
    assert refused.context["form"].errors["base"] and "columns" not in refused.context


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "Ask a question"),
        ({"judged": "no tab here"}, "Line 1 needs a question, a tab"),
        ({"judged": "q\td.pdf\n" * 501}, "At most 500 questions"),
        ({"question": "x", "weight": "2"}, "less than or equal to 1"),
    ],
)
def test_wrong_input_is_told(client_for: Callable[..., Any], dana: Any, values: dict[str, str], says: str) -> None:
    assert says in ask(client_for(dana), **values).content.decode()


def test_an_embedding_server_that_is_away_is_told(
    client_for: Callable[..., Any], dana: Any, rag: Callable[..., None]
) -> None:
    rag(openai_api_base_url="http://127.0.0.1:9/v1")
    answer = ask(client_for(dana), question="x")
    assert answer.context["form"].non_field_errors()
