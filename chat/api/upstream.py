"""What a model server refused, as REST says it."""

from __future__ import annotations

from typing import Any

from chat.engine.events import Outcome
from owui.lib.errors import UserError


class Upstream(UserError):
    """The server's own status, our words for people in `detail`, and its error object as OpenAI's clients look for it.

    A redirect of the server is no redirect of ours.
    """

    code = "upstream"

    def __init__(self, outcome: Outcome) -> None:
        status = outcome.status if outcome.status and outcome.status >= 400 else 502
        super().__init__(outcome.error, status=status)
        self._outcome = outcome

    def more(self) -> dict[str, Any]:
        return {"error": error_of(self._outcome)}

    def headers(self) -> dict[str, str]:
        return {"Retry-After": self._outcome.retry_after} if self._outcome.retry_after else {}


def error_of(outcome: Outcome) -> dict[str, Any]:
    """The error object, also of a frame inside a stream."""
    return {"type": "upstream_error", "message": outcome.error, **outcome.body}
