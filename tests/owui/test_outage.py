"""The database away: a sentence and 503 at every face, never a trace."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from django.db import InterfaceError, OperationalError

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("fault", [OperationalError("connection refused at 10.0.0.1"), InterfaceError("closed")])
def test_rest_answers_503_with_a_sentence(api_for: Any, alice: Any, fault: Exception) -> None:
    with patch("chat.api.chats.Chat.objects.filter", side_effect=fault):
        answer = api_for(alice).get("/api/v1/chats/")
    assert answer.status_code == 503
    assert "database cannot be reached" in answer.json()["detail"]
    assert "10.0.0.1" not in answer.content.decode()


def test_pages_answer_503_with_a_sentence(client_for: Any, alice: Any) -> None:
    client = client_for(alice)
    with patch("chat.views.pages.selectors.sidebar_of", side_effect=OperationalError("connection refused at 10.0.0.1")):
        answer = client.get("/")
    assert answer.status_code == 503
    assert "database cannot be reached" in answer.content.decode()
    assert "10.0.0.1" not in answer.content.decode()


def test_an_unknown_fault_shows_a_reference_and_logs_it(api_for: Any, alice: Any, caplog: Any) -> None:
    client = api_for(alice)
    client.raise_request_exception = False
    with patch("chat.api.chats.Chat.objects.filter", side_effect=RuntimeError("secret inside")):
        answer = client.get("/api/v1/chats/")
    assert answer.status_code == 500
    number = answer.json()["detail"].rsplit(" ", 1)[-1]
    assert number in caplog.text
    assert "secret inside" not in answer.content.decode()


def test_a_text_that_cannot_be_stored_is_the_senders_to_mend(api_for: Any, dana: Any) -> None:
    answer = api_for(dana).post(
        "/api/v1/knowledge/create", {"name": "a\x00b", "description": ""}, content_type="application/json"
    )
    assert answer.status_code == 400
    assert "cannot be stored" in answer.json()["detail"]


def test_a_request_that_is_too_big_is_413(api_for: Any, dana: Any, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
    answer = api_for(dana).post(
        "/api/v1/knowledge/create", {"name": "x" * 1024 * 1025, "description": ""}, content_type="application/json"
    )
    assert answer.status_code == 413
    assert "larger than 1 MB" in answer.json()["detail"]
