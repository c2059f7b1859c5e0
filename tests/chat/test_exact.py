"""Whoever reads a turn, wherever, and whatever breaks at whatever event: in the end all pages are the same."""

from __future__ import annotations

import asyncio
import random
import selectors as polling
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import pytest
from django.template.loader import render_to_string
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat import consumers, rendering, selectors, turnlog
from chat import follow as follow_module
from chat.consumers import ChatConsumer
from chat.engine.events import FINISH, REASONING, SOURCES, STATUS, TEXT, USAGE, Logged, Transcript
from chat.live import LiveTurn
from chat.models import Citation, Message
from chat.runner import runner
from chat.wire import Wire
from tests.chat.page import Page

WRITER = uuid.uuid4()
CAN = {"store": True, "models": True, "edit": True, "delete": True, "regenerate": True, "continue": True}
PIECES = (
    "# Head\n\n", "Setext\n===\n\n", "Some *words*, **more** and `code` [1] [7].\n", "\n", " ", "\n\n",
    "- one\n- two\n  - deep\n\n", "1. first\n2. second\n", "3) third\n\n  loose\n\n", "- [x] done\n- [ ] open\n\n",
    "```python\nprint(1 < 2)\n```\n\n", "```\nnever closed\n", "~~~\ntilde\n~~~\n", "    indented\n\n",
    "| a | b |\n|---|:-:|\n| 1 | $x$ |\n", "| half\n", "A formula $x^2$ and \\(y\\).\n", "$$\n\\frac{1}{2}\n$$\n\n",
    "> quoted\n> more\n\n", "<b>html</b> <script>alert(1)</script> & &amp; &#0;\n", "<div>\n\nopen\n", "***\n",
    "[link](https://example.org \"t\") [ref] ![p](x.png)\n\n",
    "[ref]: https://example.org\n\n", "[^1]\n\n[^1]: Foot.\n\n",
    "Größe 日本語 🧪👩‍🔬 e\u0301 \u202eRTL\u202c עברית\n", "\r\nline\r\n",
    "a\\\nb  \nc\n", "word", "**", "`", "[", "|", "~~x~~", "\t",
)  # fmt: skip
anything = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
documents = st.lists(st.one_of(st.sampled_from(PIECES), anything), min_size=1, max_size=10).map("".join)


class Instant(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer: seconds of waiting take no time."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self.now


class _Jumping(polling.DefaultSelector):
    def __init__(self, loop: Instant) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everybody waits for ever"
        self.loop.now += timeout
        return super().select(0)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=Instant) as ours:
        return ours.run(work)


@st.composite
def logs(draw: st.DrawFn) -> list[Logged]:
    """What a model said, in some pieces, with all that may stand around it."""
    text = draw(documents)
    cuts = [0, *sorted(draw(st.lists(st.integers(0, len(text)), max_size=8))), len(text)]
    events: list[Logged] = []
    source = {"source": {"id": "k"}, "document": ["x"], "metadata": [{"source": "d1"}], "distances": [0.9]}
    for number in range(draw(st.integers(0, 2))):
        events.append((STATUS, {"action": "knowledge_search", "description": f"Search & {number}"}))
    if draw(st.booleans()):
        events.append((SOURCES, [source]))
    events += [(REASONING, thought) for thought in draw(st.lists(st.sampled_from(PIECES), max_size=3))]
    events += [(TEXT, text[a:b]) for a, b in zip(cuts, cuts[1:], strict=False) if a < b]
    if draw(st.booleans()):
        events.append((USAGE, {"prompt_tokens": 3, "completion_tokens": 4}))
    state = draw(st.sampled_from(["done", "stopped", "interrupted", "failed"]))
    return [*events, (FINISH, {"state": state, "error": "Why." if state == "failed" else ""})]


class Turn:
    """One turn with its log, and everything that a reader asks the site for."""

    def __init__(self, events: list[Logged], prefix: str) -> None:
        self.id, self.events, self.prefix = uuid.uuid4(), events, prefix
        self.user_id = uuid.uuid4()
        self.answer = Message(
            pk=uuid.uuid4(), chat_id=uuid.uuid4(), author="assistant", model_name="Fake", content=prefix
        )
        self.answer.created_at = None  # type: ignore[assignment]

    def article(self, after: int) -> str:
        """The page opened when the log had so many events."""
        if after >= len(self.events):
            view = self.final()
        else:
            self.answer.state = "running"
            running = (Transcript().add(self.events[:after]), after)
            view = rendering.message_view(self.answer, turn_id=self.id, running=running, prefix_length=len(self.prefix))
        return render_to_string("chat/_message.html", {"message": view, "can": CAN})

    def final(self) -> dict[str, Any]:
        """The stored message, as a reload shows it."""
        added, end = Transcript().add(self.events), self.events[-1][1]
        saved = self.row()
        turnlog.set_end(saved, self.prefix, state=end["state"], error=end["error"], added=added)
        return rendering.message_view(saved, citations=self.cited(saved))

    def row(self) -> Message:
        """The stored message before its end."""
        row = Message(pk=self.answer.pk, chat_id=self.answer.chat_id, author="assistant", model_name="Fake")
        row.content, row.state, row.created_at = self.prefix, "running", None  # type: ignore[assignment]
        return row

    @staticmethod
    def cited(message: Message) -> list[Citation]:
        is_cited = bool(message.meta.get("sources"))
        return [Citation(message=message, number=1, document_name="SOP-17.pdf", text="x")] if is_cited else []

    def live(self) -> LiveTurn:
        live = LiveTurn(self.id, self.answer.chat_id, self.answer.pk, self.user_id)
        runner.turns[self.id] = live
        return live


class Socket:
    """One connection of a page: the consumer as it is, its frames to the page, until it is cut."""

    def __init__(self, turn: Turn, page: Page) -> None:
        self.turn, self.page = turn, page
        self.consumer = ChatConsumer()
        self.consumer.user_id, self.consumer.identity = turn.user_id, _Somebody()  # type: ignore[assignment]
        self.consumer.looking, self.consumer.readers, self.consumer.hold = asyncio.Lock(), {}, None
        self.consumer.waiting = {}
        self.consumer.send = self._take  # type: ignore[method-assign]
        self.attach()

    def attach(self) -> None:
        self.consumer._attach(self.turn.id, self.page.seq)

    async def _take(self, text_data: str) -> None:
        if self.page.receive(orjson.loads(text_data)):
            self.attach()

    def cut(self) -> None:
        for reader in self.consumer.readers.values():
            reader.cancel()

    async def over(self) -> None:
        for _ in range(1000):
            if self.page.turn is None:
                return
            await asyncio.sleep(0.5)
        raise AssertionError(f"the page at {self.page.seq} never got the end")


class _Somebody:
    user = None


@pytest.fixture(autouse=True)
def _site(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads and rows away: what is looked at lies between the log and the page."""

    def direct(function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*arguments: Any) -> Any:
            await asyncio.sleep(0)
            return function(*arguments)

        return call

    monkeypatch.setattr(consumers, "in_thread", direct)
    monkeypatch.setattr(follow_module, "in_thread", direct)


def attachable(turn: Turn, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(user: Any, turn_id: uuid.UUID) -> selectors.Attached:
        return selectors.Attached(turn.row(), turn.prefix, True, turn.user_id, True, WRITER)

    monkeypatch.setattr(selectors, "attachable_turn", found)
    monkeypatch.setattr(selectors, "siblings_of", lambda user, attached: [attached.message])
    monkeypatch.setattr(selectors, "citations_of", lambda message, user: turn.cited(message))
    monkeypatch.setattr(rendering, "can_of", lambda user, **_where: CAN)


def whole_page(turn: Turn) -> dict[str, str]:
    return Page(turn.answer.pk, turn.article(len(turn.events))).shown


quick = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@quick
@given(logs(), st.sampled_from(["", "Before, ", "# Old\n\nBegun *to"]), st.integers(0, 2**32))
def test_reload_second_reader_and_cut_connection_at_every_event_end_in_the_same_page(
    monkeypatch: pytest.MonkeyPatch, events: list[Logged], prefix: str, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311

    async def story() -> None:
        turn = Turn(events, prefix)
        attachable(turn, monkeypatch)
        live, first = turn.live(), Page(turn.answer.pk, turn.article(0))
        sockets = [Socket(turn, first)]
        try:
            for at, event in enumerate(events):
                await _settle()
                # A second reader and a reload come at this event; connections break and are made again.
                reloaded = Page(turn.answer.pk, turn.article(at))
                sockets.append(Socket(turn, reloaded))
                for socket in [s for s in sockets[1:] if chance.random() < 0.4]:
                    socket.cut()
                    if chance.random() < 0.3:
                        socket.page.load(turn.article(chance.randint(0, at)))  # drawn from a log that is behind
                        socket.attach()
                    else:
                        sockets.append(Socket(turn, socket.page))
                # A fragment of htmx draws the answer anew while frames are under way, then attaches.
                for socket in [s for s in sockets[1:] if chance.random() < 0.1]:
                    socket.page.load(turn.article(chance.randint(0, at)))
                live.log.append(event)
                if event[0] == FINISH:
                    live.finished = True
                live._tell()
                await _settle()
                if event[0] != FINISH:
                    _same_so_far(turn, sockets, at + 1)
            for socket in sockets:
                await socket.over()
        finally:
            runner.turns.pop(turn.id, None)
        whole = whole_page(turn)
        for socket in sockets:
            assert socket.page.shown == whole

    run(story())


async def _settle() -> None:
    for _ in range(12):
        await asyncio.sleep(0)


def _same_so_far(turn: Turn, sockets: list[Socket], at: int) -> None:
    """In the middle too: whatever a page went through, it shows what a page opened now shows."""
    expected = Page(turn.answer.pk, turn.article(at)).shown
    for socket in sockets:
        if socket.page.seq == at:
            assert {p: socket.page.shown[p] for p in ("blocks", "tail")} == {p: expected[p] for p in ("blocks", "tail")}


class Broker:
    """Carries what two processes say to one another; loses, repeats and reorders."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.live: LiveTurn | None = None
        self.writing = Wire(lambda turn_id: self.live, self.tell)
        self.held: list[Any] = []

    async def tell(self, node: str, message: dict[str, Any]) -> bool:
        await asyncio.sleep(0)
        dice = self.chance.random()
        said = (node, orjson.loads(orjson.dumps(message)))
        if dice < 0.1:
            return False
        if dice < 0.25:
            return True
        if dice < 0.35:
            self.held.append(said)
            return True
        for each in [said, said] if dice < 0.5 else [said]:
            self._carry(*each)
        if self.held and dice > 0.8:
            self._carry(*self.held.pop(0))
        return True

    def _carry(self, node: str, message: dict[str, Any]) -> None:
        wire, origin = (self.writing, "reading") if node == WRITER.hex else (runner.wire, WRITER.hex)
        wire.handlers()[message["kind"]](message | {"origin": origin})


@quick
@given(logs(), st.sampled_from(["", "Before, "]), st.integers(0, 2**32))
def test_readers_on_another_process_end_in_the_same_page_whatever_the_broker_does(
    monkeypatch: pytest.MonkeyPatch, events: list[Logged], prefix: str, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311

    async def story() -> None:
        turn, broker, saved = Turn(events, prefix), Broker(chance), 0
        attachable(turn, monkeypatch)
        monkeypatch.setattr(runner.wire, "_tell", broker.tell)
        live = LiveTurn(turn.id, uuid.uuid4(), turn.answer.pk, turn.user_id, told=broker.writing.told)
        broker.live = live

        def read(turn_id: uuid.UUID, after: int) -> Any:
            state = events[-1][1]["state"] if saved == len(events) else "running"
            return [(n, e) for n, e in enumerate(events[:saved], 1) if n > after], state

        monkeypatch.setattr(turnlog, "read", read)
        sockets = [Socket(turn, Page(turn.answer.pk, turn.article(0)))]
        for at, event in enumerate(events, 1):
            # The end is saved before it is told, and its turn is forgotten after that.
            saved = at if at == len(events) or chance.random() < 0.4 else saved
            live.add(event)
            if at == len(events):
                live.close()
                broker.live = None
            await asyncio.sleep(chance.choice([0, 0, 0.05, 0.7]))
            if at < len(events):
                sockets.append(Socket(turn, Page(turn.answer.pk, turn.article(saved))))
            for socket in [s for s in sockets if chance.random() < 0.3]:
                socket.cut()
                sockets.append(Socket(turn, socket.page))
        for socket in sockets:
            await socket.over()
        whole = whole_page(turn)
        for socket in sockets:
            assert socket.page.shown == whole
        for socket in sockets:
            socket.cut()
        await asyncio.sleep(5)
        assert not runner.wire._inboxes, "a reader that is over leaves nothing behind"

    run(story())
