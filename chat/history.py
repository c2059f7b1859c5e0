"""What of a branch goes to the model: its words, or a summary in the place of the older ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chat.engine.prompt import Message as PromptMessage
from chat.models import Message
from chat.pictures import content_of, is_picture
from knowledge.models import Document

#: in the `meta` of an answer: what stands for everything up to and with it
SUMMARY = "summary"
#: the question that a summary answers: models are used to turns that alternate
ASKED = "Summarise our conversation so far."


def history_of(branch: Sequence[Message]) -> list[PromptMessage]:
    """The branch as the model gets it. Empty answers (failed ones) are left out."""
    out: list[PromptMessage] = []
    for m in branch:
        content = content_of(m.content, m.files) if m.author == "user" else m.content
        if content and m.author in ("user", "assistant"):
            out.append({"role": m.author, "content": content})
        # A column of the statement that reads branches; rows that were read otherwise stand for themselves.
        if summary := m.__dict__.get(SUMMARY):
            out = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": summary}]
    return out


def attached_items(branch: Sequence[Message], before: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """Knowledge attached anywhere on the branch, once each: it stays in force for the rest of the conversation.

    :param before: what is attached to the messages before these
    """
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for files in (before, *(message.files or [] for message in branch)):
        for item in files:
            if not is_picture(item):
                seen.setdefault((item.get("type", ""), item.get("id", "")), item)
    return list(seen.values())


def file_item(document: Document, *, is_whole: bool) -> dict[str, Any]:
    """A document as a message carries it, in the field's form.

    :param is_whole: the model gets all of it instead of the passages that fit the question
    """
    item = {"type": "file", "id": str(document.pk), "name": document.filename}
    return item | ({"context": "full"} if is_whole else {})


def attached_views(files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is attached to a message, as its chips show it."""
    return [
        {
            "id": item.get("id"),
            "name": item.get("name", ""),
            "kind": "file" if item.get("type") == "file" else "knowledge",
            "whole": item.get("context") == "full",
        }
        for item in files
        if not is_picture(item)
    ]
