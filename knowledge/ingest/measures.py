"""How large a text is, and where to cut one that is too large: in characters or in tokens.

The cuts are semantic-text-splitter's: paragraphs, then lines, sentences, words; in Markdown blocks before all of these,
so that code and the rows of tables stay whole where they fit. The overlap is ours: the library gives
one only where a whole paragraph or sentence fits into it, which on ordinary prose is never (measured: 0 of 1,350).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

from semantic_text_splitter import MarkdownSplitter, TextSplitter

# The library's time grows with the square of the longest line: 1 MB without a break took 6.4 s, in blocks 0.1 s.
BLOCK = 20_000
Splitter = TextSplitter | MarkdownSplitter
# Its model names stand for the encodings people know from tiktoken.
ENCODINGS = {
    "cl100k_base": "gpt-4",
    "o200k_base": "gpt-4o",
    "p50k_base": "text-davinci-003",
    "r50k_base": "davinci",
    "gpt2": "gpt2",
}
# No common encoding has tokens of more characters in running text; only a first guess, always checked.
CHARS_PER_TOKEN = 6


class Measure(Protocol):
    size: int
    markdown: bool

    def fits(self, text: str) -> bool:
        """Whether the text may be one piece."""
        ...

    def reaches(self, text: str, target: int) -> bool:
        """Whether the text is at least as large as the target."""
        ...

    def cut(self, text: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
        """Ranges in order, each at most `size` large; between them is white space only."""
        ...

    def reach_back(self, text: str, limit: int, core: tuple[int, int], overlap: int) -> int:
        """Where the piece around `core` starts when it repeats up to `overlap` of the text between `limit` and it."""
        ...


class Characters:
    def __init__(self, size: int, *, markdown: bool = False) -> None:
        self.size = size
        self.markdown = markdown

    def fits(self, text: str) -> bool:
        return len(text) <= self.size

    def reaches(self, text: str, target: int) -> bool:
        return len(text.strip()) >= target

    def cut(self, text: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
        yield from _cut(MarkdownSplitter(size) if self.markdown else TextSplitter(size), text, start, end)

    def reach_back(self, text: str, limit: int, core: tuple[int, int], overlap: int) -> int:
        first, last = core
        return _word_start(text, max(limit, first - min(overlap, self.size - (last - first))), first)


class Tokens:
    def __init__(self, size: int, encoding: str, *, markdown: bool = False) -> None:
        if encoding not in ENCODINGS:
            raise ValueError(f"The token encoding {encoding!r} is not known. Use one of: {', '.join(ENCODINGS)}.")
        self.size = size
        self.encoding = encoding
        self.markdown = markdown

    def fits(self, text: str) -> bool:
        return self._at_most(text, self.size)

    def reaches(self, text: str, target: int) -> bool:
        return not self._at_most(text.strip(), target - 1) if target > 1 else bool(text.strip())

    def cut(self, text: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
        yield from _cut(_token_splitter(self.encoding, size, markdown=self.markdown), text, start, end)

    def reach_back(self, text: str, limit: int, core: tuple[int, int], overlap: int) -> int:
        first, last = core
        length = min(overlap * CHARS_PER_TOKEN, first - limit)
        while overlap and length > 0:
            start = _word_start(text, first - length, first)
            # Tokens are not additive over a cut, so the piece as a whole is asked as well.
            if self._at_most(text[start:first], overlap) and self._at_most(text[start:last], self.size):
                return start
            length = length * 3 // 4
        return first

    def _at_most(self, text: str, size: int) -> bool:
        # No token is shorter than a quarter of a character (four bytes of UTF-8), so short texts need no count.
        if len(text) * 4 <= size:
            return True
        if len(text) > size * 200:
            return False  # far beyond any encoding; spares counting a whole book
        return len(_token_splitter(self.encoding, size).chunks(text)) <= 1


@lru_cache(maxsize=16)
def _token_splitter(encoding: str, size: int, *, markdown: bool = False) -> Splitter:
    return (MarkdownSplitter if markdown else TextSplitter).from_tiktoken_model(ENCODINGS[encoding], size)


def _cut(splitter: Splitter, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = _block_end(text, start, end)
        for offset, part in splitter.chunk_indices(text[start:stop]):
            yield start + offset, start + offset + len(part)
        start = stop


def _block_end(text: str, start: int, end: int) -> int:
    """The end of the next block: after the last paragraph, line or word that ends in its second half."""
    stop = start + BLOCK
    if stop >= end:
        return end
    for mark in ("\n\n", "\n", " "):
        if (found := text.rfind(mark, start + BLOCK // 2, stop)) != -1:
            return found + len(mark)
    return stop


def _word_start(text: str, start: int, end: int) -> int:
    """The first start of a word at or after `start`; `start` itself where there is no white space before `end`."""
    if start <= 0 or start >= end or text[start - 1].isspace():
        at = start
    else:
        at = next((at for at in range(start, end) if text[at].isspace()), start)
    while at < end and text[at].isspace():
        at += 1
    return at
