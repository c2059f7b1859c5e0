"""Fills an empty, migrated database for the streaming runs: ordinary people in groups, and a model they may use.

python -m tests.bench.people --out tokens.json --users 500
"""

from __future__ import annotations

import argparse
import json
import os
import random
from pathlib import Path


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "owui.settings")
    import django

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where their tokens are written, one list")
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--groups", type=int, default=20)
    options = parser.parse_args()
    django.setup()
    options.out.write_text(json.dumps(seed(options.users, options.groups)))


def seed(users: int, groups: int) -> list[str]:
    """Each person is in three groups, and reads the model by the grant of one of them."""
    from django.contrib.auth.models import Permission

    from accounts.models import User
    from accounts.tokens import issue
    from inference.models import AIModel, AIModelGroupGrant
    from rbac.models import Group, GroupAncestry, Membership

    rng = random.Random(1)
    admin = User.objects.create_user("admin@bench.test", "benchmark", name="Admin", role="admin")
    rows = [User(email=f"u{i}@bench.test", name=f"User {i}", role="user", password="!") for i in range(users)]
    people = User.objects.bulk_create(rows)
    made = Group.objects.bulk_create(Group(name=f"Group {i}") for i in range(groups))
    GroupAncestry.objects.bulk_create((GroupAncestry(group=g, ancestor=g) for g in made), ignore_conflicts=True)
    Membership.objects.bulk_create(Membership(user=u, group=g) for u in people for g in rng.sample(made, 3))
    model = AIModel.objects.create(model_id="mock-small", name="Mock", owner=admin)
    view = Permission.objects.get(codename="view_aimodel")
    AIModelGroupGrant.objects.bulk_create(
        AIModelGroupGrant(content_object=model, group=group, permission=view) for group in made
    )
    return [issue(user, auth_method="bench")[0] for user in people]


if __name__ == "__main__":
    main()
