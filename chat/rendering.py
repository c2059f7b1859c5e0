"""Messages and turns as templates and sockets show them: a fragment is written once, for page, view and socket."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from accounts.preferences import interface_of
from chat.engine.events import FINISH, SOURCES, STATUS, TEXT, Logged, Numbered, Transcript
from chat.history import attached_views
from chat.models import Citation, Message, State
from chat.moulds import rendered
from chat.pictures import is_picture
from chat.prose import answer_html, labels, safe
from chat.selectors import Branch
from chat.services import may_rate
from chat.several import grouped
from chat.tree import children_of, versions_of
from owui.lib.languages import number
from owui.lib.markdown import IncrementalRenderer, render, render_plain
from rbac.permissions import is_bound, may
from rbac.sharing import Person

Op = list[Any]


#: somebody who reads another person's chat changes nothing in it; copies of it are their own
NOT_ONES_OWN = dict.fromkeys(
    (
        *("edit", "delete", "share", "regenerate", "continue", "delete_message", "file_upload", "controls", "rate"),
        *("store", "branch"),
    ),
    False,
)


def can_of(user: Person, *, is_own: bool = True) -> dict[str, bool]:
    """Which controls the person has; the server asks again at each action. Costs statements once a request.

    :param is_own: whether they are for a chat of the person's own: a reader of somebody else's changes nothing in it
    """
    keys = {
        "models": "workspace.models",
        "edit": "chat.edit",
        "delete": "chat.delete",
        "export": "chat.export",
        "share": "chat.share",
        "regenerate": "chat.regenerate_response",
        "continue": "chat.continue_response",
        "file_upload": "chat.file_upload",
        "delete_message": "chat.delete_message",
        "import": "chat.import",
        "tts": "chat.tts",
        "stt": "chat.stt",
        "controls": "chat.controls",
        "temporary": "chat.temporary",
    }
    # "store": the page keeps chats; whoever may have temporary ones only can read here and write nothing.
    # "branch": the versions of a message and the columns can be gone through.
    can = {"store": True, "branch": True, "rate": may_rate(user)} | {name: may(user, key) for name, key in keys.items()}
    can["delete_message"] &= can["delete"]
    if is_bound(user, "chat.temporary_enforced"):
        can |= dict.fromkeys(("edit", "regenerate", "continue", "import", "store"), False)
    if not is_own:
        can |= NOT_ONES_OWN
    return can | _wishes(user)


def _wishes(user: Person) -> dict[str, bool]:
    """How the person wants answers to be copied, asked for again and followed up."""
    chosen = interface_of(user) if isinstance(user, User) else {}
    names = {
        "copy_formatted": "copyFormatted",
        "keep_follow_ups": "keepFollowUpPrompts",
        "insert_follow_up": "insertFollowUpPrompt",
    }
    wishes = {name: chosen.get(key) is True for name, key in names.items()}
    return wishes | {"regenerate_menu": chosen.get("regenerateMenu") is not False}


def message_view(
    message: Message,
    *,
    siblings: Sequence[Message] = (),
    citations: Sequence[Citation] = (),
    turn_id: uuid.UUID | None = None,
    running: tuple[Transcript, int] | None = None,
    prefix_length: int = 0,
) -> dict[str, Any]:
    """One message as `chat/_message.html` wants it.

    :param running: what the log of a running turn adds up to so far, and the number of its last event
    """
    index = next((i for i, s in enumerate(siblings) if s.pk == message.pk), 0)
    view: dict[str, Any] = {
        "id": message.pk,
        "chat_id": message.chat_id,
        "parent_id": message.parent_id,
        "column": (message.meta or {}).get("modelIdx"),
        "chosen": bool((message.meta or {}).get("chosen")),
        "author": message.author,
        "state": message.state,
        "error": message.error,
        "text": message.content,
        "model_name": message.model_name,
        "created_at": message.created_at,
        "sibling_index": index + 1,
        "sibling_count": max(1, len(siblings)),
        "previous_id": siblings[index - 1].pk if index > 0 else None,
        "next_id": siblings[index + 1].pk if index + 1 < len(siblings) else None,
        "attached_list": attached_views(message.files or []),
        "picture_list": [item.get("name", "") for item in message.files or [] if is_picture(item)],
    }
    view["is_edited"] = "edited_at" in message.meta
    if message.author == "user":
        return view | {"html": safe(render_plain(message.content, labels=labels()))}
    if running is not None:
        transcript, seq = running
        body = _Body(source_count(transcript.sources), message.content[:prefix_length] + transcript.text)
        view |= {
            "html": safe("".join(body.blocks)),
            "tail_html": safe(body.tail),
            "sequence": seq,
            "turn_id": turn_id,
        }
        return view | extras(transcript.statuses, transcript.reasoning) | {"source_list": []}
    count = max((c.number for c in citations), default=0)
    view |= {"html": answer_html(message.content, count), "tail_html": ""}
    view |= extras(message.status_history, message.reasoning) | {"source_list": source_list(citations)}
    view["reasoning_label"] = _thought_for(message.usage)
    searched = any(s.get("action") == "knowledge_search" for s in message.status_history or [])
    view["usage_text"] = usage_text(message.usage)
    view["rating"] = (message.meta.get("annotation") or {}).get("rating")
    view["summary"] = message.meta.get("summary") or ""
    view["follow_up_list"] = message.meta.get("follow_ups") or []
    return view | {"no_evidence": searched and not citations and message.state == State.DONE}


def usage_text(usage: dict[str, Any] | None) -> str:
    """What an answer took, in a line for whoever asks; empty where the model server did not say."""
    counts = usage or {}
    if not counts.get("completion_tokens"):
        return ""
    written = _("about %(count)s tokens") if counts.get("estimated") else _("%(count)s tokens")
    parts = [written % {"count": number(counts["completion_tokens"])}]
    if speed := counts.get("tokens_per_second"):
        parts.append(_("%(speed)s a second") % {"speed": number(speed, 0 if speed >= 10 else 1)})
    if wait := counts.get("first_token_ms"):
        parts.append(_("first after %(seconds)s s") % {"seconds": number(wait / 1000, 1)})
    if asked := counts.get("prompt_tokens"):
        parts.append(_("%(count)s read") % {"count": number(asked)})
    return ", ".join(parts)


def _thought_for(usage: dict[str, Any] | None) -> str:
    taken = (usage or {}).get("reasoning_ms")
    if not isinstance(taken, int):
        return ""
    seconds = max(1, round(taken / 1000))
    text = ngettext("Thought for %(seconds)s second", "Thought for %(seconds)s seconds", seconds)
    return text % {"seconds": seconds}


class _Body:
    """Finished blocks and the open tail of a text."""

    def __init__(self, citations: int, text: str = "") -> None:
        self.renderer = IncrementalRenderer(citations, labels=labels())
        self.blocks: list[str] = []
        #: what the last piece put at the end of the tail, where nothing else changed
        self.grown: str | None = None
        if text:
            self.feed(text)

    def feed(self, text: str) -> str:
        patch = self.renderer.feed(text)
        if patch.append:
            self.blocks.append(patch.append)
        self.grown = patch.grow
        return patch.append

    @property
    def tail(self) -> str:
        return self.renderer.tail


def extras(statuses: list[dict[str, Any]] | None, reasoning: str) -> dict[str, Any]:
    """Status lines and thoughts."""
    texts = [str(s.get("description", "")) for s in statuses or [] if s.get("description")]
    return {"status_list": texts, "reasoning_html": safe(render(reasoning, labels=labels())) if reasoning else ""}


def source_count(sources: list[dict[str, Any]]) -> int:
    """How many numbers an answer may cite: different documents, in order of first appearance."""
    names = [m.get("source") or s.get("source", {}).get("id") for s in sources for m in s.get("metadata", [])]
    return len(dict.fromkeys(names))


def source_list(citations: Iterable[Citation]) -> list[dict[str, Any]]:
    """The sources under an answer, one line a number; the first passage stands for the others."""
    out: dict[int, dict[str, Any]] = {}
    for c in citations:
        out.setdefault(
            c.number,
            {
                "number": c.number,
                "name": c.document_name,
                "page": c.page_number,
                "label": c.page_label,
                "excerpt": c.text[:300],
                "relevance": round(c.score * 100) if c.score is not None and 0 <= c.score <= 1 else None,
            },
        )
    return list(out.values())


def branch_views(
    branch: Sequence[Message],
    everything: Sequence[Message],
    citations: Iterable[Citation],
    running: dict[uuid.UUID, tuple[uuid.UUID, int, Transcript, int]],
) -> list[dict[str, Any]]:
    """A branch for the page. `running` maps a message to its turn: id, prefix length, transcript, last number."""
    children = children_of(everything)
    by_message: dict[uuid.UUID, list[Citation]] = {}
    for citation in citations:
        by_message.setdefault(citation.message_id, []).append(citation)
    out = []
    for message in branch:
        turn = running.get(message.pk)
        out.append(
            message_view(
                message,
                siblings=versions_of(message, children[message.parent_id]),
                citations=by_message.get(message.pk, []),
                turn_id=turn[0] if turn else None,
                prefix_length=turn[1] if turn else 0,
                running=(turn[2], turn[3]) if turn else None,
            )
        )
    return out


def listed(branch: Branch) -> dict[str, Any]:
    """What `chat/_message_list.html` needs of a branch."""
    views = branch_views(branch.messages, branch.everything, branch.citations, branch.running)
    return {"message_list": grouped(views), "earlier": branch.earlier, "chat_id": branch.chat.pk}


@dataclass(slots=True)
class TurnView:
    """A running answer as a socket shows it: events in, operations on the page out."""

    message_id: uuid.UUID
    prefix: str = ""
    seq: int = 0
    finished: bool = False
    statuses: list[dict[str, Any]] = field(default_factory=list)
    reasoning: str = ""
    citations: int = 0
    events: list[Logged] = field(default_factory=list)
    _body: _Body | None = None
    _name: str = ""

    def __post_init__(self) -> None:
        self._name = f"message-{self.message_id}"

    def feed(self, batch: Sequence[Numbered]) -> list[Op]:
        """Takes in events and gives the operations that bring a page which has everything before up to date."""
        added, text = Transcript(), []
        events: list[Logged] = []
        for seq, event in batch:
            self.seq = seq
            events.append(event)
            if event[0] == TEXT:
                text.append(event[1])
            elif event[0] == SOURCES:
                self.citations = source_count(event[1])
            elif event[0] == FINISH:
                self.finished = True
        self.events += events
        added.add(events)
        ops: list[Op] = []
        if any(kind == STATUS for kind, _value in events):
            self.statuses += added.statuses
            ops.append(self._status())
        self.reasoning += added.reasoning
        is_first_text = bool(text) and self._body is None
        if self.prefix and any(kind == SOURCES for kind, _value in events):
            ops += self._redrawn()
        body = self._text() if text else None
        # The first word of the answer turns "Thinking" into "Thoughts".
        if added.reasoning or (is_first_text and self.reasoning):
            ops.append(self._thoughts())
        if body is not None:
            if block := body.feed("".join(text)):
                ops.append(["append", f"{self._name}-blocks", block])
            tail = f"{self._name}-tail"
            # Prose and code are sent once, not anew with each word or line.
            if body.grown is None or is_first_text:
                ops.append(["replace", tail, body.tail])
            elif body.grown:
                ops.append(["grow", tail, body.grown])
        return ops

    def full(self) -> list[Op]:
        """Everything there is so far, for a page that may have anything."""
        # Without text the body is not made yet: the sources, which it must know, may still come.
        body = self._text() if self._body is not None or self.prefix else _Body(0)
        return [self._status(), self._thoughts(), *self._whole(body)]

    def _redrawn(self) -> list[Op]:
        """A continued answer whose beginning was drawn before its sources were known, which make citations of `[n]`."""
        self._body = None
        return self._whole(self._text())

    def _whole(self, body: _Body) -> list[Op]:
        name = self._name
        return [["replace", f"{name}-blocks", "".join(body.blocks)], ["replace", f"{name}-tail", body.tail]]

    @property
    def block_count(self) -> int:
        """How many times finished blocks were appended."""
        return len(self._body.blocks) if self._body is not None else 0

    def blocks(self, count: int) -> str:
        """The first of them."""
        return "".join(self._body.blocks[:count]) if self._body is not None else ""

    def _text(self) -> _Body:
        # Made with the first text: by then the sources are known, and with them which [n] are citations.
        if self._body is None:
            self._body = _Body(self.citations, self.prefix)
        return self._body

    def _status(self) -> Op:
        view = {"id": self.message_id, "state": State.RUNNING, **extras(self.statuses, "")}
        return [
            "replace",
            f"{self._name}-status",
            render_to_string("chat/_status.html", {"message": view}),
        ]

    def _thoughts(self) -> Op:
        has_text = self._body is not None or bool(self.prefix)
        view = {"id": self.message_id, "state": State.RUNNING, "html": has_text, **extras(None, self.reasoning)}
        html = render_to_string("chat/_reasoning.html", {"message": view})
        return ["replace", f"{self._name}-reasoning", html]


def final_ops(view: dict[str, Any], can: dict[str, bool], shown: str | None = None) -> list[Op]:
    """The last operations of a turn, from the saved message: the page has then exactly what a reload would show.

    :param shown: the blocks of a page that followed the answer from its beginning; then only what is new is sent
    """
    name, html = f"message-{view['id']}", view["html"]
    parts = {
        "status": ("chat/_status.html", view["status_list"]),
        "reasoning": ("chat/_reasoning.html", view["reasoning_html"]),
        "error": ("chat/_message_error.html", view["state"] != State.DONE),
        "sources": ("chat/_source_list.html", view["source_list"] or view["no_evidence"]),
        "foot": ("chat/_message_actions.html", True),
    }
    if shown is not None and html.startswith(shown):
        rest = html[len(shown) :]
        ops: list[Op] = [["append", f"{name}-blocks", rest]] if rest else []
    else:
        ops = [["replace", f"{name}-blocks", html]]
    ops.append(["replace", f"{name}-tail", ""])
    ops += [
        ["replace", f"{name}-{part}", rendered(template, view, can)]
        for part, (template, has_any) in parts.items()
        if shown is None or has_any
    ]
    return [*ops, ["attr", name, "aria-busy", None], ["attr", name, "data-turn", None]]
