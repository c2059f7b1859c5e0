"""Fills an empty, migrated database for `tests.bench.rbac_load`: people, groups, models, knowledge bases, grants.

    python -m tests.bench.rbac_seed --out tokens.json

Rows go in by bulk inserts; only what a request looks at is made: no passwords, no documents. Each model and knowledge
base is readable by five groups and five people, so that somebody in 20 of 500 groups reads a fifth of them.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

BASES = ("mock-small", "mock-large")
MODEL_META = {
    "profile_image_url": "/static/favicon.png",
    "description": "A bench preset " + "x" * 200,
    "capabilities": {"vision": True, "citations": True},
    "tags": [{"name": "bench"}],
}
MODEL_PARAMS = {"system": "You are a bench preset. " + "y" * 400, "temperature": 0.5}
#: what the pages of the administration are tried with
BIG_GROUP, BIG_MODEL = "Everybody on the site", "busy"


def main() -> None:
    import django

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where the tokens of those who ask are written")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=500)
    parser.add_argument("--member-of", type=int, default=20)
    parser.add_argument("--models", type=int, default=5_000)
    parser.add_argument("--knowledge", type=int, default=5_000)
    parser.add_argument("--grants-each", type=int, default=5, help="groups, and as many people, to read each object")
    parser.add_argument("--readers", type=int, default=20, help="how many tokens")
    parser.add_argument("--read", type=int, default=951, help="models that the first of them reads, as near as can be")
    options = parser.parse_args()
    django.setup()
    began = time.monotonic()
    counts = seed(options)
    print(", ".join(f"{count} {name}" for name, count in counts.items()), f"in {time.monotonic() - began:.0f} s")


def seed(options: argparse.Namespace) -> dict[str, int]:
    """Everything in one transaction; the same rows on every machine."""
    from django.db import connection, transaction

    from accounts.models import User
    from inference.models import AIModel, AIModelGroupGrant, AIModelUserGrant
    from knowledge.models import KnowledgeBase, KnowledgeBaseGroupGrant, KnowledgeBaseUserGrant
    from rbac.models import Group, GroupAncestry, Membership

    rng = random.Random(1)
    with transaction.atomic():
        admin = User.objects.create_user("admin@bench.test", "benchmark", name="Admin", role="admin")
        users = _made(User, ({"email": f"u{i}@bench.test", "name": f"User {i}", "role": "user", "password": "!"}
                             for i in range(options.users)))  # fmt: skip
        groups = _made(Group, ({"name": f"Group {i}"} for i in range(options.groups)))
        big = _made(Group, [{"name": BIG_GROUP}])
        _made(GroupAncestry, ({"group": g, "ancestor": g} for g in (*groups, *big)), ignore_conflicts=True)
        count = min(options.member_of, len(groups))
        _made(Membership, ({"user": u, "group": g} for u in users for g in rng.sample(groups, count)))
        _made(Membership, ({"user": u, "group": big[0]} for u in users[:2000]))
        bases = _made(AIModel, ({"model_id": b, "name": b, "owner": admin, "general_access": "read"} for b in BASES))
        shape = {"owner": admin, "base_model": bases[0], "meta": MODEL_META, "params": MODEL_PARAMS}
        models = _made(AIModel, ({"model_id": f"bench-{i}", "name": f"Preset {i}", **shape}
                                 for i in range(options.models)))  # fmt: skip
        kbs = _made(KnowledgeBase, ({"name": f"Knowledge {i}", "description": "bench " + "z" * 100, "owner": admin}
                                    for i in range(options.knowledge)))  # fmt: skip
        grants = 0
        for objects, by_group, by_user in (
            (models, AIModelGroupGrant, AIModelUserGrant),
            (kbs, KnowledgeBaseGroupGrant, KnowledgeBaseUserGrant),
        ):
            grants += _grant(rng, by_group, "group", objects, groups, options.grants_each)
            grants += _grant(rng, by_user, "user", objects, users, options.grants_each)
        busy = _made(AIModel, [{"model_id": BIG_MODEL, "name": "Busy", **shape}])
        grants += _grant(rng, AIModelUserGrant, "user", busy, users, min(200, len(users)))
        _write_tokens(options, admin, rng.sample(users, min(len(users), 50 * options.readers)))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return {"users": len(users), "groups": len(groups), "models": len(models), "knowledge bases": len(kbs)} | {
        "grants": grants
    }


def _made(model: Any, rows: Iterable[dict[str, Any]], **options: Any) -> list[Any]:
    return list(model._default_manager.bulk_create([model(**row) for row in rows], batch_size=5000, **options))


def _grant(rng: random.Random, table: Any, kind: str, objects: list[Any], principals: list[Any], each: int) -> int:
    """Reading for so many principals of each object."""
    from django.contrib.auth.models import Permission

    name = table._meta.get_field("content_object").related_model._meta.model_name
    permission = Permission.objects.get(codename=f"view_{name}")

    def rows() -> Iterator[dict[str, Any]]:
        for thing in objects:
            for principal in rng.sample(principals, min(each, len(principals))):
                yield {"content_object": thing, kind: principal, "permission": permission}

    return len(_made(table, rows()))


def _write_tokens(options: argparse.Namespace, admin: Any, candidates: list[Any]) -> None:
    """Tokens of those candidates who read nearest to the wanted number of models."""
    from accounts.tokens import issue
    from inference.models import AIModel

    def far(user: Any) -> int:
        return abs(AIModel.objects.readable_by(user).count() - options.read)

    chosen = sorted(candidates[: 5 * options.readers], key=far)[: options.readers]
    people = [{"id": str(user.pk), "token": issue(user, auth_method="bench")[0]} for user in chosen]
    body = {"users": people, "admin": {"id": str(admin.pk), "token": issue(admin, auth_method="bench")[0]}}
    options.out.write_text(json.dumps(body))


if __name__ == "__main__":
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "owui.settings")
    main()
