"""Lines and server-sent events, cut anywhere."""

import pytest

from inference.providers.lines import LineSplitter, SSEParser


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata:b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b": comment\n\nevent: x\nid: 1\ndata: a\n\n\n\n", [b"a"]),
        (b'data: {"a":\ndata: 1}\n\n', [b'{"a":\n1}']),
        (b'data: {"a":1}\ndata: {"a":2}\ndata: [DONE]\n', [b'{"a":1}', b'{"a":2}', b"[DONE]"]),
        (b"data: a\n\ndata: no end", [b"a", b"no end"]),
        (b'error: {"message":"m"}\n\n', [b'{"error":{"message":"m"}}']),
        (b"error: bare words\n\n", [b'{"error":"bare words"}']),
        ("data: ü🦙\n\n".encode(), ["ü🦙".encode()]),
        (b"", []),
    ],
)
def test_events_do_not_depend_on_the_cuts(stream: bytes, events: list[bytes]) -> None:
    for size in (1, 2, 3, 5, len(stream) or 1):
        parser = SSEParser()
        got: list[bytes] = []
        for at in range(0, len(stream), size):
            got += parser.feed(stream[at : at + size])
        assert got + parser.finish() == events


def test_lines_without_an_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from inference.providers import lines

    monkeypatch.setattr(lines, "SIZE_LIMIT", 100)
    with pytest.raises(lines.TooLong):
        LineSplitter().feed(b"x" * 101)
    parser = SSEParser()
    with pytest.raises(lines.TooLong):
        for _ in range(20):
            parser.feed(b"data: {xxxx\n")
