"""Lines and server-sent events out of bytes cut anywhere: no I/O, no awaits."""

import orjson

SIZE_LIMIT = 32 * 1024 * 1024  # bytes of one line or event; more is a fault, not an answer


_OTHER_FIELDS = (b":", b"event:", b"id:", b"retry:")


class TooLong(ValueError):
    """One line or event exceeded `SIZE_LIMIT`."""


class LineSplitter:
    """Feed it network reads, get whole lines without their ends (LF, CRLF or CR).

    Half lines, and so half UTF-8 characters, wait for the next read.
    """

    def __init__(self) -> None:
        self._partial: list[bytes] = []  # pieces of the line that has not ended
        self._size = 0
        self._after_cr = False

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next bytes; give the lines they finish. Raises `TooLong`."""
        if self._after_cr or b"\r" in piece:
            # a CR at the end of a read ends its line now; the LF that may open the next read belongs to it
            if self._after_cr and piece.startswith(b"\n"):
                piece = piece[1:]
            self._after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = piece.split(b"\n")
        if self._partial and len(lines) > 1:
            self._partial.append(lines[0])
            lines[0] = b"".join(self._partial)
            self._partial.clear()
            self._size = 0
        rest = lines.pop()
        if rest:
            self._partial.append(rest)
            self._size += len(rest)
            if self._size > SIZE_LIMIT:
                raise TooLong
        return lines

    def finish(self) -> list[bytes]:
        """Give the last line if it had no end."""
        return self.feed(b"\n") if self._partial else []


class SSEParser:
    """Feed it network reads, get the data of each finished event as bytes.

    It accepts comments, several data lines in an event, and two things outside the standard: events without the empty
    line between them, and llama.cpp's `error:` lines.
    """

    def __init__(self) -> None:
        self._lines = LineSplitter()
        self._data: list[bytes] = []  # data lines of the event that has not ended
        self._size = 0
        self.is_foreign = False  # there were lines that are none of an event stream

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next bytes; give the events they finish. Raises `TooLong`."""
        events: list[bytes] = []
        for line in self._lines.feed(piece):
            self._take(line, events)
        return events

    def finish(self) -> list[bytes]:
        """Give what was still open when the stream ended."""
        events: list[bytes] = []
        for line in [*self._lines.finish(), b""]:
            self._take(line, events)
        return events

    def _take(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            if self._data:
                events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data.clear()
                self._size = 0
        elif line.startswith(b"data:"):
            if len(self._data) == 1 and _is_whole(self._data[0]):  # the server leaves out the empty lines
                self._take(b"", events)
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            self._size += len(line)
            if self._size > SIZE_LIMIT:
                raise TooLong
        elif line.startswith(b"error:"):
            self._take(b"", events)
            value = line[6:].strip()
            if not _is_whole(value):
                value = orjson.dumps(value.decode("utf-8", "replace"))
            events.append(b'{"error":' + value + b"}")
        elif not line.startswith(_OTHER_FIELDS):
            self.is_foreign = True


def _is_whole(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return data == b"[DONE]"
    return True
