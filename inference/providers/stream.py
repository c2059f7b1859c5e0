"""What the streams of all wire formats share: bytes in, events out, no awaits."""

import sys
from abc import ABC, abstractmethod
from typing import Any

import orjson

from inference.providers.base import ConnectionInfo
from inference.providers.errors import AnswerTooLong, BadAnswer, ProviderError
from inference.providers.events import Finished, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, Usage
from inference.providers.lines import TooLong
from inference.providers.said import bad_answer, cut_off
from inference.providers.transport import parse_object


class AnswerStream(ABC):
    """Turns the bytes of one answer into events; text that arrived together is joined, which costs no latency and
    saves all the work that is done for each delta."""

    def __init__(self, connection: ConnectionInfo) -> None:
        self.connection = connection
        self.is_done = False  # the server has marked the end
        self.reason = ""
        self._tool_count = 0
        self._events: list[StreamEvent] = []
        self._parts: list[str] = []
        self._is_reasoning = False
        self._room = connection.answer_chars or sys.maxsize

    def feed(self, piece: bytes) -> tuple[list[StreamEvent], ProviderError | None]:
        """Take one network read; give what it says, and the fault that followed, to be raised after the events."""
        fault: ProviderError | None = None
        try:
            self.take_bytes(piece)
        except ProviderError as error:
            fault = error
        except TooLong:
            fault = bad_answer(self.connection, "a line without an end")
        return self._take(), fault

    def finish(self) -> tuple[list[StreamEvent], ProviderError | None]:
        """Give the last events, `Finished` at their end, or the fault that there is no end."""
        try:
            if not self.is_done:
                self.take_end()
        except ProviderError as error:
            return self._take(), error
        if not self.is_done and not self.reason:
            return self._take(), cut_off(self.connection)
        usage = self.usage()
        if usage is not None:
            self.add(usage)
        reason = self.reason or "stop"
        if self._tool_count and reason in ("stop", "function_call"):
            reason = "tool_calls"  # many servers say stop whatever the model asked for
        self.add(Finished(reason))
        return self._take(), None

    @abstractmethod
    def take_bytes(self, piece: bytes) -> None:
        """Read the bytes into events; raises `ProviderError` or `TooLong`."""

    @abstractmethod
    def take_end(self) -> None:
        """Read what was left open when the bytes ended without the server's mark; raises `ProviderError`."""

    def take_rest(self, data: bytes) -> dict[str, Any]:
        """Parse what stood open when the bytes ended: half an object means that the connection broke."""
        try:
            return parse_object(self.connection, data)
        except BadAnswer as error:
            raise (cut_off(self.connection) if data.lstrip().startswith(b"{") else error) from error

    @abstractmethod
    def usage(self) -> Usage | None:
        """Give the counts of tokens if the server sent any."""

    def text(self, text: str, is_reasoning: bool = False) -> None:
        """Add a piece of the answer, or of the reasoning."""
        if is_reasoning is not self._is_reasoning:
            self._flush()
            self._is_reasoning = is_reasoning
        self._parts.append(text if len(text) <= self._room else text[: self._room])
        self._take_room(len(text))

    def add(self, event: StreamEvent) -> None:
        """Add an event that stands alone."""
        self._flush()
        self._events.append(event)

    def tool_call(self, index: object, id: str | None, name: str | None, arguments: object) -> None:
        """Add a piece of a call; without an index, a call begins where an id comes."""
        if not isinstance(index, int):
            index = self._tool_count if id or not self._tool_count else self._tool_count - 1
        self._tool_count = max(self._tool_count, index + 1)
        if arguments is None:
            arguments = ""
        text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
        self._take_room(len(text))
        self.add(ToolCallDelta(index, id or None, name or None, text))

    def _take_room(self, size: int) -> None:
        """A model that does not stop by itself is stopped here."""
        self._room -= size
        if self._room < 0:
            limit = f"{self.connection.answer_chars:,}"
            raise AnswerTooLong(
                f"The answer was ended after {limit} characters, the most that one answer may have. What had come is "
                "kept. Ask for less at once, or have it continued."
            )

    def _flush(self) -> None:
        if self._parts:
            text = self._parts[0] if len(self._parts) == 1 else "".join(self._parts)
            self._events.append(ReasoningDelta(text) if self._is_reasoning else TextDelta(text))
            self._parts.clear()

    def _take(self) -> list[StreamEvent]:
        self._flush()
        events, self._events = self._events, []
        return events


def count_of(value: Any) -> int:
    """A count of tokens as a server gives it; 0 for anything that is none."""
    return int(value) if isinstance(value, (int, float)) and 0 <= value < sys.maxsize else 0
