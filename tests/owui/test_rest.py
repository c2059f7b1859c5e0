"""What programs send as JSON: nothing is kept that could not be answered with again."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User

pytestmark = pytest.mark.django_db
HUGE = 10**30


def test_a_huge_number_of_one_person_fails_no_list_of_others(alice: Any, dana: Any, api_for: Any) -> None:
    assert api_for(alice).post("/api/v1/users/user/info/update", {"n": HUGE}).status_code == 200
    assert api_for(alice).post("/api/v1/notes/create", {"title": "N", "data": {"n": HUGE}}).status_code == 200
    for person, path in ((dana, "/api/v1/users/"), (alice, "/api/v1/users/user/info"), (dana, "/api/v1/notes/search")):
        assert api_for(person).get(path).status_code == 200, path


def test_one_that_is_stored_already_is_shown(alice: Any, dana: Any, api_for: Any) -> None:
    User.objects.filter(pk=alice.pk).update(info={"n": HUGE})
    listed = api_for(dana).get("/api/v1/users/")
    assert listed.status_code == 200 and str(HUGE) in listed.content.decode()


@pytest.mark.parametrize("body", [b'{"n": NaN}', b'{"n": 1e999}', b'{"n": "\\ud800"}', b"[" * 100_000, b"{"])
def test_what_is_no_json_is_refused_in_words(alice: Any, client_for: Any, body: bytes) -> None:
    answer = client_for(alice).post(
        "/api/v1/users/user/info/update",
        body,
        content_type="application/json",
        headers={"sec-fetch-site": "same-origin"},
    )
    assert answer.status_code == 400 and b"detail" in answer.content
