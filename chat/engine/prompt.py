"""What is sent to the model: system prompts in the field's order, history, and the passages to answer from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]


def system_prompt(*, folder: str = "", model: str = "", chat: str = "", user: str = "") -> str:
    """The administrator's prompt of the model wins over the chat's, that over the person's; a folder's goes first."""
    chosen = model.strip() or chat.strip() or user.strip()
    return "\n\n".join(part for part in (folder.strip(), chosen) if part)


def build_messages(
    history: Sequence[Message], *, system: str = "", context: str = "", context_in_system: bool = False
) -> list[Message]:
    """History with the system prompt in front and the retrieved context in its place.

    The context stands before the last user message, or in the system message when RAG_SYSTEM_CONTEXT asks for a stable
    prefix. Callers' own system messages stay, after ours.
    """
    messages = [dict(message) for message in history]
    if context and context_in_system:
        system = f"{system}\n\n{context}" if system else context
    elif context:
        for index in range(len(messages) - 1, -1, -1):
            if messages[index].get("role") == "user":
                messages[index] = _with_context(messages[index], context)
                break
    if system:
        if messages and messages[0].get("role") == "system":
            first = messages[0]
            messages[0] = {**first, "content": f"{system}\n\n{text_of(first)}"}
        else:
            messages.insert(0, {"role": "system", "content": system})
    return messages


def _with_context(message: Message, context: str) -> Message:
    content = message.get("content")
    if isinstance(content, list):
        return {**message, "content": [{"type": "text", "text": context}, *content]}
    return {**message, "content": f"{context}\n\n{content or ''}"}


def text_of(message: Message) -> str:
    """The text of a message whose content may be text or OpenAI parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(p.get("text", "")) for p in content if isinstance(p, dict) and p.get("type") == "text")
    return str(content or "")


def last_question(history: Sequence[Message]) -> str:
    """The text retrieval asks with."""
    return next((text_of(m) for m in reversed(history) if m.get("role") == "user"), "")
