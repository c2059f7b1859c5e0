"""What the page of a long chat costs: `make bench ARGS="--page"`.

A chat of 1,000 messages is made in the database; its page, the earlier messages that scrolling asks for, a new chat and
the chat's shared page are asked of a node. Statements are counted in this process, by Django itself. What a browser
loads for a page is weighed as it goes over the wire; where Chromium is installed, it tells when it painted first.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.bench.common import pct, table

MESSAGES = 1_000
#: server ms, statements, kB over the wire, ms to the first paint
BARS = {"server ms": 300, "statements": 10, "kB": 150, "first paint ms": 500}
ANSWER = """Batch 42 is stored at **7.5 °C**, in the upper half of the registered range of 2 to 8 °C.

1. Report it to Quality within 24 hours on form *SOP-QA-042*.
2. Quality assigns a number within one working day.

| Batch | Storage | Assay after 6 months |
|---|---|---:|
| 41 | 5.0 °C | 99.4 % |
| 42 | 7.5 °C | 99.1 % |

```python
def mean(values: list[float]) -> float:
    return sum(values) / len(values)
```

The rate follows \\(k = A e^{-E_a / RT}\\), as everybody knows.
"""


def seed(owner_id: str) -> str:
    """The chat, as if it had been asked and answered; the last question of twenty has knowledge on it."""
    from chat.models import Chat, Message

    chat = Chat.objects.create(owner_id=owner_id, title="A long one", model_ids=["bench"])
    rows: list[Message] = []
    for number in range(MESSAGES):
        is_question, parent = number % 2 == 0, rows[-1] if rows else None
        text = f"What about batch {number}?" if is_question else ANSWER
        more: dict[str, Any] = {} if is_question else {"model_id": "bench", "model_name": "Bench"}
        if is_question and number % 40 == 0:
            more["files"] = [{"type": "file", "id": str(uuid.UUID(int=number + 1)), "name": f"Batch {number}.pdf"}]
        author = "user" if is_question else "assistant"
        rows.append(Message(chat=chat, parent=parent, author=author, content=text, **more))
    Message.objects.bulk_create(rows)
    Chat.objects.filter(pk=chat.pk).update(current=rows[-1].pk)
    return str(chat.pk)


def statements(client: Any, path: str) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client.get(path)  # settings and lists are kept from here on, as in a node that has been asked before
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200, path
    return len(captured)


@dataclass
class Weight:
    """Bytes over the wire."""

    page: int = 0
    styles: int = 0
    scripts: int = 0
    others: int = 0

    @property
    def total(self) -> int:
        return self.page + self.styles + self.scripts + self.others


def wire_bytes(client: httpx.Client, url: str) -> tuple[int, str]:
    with client.stream("GET", url, headers={"accept-encoding": "gzip, br"}) as response:
        response.raise_for_status()
        text = response.read().decode(errors="replace")
        return response.num_bytes_downloaded, text


def weigh(client: httpx.Client, url: str) -> Weight:
    """The page with everything it names in its head, and the icons."""
    weight = Weight()
    weight.page, html = wire_bytes(client, url)
    named = re.findall(r'<(?:link|script|use)\b[^>]*?\s(?:href|src)="([^"#]+)', html)
    for address in sorted(set(named)):
        size, _text = wire_bytes(client, urljoin(url, address))
        kind = "styles" if ".css" in address else "scripts" if ".js" in address else "others"
        setattr(weight, kind, getattr(weight, kind) + size)
    return weight


def server_ms(client: httpx.Client, url: str, rounds: int = 15) -> float:
    """From sending to the last byte, the median."""
    times = []
    for _ in range(rounds):
        began = time.monotonic()
        client.get(url).raise_for_status()
        times.append((time.monotonic() - began) * 1000)
    return pct(times, 50)


def first_paint_ms(urls: list[str], token: str) -> dict[str, float]:
    """As the browser reports it, files in its cache; nothing where there is no browser."""
    if not (path := shutil.which("chromium")):
        return {}
    from playwright.sync_api import sync_playwright

    found: dict[str, float] = {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.add_cookies([{"name": "token", "value": token, "url": urls[0]}])
        page = context.new_page()
        for url in urls:
            times = []
            for _ in range(6):
                page.goto(url, wait_until="load")
                page.wait_for_timeout(300)
                times += page.evaluate(
                    "() => performance.getEntriesByName('first-contentful-paint').map((e) => e.startTime)"
                )
            found[url] = pct(times[1:], 50)
        browser.close()
    return found


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "owui.settings")
    import django

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--tokens", type=Path, required=True)
    options = parser.parse_args()
    django.setup()
    from django.test import Client

    from accounts.models import User
    from chat.links import share_chat
    from chat.models import Message

    token = json.loads(options.tokens.read_text())[0]
    user = User.objects.get(email="u0@bench.test")
    chat_id = seed(str(user.pk))
    shared = share_chat(by=user, chat_id=uuid.UUID(chat_id))
    shown = Message.objects.filter(chat=chat_id).order_by("-created_at", "-id")
    paths = {
        "new chat": "/",
        f"chat of {MESSAGES:,} messages": f"/c/{chat_id}",
        "the messages before": f"/c/{chat_id}/messages/{shown[40].pk}/earlier",
        "its shared page": f"/s/{shared.pk}",
    }
    inside = Client(headers={"sec-fetch-site": "same-origin"}, SERVER_NAME="127.0.0.1")
    inside.cookies["token"] = token
    with httpx.Client(cookies={"token": token}, timeout=30) as client:
        paints = first_paint_ms([options.url + path for name, path in paths.items() if "before" not in name], token)
        rows = []
        for name, path in paths.items():
            weight = weigh(client, options.url + path)
            rows.append(
                {
                    "page": name,
                    "server ms": server_ms(client, options.url + path),
                    "statements": statements(inside, path),
                    "kB": weight.total / 1000,
                    "of it HTML": weight.page / 1000,
                    "CSS": weight.styles / 1000,
                    "scripts": weight.scripts / 1000,
                    "first paint ms": paints.get(options.url + path, ""),
                }
            )
    print(table(rows), flush=True)
    missed = [
        f"{row['page']}: {key} {row[key]}" for row in rows for key, bar in BARS.items() if float(row[key] or 0) > bar
    ]
    print(f"\nBars: {BARS}. " + ("Missed: " + "; ".join(missed) if missed else "All met."), flush=True)
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
