"""What the load scripts share: percentiles, process meters, a thin streaming HTTP client, the corpus."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import statistics
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psutil

try:
    import uvloop

    def run(main):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main)
except ImportError:
    run = asyncio.run


# ------------------------------------------------------------------- figures
def pct(values, q: float) -> float:
    """The q-th percentile (nearest rank); nan when there is nothing to rank."""
    if not values:
        return float("nan")
    values = sorted(values)
    return values[min(len(values) - 1, max(0, round(q / 100 * len(values) + 0.5) - 1))]


def median_rows(rows: list[dict]) -> dict:
    """One row of medians from the rows of several repeats; text is kept from the first."""
    out = {}
    for key, value in rows[0].items():
        numbers = [r[key] for r in rows if isinstance(r.get(key), (int, float))]
        out[key] = statistics.median(numbers) if numbers else value
    return out


def table(rows: list[dict]) -> str:
    """A Markdown table of dicts with the same keys."""
    keys = list(rows[0])

    def cell(v):
        if isinstance(v, float):
            return f"{v:,.0f}" if abs(v) >= 1000 else f"{v:.1f}" if abs(v) >= 10 else f"{v:.2f}"
        return str(v)

    lines = ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
    return "\n".join(lines + ["| " + " | ".join(cell(r.get(k, "")) for k in keys) + " |" for r in rows])


# ----------------------------------------------------------------- processes
class Meter:
    """CPU seconds used and peak memory of named process trees, over a `with` block.

    pids: {"server": 123, "redis": 456}. Children are included, also new ones.
    """

    def __init__(self, pids: dict[str, int], every: float = 0.5):
        self.pids, self.every = pids, every
        self.cpu: dict[str, float] = {}
        self.peak_mb: dict[str, float] = {}

    @staticmethod
    def tree(pid: int) -> list[psutil.Process]:
        try:
            root = psutil.Process(pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    @classmethod
    def cpu_of(cls, pid: int) -> float:
        total = 0.0
        for p in cls.tree(pid):
            try:
                t = p.cpu_times()  # children_*: those that ended and were waited for
                total += t.user + t.system + t.children_user + t.children_system
            except psutil.NoSuchProcess:
                pass
        return total

    @classmethod
    def rss_mb(cls, pid: int) -> float:
        total = 0
        for p in cls.tree(pid):
            try:
                total += p.memory_info().rss
            except psutil.NoSuchProcess:
                pass
        return total / 1e6

    async def __aenter__(self):
        self.before = {n: self.cpu_of(p) for n, p in self.pids.items()}
        self.task = asyncio.create_task(self._sample())
        return self

    async def _sample(self):
        while True:
            for name, pid in self.pids.items():
                self.peak_mb[name] = max(self.peak_mb.get(name, 0), self.rss_mb(pid))
            await asyncio.sleep(self.every)

    async def __aexit__(self, *exc):
        self.task.cancel()
        self.cpu = {n: self.cpu_of(p) - self.before[n] for n, p in self.pids.items()}
        for name, pid in self.pids.items():
            self.peak_mb[name] = max(self.peak_mb.get(name, 0), self.rss_mb(pid))


def parse_pids(items: list[str]) -> dict[str, int]:
    """["server=12", "redis=34"] or ["12"] → {"server": 12, ...}."""
    return {(i.partition("=")[0] if "=" in i else "server"): int(i.rpartition("=")[2]) for i in items or []}


# ------------------------------------------------------- streaming over HTTP
@dataclass
class Reply:
    """What one streamed reply looked like from the client's side."""

    sent: float = 0.0
    status: int = 0
    token_at: list[float] = field(default_factory=list)  # arrival of each token
    delay: list[float] = field(default_factory=list)  # seconds each stamped token was under way
    error: str = ""
    last: int = 0
    body: bytes = b""

    @property
    def ttft(self) -> float:
        return self.token_at[0] - self.sent if self.token_at else float("nan")

    @property
    def gaps(self) -> list[float]:
        return [b - a for a, b in zip(self.token_at, self.token_at[1:], strict=False)]

    def take(self, now: float, data: bytes) -> bytes:
        """Note the stamped tokens (' @microseconds@') in data; returns what may be half a token.

        Stamps only grow, so a platform that repeats earlier text (a snapshot, a final
        message) is not counted twice.
        """
        parts = data.split(b"@")
        for part in parts[1:-1]:
            if part.isdigit() and (stamp := int(part)) > self.last:
                self.last = stamp
                self.token_at.append(now)
                self.delay.append(now - stamp / 1e6)
        return b"@" + parts[-1] if len(parts) % 2 == 0 else b""


class _Client(asyncio.Protocol):
    def __init__(self, request: bytes, reply: Reply, done: asyncio.Future):
        self.request, self.reply, self.done = request, reply, done
        self.head, self.rest = b"", b""

    def connection_made(self, transport):
        self.transport = transport
        self.reply.sent = time.monotonic()
        transport.write(self.request)

    def data_received(self, data: bytes):
        now = time.monotonic()
        reply = self.reply
        if not reply.status:
            self.head += data
            head, sep, data = self.head.partition(b"\r\n\r\n")
            if not sep:
                return
            reply.status = int(head.split(b" ", 2)[1])
        if reply.status != 200:
            reply.body += data
            reply.error = f"HTTP {reply.status}: {reply.body[:200]!r}"
        else:
            self.rest = reply.take(now, self.rest + data)
        if data.endswith(b"0\r\n\r\n"):
            self.finish()

    def connection_lost(self, exc):
        if not self.reply.status:
            self.reply.error = "connection lost before a reply"
        self.finish()

    def finish(self):
        if not self.done.done():
            self.done.set_result(None)
        self.transport.close()


async def stream(url: str, body: dict, token: str = "", timeout: float = 120) -> Reply:
    """POSTs body and follows the streamed reply, as cheaply as Python can."""
    u = urlsplit(url)
    raw = json.dumps(body).encode()
    auth = f"Authorization: Bearer {token}\r\n" if token else ""
    request = (
        f"POST {u.path} HTTP/1.1\r\nHost: {u.netloc}\r\nContent-Type: application/json\r\n"
        f"Accept: text/event-stream\r\nConnection: close\r\n{auth}Content-Length: {len(raw)}\r\n\r\n"
    ).encode() + raw
    loop = asyncio.get_running_loop()
    reply, done = Reply(sent=time.monotonic()), loop.create_future()
    tls = ssl.create_default_context() if u.scheme == "https" else None
    transport = None
    try:
        async with asyncio.timeout(timeout):
            transport, _ = await loop.create_connection(
                lambda: _Client(request, reply, done), u.hostname, u.port or (443 if tls else 80), ssl=tls
            )
            await done
    except (OSError, TimeoutError) as exc:
        reply.error = reply.error or f"{type(exc).__name__}: {exc}"
    finally:
        if transport:
            transport.close()
    return reply


# -------------------------------------------------------------------- corpus
_SYL = "ba be bi bo bu da de di do du fa fe fi ga go ka ke ki ko la le li lo lu ma me mi mo na ne ni no pa pe pi po ra re ri ro sa se si so ta te ti to va ve vi vo za ze zo".split()


def words(seed: str, count: int) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(_SYL, k=rng.randint(2, 4))) for _ in range(count)]


VOCABULARY = words("vocabulary", 4000)


def document(i: int, low: int = 2_000, high: int = 20_000) -> tuple[str, str, str, str]:
    """(name, text, question, answer) of the i-th synthetic document: the same on every machine.

    The body is Zipf-like filler with the document's topic and subtopic named now and
    then, as real collections have them (without that structure every vector is far
    from every other, which no vector index searches well). One sentence holds a fact
    whose subject occurs in no other document, so the question has one right file.
    """
    rng = random.Random(f"document {i}")
    topic, subtopic = (" ".join(words(s, 2)).title() for s in (f"topic {i % 20}", f"subtopic {i % 20} {i // 20 % 20}"))
    subject = " ".join(words(f"subject {i}", 2)).title() + f" {i}"
    answer = " ".join(words(f"answer {i}", 2)) + f" {rng.randint(100, 999)}"
    fact = f"The registered keeper of {subject} is {answer}."
    size, out, length = rng.randint(low, high), [], 0
    while length < size:
        picks = [VOCABULARY[min(3999, int(rng.paretovariate(0.7)) - 1)] for _ in range(rng.randint(6, 16))]
        sentence = " ".join(picks) + "."
        if len(out) % 6 == 0:
            sentence = f"\n\nOn {topic}, {subtopic}: {sentence}"
        out.append(sentence)
        length += len(sentence) + 1
    out.insert(rng.randrange(len(out)), fact)
    return (
        f"doc-{i:06d}.txt",
        " ".join(out).strip(),
        f"On {topic}, {subtopic}: who is the registered keeper of {subject}?",
        answer,
    )
