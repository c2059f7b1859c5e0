"""Code blocks: a head with language and copy button, Pygments classes inside, no inline style."""

from __future__ import annotations

import re
from functools import lru_cache

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

from .labels import Labels, attribute, text, words

# Highlighting costs about 1.5 us a character on the event loop, so a very long block stays plain.
HIGHLIGHT_LIMIT = 12_000
# Many lexers are quadratic in the length of a line, of a run of spaces or of empty lines (20,000 newlines take C++
# 37 s), some in the number of words without punctuation (C#: 45 s). Beyond these bounds code stays plain.
_SLOW = re.compile(r"[^\n]{400}|\s{200}|(?:\n[ \t]*){20}")
_SIGNATURES = frozenset({"java", "c#", "cs", "csharp", "groovy"})
_PUNCTUATION = re.compile(r"[^\w\s.<>\[\]]+")
_WORDS_LIMIT = 60
_CACHED_LIMIT = 4_000
# Classes that would be coloured like plain text anyway: leaving them out makes the HTML a third smaller.
_SILENT = frozenset({"", "w", "p", "n", "x", "esc"})
CLASSES = frozenset(STANDARD_TYPES.values()) - _SILENT
_NAME = re.compile(r"[\w+#.-]{1,40}")
# Only lexers people really get answers in: each of Pygments' 600 is a set of regular expressions that hostile text
# could drive into backtracking, and an import on the event loop.
_LEXERS = words(
    """bash sh shell zsh console powershell ps1 pwsh bat c h cpp c++ csharp cs c# css scss less clojure cmake dart diff
    docker dockerfile elixir erlang fortran fsharp go golang graphql groovy haskell hs hcl terraform html http ini
    java javascript js jsx json json5 jsonc jsonl julia kotlin latex tex lua makefile make markdown md matlab nginx
    objective-c objc ocaml perl php postgresql properties proto protobuf python py python3 pycon r rb
    ruby rs rust sas scala scheme sql sqlite3 svelte swift toml ts tsx typescript vb vbnet vue xml svg yaml yml
    zig"""
)
_ALIASES = {"svg": "xml", "jsonc": "json5", "jsonl": "json", "h": "c"}


def language(info: str) -> str:
    """The language a fence names: its first word, if it looks like one."""
    words = info.replace(",", " ").replace("{", " ").split()
    found = _NAME.match(words[0]) if words else None
    return found.group().lower() if found else ""


@lru_cache(maxsize=128)
def _lexer(name: str) -> Lexer | None:
    if name not in _LEXERS:
        return None
    try:
        return get_lexer_by_name(_ALIASES.get(name, name), stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@lru_cache(maxsize=4096)
def _class(token: tuple[str, ...]) -> str:
    """The short class of a token type, or of its nearest known parent."""
    kind = token
    while kind not in STANDARD_TYPES:
        kind = kind.parent  # type: ignore[attr-defined]  # pygments' token types are tuples with a parent
    name = STANDARD_TYPES[kind]
    return "" if name in _SILENT else name


def _too_slow(source: str, name: str) -> bool:
    if len(source) > HIGHLIGHT_LIMIT or _SLOW.search(source):
        return True
    return name in _SIGNATURES and any(len(run.split()) > _WORDS_LIMIT for run in _PUNCTUATION.split(source))


def _highlight(source: str, name: str) -> str:
    lexer = None if _too_slow(source, name) else _lexer(name)
    if lexer is None:
        return text(source)
    parts: list[str] = []
    current, pending = "", ""
    for token, value in lexer.get_tokens(source):
        kind = _class(token)
        if kind == current or not value.strip():
            pending += value
            continue
        if pending:
            parts.append(f'<span class="{current}">{text(pending)}</span>' if current else text(pending))
        current, pending = kind, value
    if pending:
        parts.append(f'<span class="{current}">{text(pending)}</span>' if current else text(pending))
    return "".join(parts)


# A list with finished code inside is rendered again at each feed while it is open: the cache makes that cheap.
_highlight_cached = lru_cache(maxsize=256)(_highlight)


def opening(name: str, labels: Labels, *, grow: bool = False) -> str:
    label = f'<span class="code-lang">{text(name)}</span>' if name else '<span class="code-lang"></span>'
    return (
        f'<div class="code" data-lang="{attribute(name)}"><div class="code-head">{label}'
        f'<button type="button" class="code-copy" data-copy="">{text(labels.copy)}</button></div>'
        f'<pre tabindex="0"><code{" data-grow" if grow else ""}>'
    )


CLOSING = "</code></pre></div>\n"


def block(source: str, info: str, labels: Labels, *, plain: bool = False) -> str:
    name = language(info)
    if plain or not name:
        body = text(source)
    elif len(source) <= _CACHED_LIMIT:
        body = _highlight_cached(source, name)
    else:
        body = _highlight(source, name)
    return opening(name, labels) + body + CLOSING
