"""What a directory's client waits for with ten thousand people, and how many statements each call asks.

    python -m tests.bench.scim_calls

Fills the empty, migrated database of the environment, which also has to set ENABLE_SCIM and SCIM_TOKEN. Calls are asked
of Django itself, without a server. Of three rounds the fastest counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.bench.common import table

BASE = "/api/v1/scim/v2"


def seed(people: int) -> list[str]:
    """So many people whom SCIM owns, each with two addresses and an externalId. Their ids."""
    from accounts.models import ExternalLogin, ScimAccount, ScimEmail, User

    made = [User(email=f"s{n}@bench.test", name=f"Person {n}", role="user") for n in range(people)]
    User.objects.bulk_create(made, batch_size=1000)
    accounts = [ScimAccount(user=user, user_name=user.email, display_name=user.name) for user in made]
    ScimAccount.objects.bulk_create(accounts, batch_size=1000)
    ScimEmail.objects.bulk_create(
        (
            ScimEmail(account=account, value=f"{kind}-{account.user_name}", type=kind, is_primary=kind == "work")
            for account in accounts
            for kind in ("work", "home")
        ),
        batch_size=1000,
    )
    ExternalLogin.objects.bulk_create(
        (ExternalLogin(user=user, provider="scim:default", subject=f"e{n}") for n, user in enumerate(made)),
        batch_size=1000,
    )
    analyse()
    return [str(user.pk) for user in made]


def analyse() -> None:
    """What PostgreSQL does by itself within a minute of a large change."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def measure(name: str, call: Callable[[], Any], *, rounds: int = 3) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    times = []
    for _ in range(rounds):
        with CaptureQueriesContext(connection) as captured:
            began = time.monotonic()
            response = call()
            times.append((time.monotonic() - began) * 1000)
        assert response.status_code < 300, response.content[:500]
    return {"call": name, "ms": round(min(times)), "statements": len(captured), "kB": len(response.content) // 1000}


def calls(token: str, people: int = 10_000) -> list[dict[str, Any]]:
    from django.test import Client

    client = Client(headers={"authorization": f"Bearer {token}"})
    ids = seed(people)

    def send(verb: str, path: str, body: Any) -> Any:
        return getattr(client, verb)(BASE + path, json.dumps(body), content_type="application/scim+json")

    def change(path: str, *operations: dict[str, Any]) -> Any:
        return send("patch", path, {"Operations": list(operations)})

    def page(**asked: Any) -> Callable[[], Any]:
        return lambda: client.get(f"{BASE}/Users", asked)

    group = send("post", "/Groups", {"displayName": "Bench"}).json()["id"]
    path = f"/Groups/{group}"
    thousand = [{"value": pk} for pk in ids[:1000]]
    everybody = [{"value": pk} for pk in ids]
    add = {"op": "add", "path": "members"}
    gone = {"op": "remove", "path": "members"}
    found = [
        measure("people, page of 100", page(count=100)),
        measure("people, last page of 100", page(count=100, startIndex=people - 99)),
        measure("people, 100, userName alone", page(count=100, attributes="userName")),
        measure("people, userName eq", page(filter='userName eq "s4711@bench.test"')),
        measure("people, externalId eq", page(filter='externalId eq "e4711"')),
        measure("people, emails value path", page(filter='emails[type eq "home" and value co "s4711@"]')),
        measure("person, active false", lambda: change(f"/Users/{ids[5]}", _active(False)), rounds=1),
        measure("person, active true", lambda: change(f"/Users/{ids[5]}", _active(True)), rounds=1),
        measure("group, add 1,000 members", lambda: change(path, add | {"value": thousand}), rounds=1),
        measure("group, add 1 to 1,000", lambda: change(path, add | {"value": everybody[2000:2001]}), rounds=1),
        measure("group, remove 1 by value path", lambda: change(path, _without(ids[7])), rounds=1),
        measure("group, with 1,000 members", lambda: client.get(BASE + path)),
        measure("group, replace by 1,000 others", lambda: change(path, _others(everybody[5000:6000])), rounds=1),
        measure("group, add 10,000 members", lambda: change(path, add | {"value": everybody}), rounds=1),
        measure("group, add 1 to 10,000, at once", lambda: change(path, add | {"value": everybody[:1]}), rounds=1),
        measure("group, with 10,000 members", lambda: client.get(BASE + path)),
    ]
    analyse()
    return [*found, measure("group, remove all 10,000", lambda: change(path, gone), rounds=1)]


def _active(value: bool) -> dict[str, Any]:
    return {"op": "replace", "path": "active", "value": value}


def _without(pk: str) -> dict[str, Any]:
    return {"op": "remove", "path": f'members[value eq "{pk}"]'}


def _others(members: list[dict[str, str]]) -> dict[str, Any]:
    return {"op": "replace", "path": "members", "value": members}


def main() -> None:
    import django

    django.setup()
    from accounts.config import ScimConfig

    print(table(calls(ScimConfig.load().token)))


if __name__ == "__main__":
    main()
