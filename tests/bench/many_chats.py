"""One person with very many chats: how long the list and the search take in the server, and by which plan; and what
the index under the search costs whoever writes.

    make bench ARGS="--chats"

Starts a PostgreSQL of its own, as the tests do. Each chat has four messages of 300 to 2,000 characters.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The servers of a test run, started before Django reads its settings.
import tests.plugin  # noqa: F401, I001

#: for the list and for each search, in the server
BAR_MS = 100.0
QUERIES = (
    "common",
    "every50",
    "every2000",
    "needle",
    "common word0007",
    "word0007 word0008",
    "absent word0007",
    "every2000 tag:t1",
    "会議",
    "zz",
    "absentword",
)


def seed(chats: int) -> Any:
    """Rows by COPY; the rarer a word, the more its name says so."""
    import uuid
    from datetime import timedelta

    from django.db import connection
    from django.utils import timezone

    from tests.factories.accounts import UserFactory

    rng = random.Random(1)
    words = [f"word{n:04}" for n in range(4000)]
    user = UserFactory()
    now = timezone.now()
    with connection.cursor() as cursor:
        # Filled first and indexed then: five times as fast.
        names = ["chat_message_said", "chat_title_words"]
        cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE indexname = ANY(%s)", [names])
        indexes = cursor.fetchall()
        for name, _definition in indexes:
            cursor.execute(f"DROP INDEX {name}")
        keys = []
        with cursor.copy(
            "COPY chat_chat (id, owner_id, title, model_ids, params, meta, pinned, archived, created_at, updated_at)"
            " FROM STDIN"
        ) as copy:
            for n in range(chats):
                keys.append(uuid.UUID(int=rng.getrandbits(128), version=4))
                at = now - timedelta(minutes=5 * n)
                meta = f'{{"tags": ["t{n % 7}"]}}'
                copy.write_row(
                    (keys[-1], user.pk, " ".join(rng.choices(words, k=4)), "[]", "{}", meta, False, False, at, at)
                )
        with cursor.copy(
            "COPY chat_message (id, chat_id, author, content, reasoning, model_id, model_name, state, error, files,"
            " status_history, usage, meta, created_at, updated_at) FROM STDIN"
        ) as copy:
            for n, key in enumerate(keys):
                at = now - timedelta(minutes=5 * n)
                for place in range(4):
                    text = rng.choices(words, k=rng.randint(30, 220))
                    text += ["common"] if place == 1 else []
                    text += [f"every{step}" for step in (50, 2000) if n % step == step - 1 and place == 3]
                    text += ["needle"] if n == chats - 5 and place == 2 else []
                    text += ["会議"] if n % 900 == 899 else []
                    role = "assistant" if place % 2 else "user"
                    copy.write_row(
                        (uuid.UUID(int=rng.getrandbits(128), version=4), key, role, " ".join(text), "", "", "", "done",
                         "", "[]", "[]", "{}", "{}", at, at)
                    )  # fmt: skip
        for _name, definition in indexes:
            cursor.execute(definition)
        cursor.execute("VACUUM ANALYZE chat_chat")
        cursor.execute("VACUUM ANALYZE chat_message")
    return user


def timed(name: str, work: Callable[[], Any], rounds: int = 7) -> bool:
    """Prints it; False when it missed the bar."""
    times = []
    for _round in range(rounds):
        began = time.perf_counter()
        result = work()
        times.append(1000 * (time.perf_counter() - began))
    median = statistics.median(times)
    mark = "" if median < BAR_MS else f"  MISSED: {BAR_MS} ms"
    print(f"{name:38} median {median:6.1f} ms  worst {max(times):6.1f} ms  {result}{mark}", flush=True)
    return median < BAR_MS


def main() -> None:
    import django

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chats", type=int, default=100_000)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "owui.settings")
    django.setup()
    from django.core.management import call_command
    from django.urls import reverse

    call_command("migrate", verbosity=0)
    reverse("chat:chat-new")  # reads every module of the routes, once
    from chat import search, selectors

    began = time.monotonic()
    user = seed(options.chats)
    print(f"seeded in {time.monotonic() - began:.0f} s", flush=True)
    kept = [timed("list", lambda: len(selectors.sidebar_of(user)["group_list"]))]
    for query in QUERIES:
        asked = search.parse(query)
        kept.append(timed(f"search {query}", lambda asked=asked: len(search.search_chats(user, asked).hits)))
    explain(user)
    write_cost()
    raise SystemExit(0 if all(kept) else 1)


def explain(user: Any) -> None:
    """The plan of two words, from the index."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from chat import search

    with CaptureQueriesContext(connection) as caught:
        search.search_chats(user, search.parse("word0007 word0008"))
    for query in caught.captured_queries:
        if query["sql"].startswith("WITH said"):
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN (ANALYZE, COSTS OFF) " + query["sql"])
                print("\n".join(row[0][:160] for row in cursor.fetchall()))


def write_cost(rows: int = 20_000, updates: int = 2_000) -> None:
    """What the index of words costs the end of an answer: the database's own processor time for one update of a text,
    without and with it, whatever else the machine does meanwhile."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'chat_message_said'")
        (index,) = cursor.fetchone()
        cursor.execute("SELECT content FROM chat_message ORDER BY id DESC LIMIT %s", [updates])
        texts = [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
        for name in ("without", "with"):
            table = f"written_{name}"
            cursor.execute(f"CREATE TABLE {table} AS SELECT id, content FROM chat_message ORDER BY id LIMIT {rows}")
            cursor.execute(f"ALTER TABLE {table} ADD PRIMARY KEY (id)")
            if name == "with":
                cursor.execute(index.replace("chat_message_said", "written_said").replace("public.chat_message", table))
            cursor.execute(f"VACUUM ANALYZE {table}")
            cursor.execute(f"SELECT id FROM {table} LIMIT %s", [updates])
            keys = [row[0] for row in cursor.fetchall()]
            began = _processor_ms(pid)
            for key, text in zip(keys, texts, strict=True):
                cursor.execute(f"UPDATE {table} SET content = %s WHERE id = %s", [text, key])
            spent = (_processor_ms(pid) - began) / updates
            cursor.execute(f"SELECT pg_size_pretty(pg_indexes_size('{table}'))")
            print(f"update {name} the index of words: {spent:.2f} ms of processor, indexes {cursor.fetchone()[0]}")


def _processor_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
