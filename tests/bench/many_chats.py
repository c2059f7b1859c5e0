"""One person with very many chats: how long the list and the search take in the server, and by which plan.

    python -m tests.bench.many_chats --chats 100000

Starts a PostgreSQL of its own, as the tests do. Each chat has four messages of 300 to 2,000 characters.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

# The servers of a test run, started before Django reads its settings.
import tests.plugin  # noqa: F401, I001

QUERIES = (
    "common",
    "every50",
    "every2000",
    "needle",
    "common word0007",
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
        cursor.execute("VACUUM ANALYZE chat_chat")
        cursor.execute("VACUUM ANALYZE chat_message")
    return user


def timed(name: str, work: Callable[[], Any], rounds: int = 7) -> None:
    times = []
    for _round in range(rounds):
        began = time.perf_counter()
        result = work()
        times.append(1000 * (time.perf_counter() - began))
    print(f"{name:38} median {statistics.median(times):6.1f} ms  worst {max(times):6.1f} ms  {result}", flush=True)


def main() -> None:
    import django

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chats", type=int, default=100_000)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "owui.settings")
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from chat import search, selectors

    began = time.monotonic()
    user = seed(options.chats)
    print(f"seeded in {time.monotonic() - began:.0f} s", flush=True)
    timed("list", lambda: len(selectors.sidebar_of(user)["group_list"]))
    for query in QUERIES:
        asked = search.parse(query)
        timed(f"search {query}", lambda asked=asked: len(search.search_chats(user, asked).hits))
    explain(user)


def explain(user: Any) -> None:
    """The plan of a rare word, from the index."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from chat import search

    with CaptureQueriesContext(connection) as caught:
        search.search_chats(user, search.parse("needle"))
    for query in caught.captured_queries:
        if query["sql"].startswith("WITH said"):
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN (ANALYZE, COSTS OFF) " + query["sql"])
                print("\n".join(row[0] for row in cursor.fetchall()))


if __name__ == "__main__":
    main()
