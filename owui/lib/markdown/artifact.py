"""The page an answer holds: its HTML blocks with their CSS and JavaScript merged in, or its first SVG."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pyromark

from .code import language

# More than this is no page somebody wants to look at.
LIMIT = 1_000_000
_KINDS = {"html": "html", "htm": "html", "svg": "svg", "css": "css", "js": "js", "javascript": "js"}
_HEAD = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
_CENTRED = (
    "<style>html,body{margin:0;height:100%}body{display:grid;place-items:center}"
    "svg{max-width:100%;max-height:100%}</style>"
)
_HEAD_END = re.compile(r"</head\s*>", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_IS_SVG = re.compile(r"\s*(?:<\?xml[^>]{0,200}\?>\s*)?<svg[\s>]", re.IGNORECASE)
_IS_PAGE = re.compile(r"\s*(?:<!doctype html|<html[\s>])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Artifact:
    kind: str  # html or svg
    source: str

    @property
    def page(self) -> str:
        """A whole document to be shown in a frame."""
        if self.kind == "html":
            return self.source
        return f"<!DOCTYPE html><html><head>{_HEAD}{_CENTRED}</head><body>{self.source}</body></html>"


def artifact(text: str) -> Artifact | None:
    """What can be looked at in an answer; None if it has neither HTML nor SVG in a code block."""
    if "```" not in text and "~~~" not in text:
        return None
    parts: dict[str, list[str]] = {"html": [], "svg": [], "css": [], "js": []}
    for kind, source in _blocks(text):
        parts[kind].append(source)
    if parts["html"]:
        merged = _merged(parts)
        return Artifact("html", merged) if len(merged) <= LIMIT else None
    if parts["svg"] and len(parts["svg"][0]) <= LIMIT:
        return Artifact("svg", parts["svg"][0])
    return None


def _blocks(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    kind, body = "", [""]
    event: Any
    for event in pyromark.Markdown().events(text):
        if isinstance(event, str):
            continue
        ((name, value),) = event.items()
        if name == "Start" and isinstance(value, dict) and "CodeBlock" in value:
            block = value["CodeBlock"]
            info = language(block["Fenced"]) if isinstance(block, dict) else ""
            kind, body = _KINDS.get(info, "xml" if info == "xml" else ""), []
        elif name == "Text" and kind:
            body.append(value)
        elif name == "End" and value == "CodeBlock":
            source = "".join(body)
            if kind == "xml":
                kind = "svg" if _IS_SVG.match(source) else ""
            if kind and source.strip():
                found.append((kind, source))
            kind = ""
    return found


def _merged(parts: dict[str, list[str]]) -> str:
    """A page the model wrote whole keeps its shape; pieces get a page around them."""
    css, js = "\n".join(parts["css"]), "\n".join(parts["js"])
    style = f"<style>\n{css}</style>\n" if css else ""
    script = f"<script>\n{js}</script>\n" if js else ""
    html = "\n".join(parts["html"])
    if not _IS_PAGE.match(html):
        return f"<!DOCTYPE html>\n<html>\n<head>{_HEAD}\n{style}</head>\n<body>\n{html}\n{script}</body>\n</html>\n"
    html = _put(html, _HEAD_END, style, first=True)
    return _put(html, _BODY_END, script, first=False)


def _put(html: str, before: re.Pattern[str], piece: str, *, first: bool) -> str:
    places = list(before.finditer(html))
    if not piece or not places:
        return html + piece
    at = places[0 if first else -1].start()
    return html[:at] + piece + html[at:]
