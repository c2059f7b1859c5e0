"""The first administrator and the last one: nobody takes the former's account, nothing removes the latter."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from accounts import services
from accounts.models import Session, User
from owui.lib.errors import Refused, UserError
from tests.conftest import token_for
from tests.factories.accounts import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def second(dana: Any) -> Any:
    return UserFactory(name="Second", role="admin")


def as_it_is(user: Any) -> tuple[Any, ...]:
    return tuple(User.objects.filter(pk=user.pk).values_list("role", "is_active", "name", "email", "password")[0])


@pytest.mark.parametrize("role", ["user", "admin", "pending"])
def test_later_accounts_get_the_default_role_and_group(dana, set_config, role):
    from tests.factories.rbac import make_group

    group = make_group("Everyone")
    set_config("auth.default_user_role", role)
    set_config("auth.default_group_id", str(group.pk))
    user = services.sign_up(name="Ana", email="ana@example.org", password=PASSWORD)
    assert user.role == role and list(user.direct_groups.all()) == [group]


@pytest.mark.parametrize("pk", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_a_default_group_that_is_gone_keeps_nobody_out(dana, set_config, pk):
    set_config("auth.default_group_id", pk)
    assert not services.sign_up(name="Ana", email="ana@example.org", password=PASSWORD).direct_groups.exists()


def test_nobody_else_touches_the_first_administrator_by_rest(api_for, dana, second):
    before, path = as_it_is(dana), f"/api/v1/users/{dana.pk}"
    token_for(dana)
    api = api_for(second)
    for change in ({"role": "user"}, {"name": "Other"}, {"email": "other@example.org"}, {"password": "other horse"}):
        assert api.post(f"{path}/update", change).status_code == 403
    assert api.post(f"{path}/sessions/revoke").status_code == 403
    assert api.delete(path).status_code == 403
    assert as_it_is(dana) == before and Session.objects.filter(user=dana, revoked_at=None).exists()


def test_nobody_else_touches_the_first_administrator_in_the_administration(client_for, dana, second):
    before, client = as_it_is(dana), client_for(second)
    token_for(dana)
    form = {"name": "Other", "email": dana.email, "role": "user", "new_password": "other horse"}
    client.post(f"/admin/accounts/user/{dana.pk}/change/", form)
    client.post(f"/admin/accounts/user/{dana.pk}/delete/", {"post": "yes"})
    selected = {"_selected_action": [str(dana.pk)]}
    client.post("/admin/accounts/user/", {"action": "delete_selected", "post": "yes", **selected})
    client.post("/admin/accounts/user/", {"action": "end_sessions", **selected})
    session = Session.objects.get(user=dana)
    client.post("/admin/accounts/session/", {"action": "end", "_selected_action": [str(session.pk)]})
    assert as_it_is(dana) == before and Session.objects.filter(user=dana, revoked_at=None).exists()


def test_the_first_administrator_does_not_step_down_either(api_for, dana, second):
    api = api_for(dana)
    assert api.post(f"/api/v1/users/{dana.pk}/update", {"role": "user"}).status_code == 403
    assert api.delete(f"/api/v1/users/{dana.pk}").status_code == 403
    with pytest.raises(CommandError, match="first administrator"):
        call_command("set_role", dana.email, "pending", stdout=io.StringIO())
    assert as_it_is(dana)[0] == "admin"


REMOVALS = {
    "demoted": "UPDATE accounts_user SET role = 'user'",
    "waiting": "UPDATE accounts_user SET role = 'pending'",
    "switched off": "UPDATE accounts_user SET is_active = false",
    "deleted": "DELETE FROM accounts_user",
}


@pytest.mark.parametrize("how", REMOVALS)
def test_raw_sql_cannot_remove_the_last_active_administrator(people, how):
    others = UserFactory(role="admin", is_active=False)
    with (
        pytest.raises(IntegrityError, match="last active administrator"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"{REMOVALS[how]} WHERE role = 'admin' AND is_active")
    assert as_it_is(people.dana)[:2] == ("admin", True)
    # What touches no active administrator is nobody's business.
    with connection.cursor() as cursor:
        cursor.execute(f"{REMOVALS[how]} WHERE id IN (%s, %s)", [others.pk, people.mallory.pk])
        assert cursor.rowcount == 2


@pytest.mark.parametrize("how", [how for how in REMOVALS if how != "deleted"])
def test_the_service_says_it_in_words(dana, second, how):
    """Dana is the first account; without her rank only the guard of the database is left."""
    User.objects.filter(pk=dana.pk).update(is_active=False)
    change: dict[str, Any] = {
        "demoted": {"role": "user"}, "waiting": {"role": "pending"}, "switched off": {"is_active": False},
    }[how]  # fmt: skip
    with pytest.raises(Refused, match="Make somebody else administrator first"):
        services.update_user(second, by=None, **change)
    assert as_it_is(second)[:2] == ("admin", True)


def test_a_swap_in_one_transaction_works_when_the_guard_waits_for_its_end(dana, bob):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS accounts_administrator_stays DEFERRED")
        cursor.execute("UPDATE accounts_user SET role = 'user' WHERE id = %s", [dana.pk])
        cursor.execute("UPDATE accounts_user SET role = 'admin' WHERE id = %s", [bob.pk])
        cursor.execute("SET CONSTRAINTS accounts_administrator_stays IMMEDIATE")
    assert (as_it_is(dana)[0], as_it_is(bob)[0]) == ("user", "admin")
    with (
        pytest.raises(IntegrityError, match="last active administrator"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SET CONSTRAINTS accounts_administrator_stays DEFERRED")
        cursor.execute("UPDATE accounts_user SET role = 'user' WHERE id = %s", [bob.pk])
        cursor.execute("SET CONSTRAINTS accounts_administrator_stays IMMEDIATE")


def _at_once(*work: Callable[[], Any]) -> list[str]:
    """Each in a thread with a connection of its own; what they raised, empty for success."""
    start, said = threading.Barrier(len(work)), [""] * len(work)

    def run(number: int) -> None:
        try:
            start.wait(10)
            work[number]()
        except UserError as error:
            said[number] = error.message
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return sorted(said)


@pytest.mark.django_db(transaction=True)
def test_of_two_administrators_who_demote_each_other_one_is_told_why_not(people):
    one, two = (UserFactory(name=name, role="admin") for name in ("One", "Two"))
    User.objects.filter(pk=people.dana.pk).update(is_active=False)
    for _ in range(5):
        User.objects.filter(pk__in=[one.pk, two.pk]).update(role="admin")
        said = _at_once(
            lambda: services.update_user(two, by=one, role="user"),
            lambda: services.update_user(one, by=two, role="user"),
        )
        assert said[0] == "" and "last active administrator" in said[1]
        assert User.objects.filter(role="admin", is_active=True).count() == 1
