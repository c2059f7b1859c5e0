"""Markdown from models and people to safe HTML, whole or while it is being written."""

from __future__ import annotations

from . import clean, code
from .artifact import Artifact, artifact
from .blocks import code_blocks, replaced
from .folds import Fold, split
from .incremental import IncrementalRenderer, Patch, collect_definitions
from .labels import ENGLISH, Labels
from .pieces import Part, Piece, join, pieces

__all__ = [
    "ENGLISH",
    "Artifact",
    "Fold",
    "IncrementalRenderer",
    "Labels",
    "Part",
    "Patch",
    "Piece",
    "artifact",
    "code_blocks",
    "join",
    "pieces",
    "render",
    "render_code",
    "render_plain",
    "replaced",
    "split",
]


def render(text: str, citations: int = 0, *, labels: Labels = ENGLISH) -> str:
    """A whole finished answer as safe HTML. `[1]` up to `citations` become buttons."""
    return IncrementalRenderer(citations, labels=labels, definitions=collect_definitions(text)).whole(text)


def render_plain(text: str, *, labels: Labels = ENGLISH) -> str:
    """What a person typed: Markdown too, but their newlines stay."""
    return IncrementalRenderer(labels=labels, breaks=True, definitions=collect_definitions(text)).whole(text)


def render_code(source: str, language: str = "", *, labels: Labels = ENGLISH) -> str:
    """Text that is no Markdown as a code block."""
    return clean.clean(code.block(source, language, labels))
