"""How long the pages of the administration take on a filled database, and how many statements each asks.

    python -m tests.bench.admin_pages --tokens tokens.json

Needs the database of `tests.bench.rbac_seed` in the environment. Pages are asked of Django itself, without a server:
what is measured is their making. Of three rounds the fastest counts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.common import table
from tests.bench.rbac_seed import BIG_GROUP, BIG_MODEL


def pages() -> Iterator[tuple[str, str]]:
    """Each list, the same list searched, and one page of the largest objects."""
    from django.contrib import admin
    from django.urls import reverse

    from accounts.models import User
    from inference.models import AIModel
    from knowledge.models import KnowledgeBase
    from rbac.models import Group

    for model, model_admin in sorted(admin.site._registry.items(), key=lambda item: item[0]._meta.label):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield f"{model._meta.label} list", reverse(f"{name}_changelist")
        if model_admin.search_fields:
            yield f"{model._meta.label} search", reverse(f"{name}_changelist") + "?q=99"
    yield "access map", reverse("governance:map")
    yield "permission matrix", reverse("governance:matrix")
    largest = (
        (User, User.objects.filter(email="u1@bench.test")),
        (Group, Group.objects.filter(name=BIG_GROUP)),
        (AIModel, AIModel.objects.filter(model_id=BIG_MODEL)),
        (KnowledgeBase, KnowledgeBase.objects.order_by("name")),
    )
    for model, rows in largest:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
        yield f"{model._meta.label} page", reverse(name, args=[rows.values_list("pk", flat=True)[0]])


def measure(client: Any, path: str) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    times = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as captured:
            began = time.monotonic()
            response = client.get(path)
            times.append((time.monotonic() - began) * 1000)
    slowest = max((float(query["time"]) * 1000 for query in captured), default=0.0)
    return {"status": response.status_code, "kB": len(response.content) / 1000, "ms": min(times)} | {
        "statements": len(captured),
        "slowest statement ms": slowest,
    }


def main() -> None:
    import django

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=Path, required=True)
    options = parser.parse_args()
    django.setup()
    from django.test import Client

    client = Client(headers={"sec-fetch-site": "same-origin"}, SERVER_NAME="127.0.0.1")
    client.cookies["token"] = json.loads(options.tokens.read_text())["admin"]["token"]
    print(table([{"page": name} | measure(client, path) for name, path in pages()]))


if __name__ == "__main__":
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "owui.settings")
    main()
