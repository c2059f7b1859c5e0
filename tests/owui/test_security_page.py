"""The page, the export and the command of the security status; and that no check disturbs another."""

from __future__ import annotations

import json
import logging
import re
from io import StringIO
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from owui.audit.models import AuditEvent
from owui.security import registry
from owui.security.checks.redis import redis_facts
from owui.security.registry import Check, Finding, Status, ok, run_checks
from tests.factories.accounts import UserFactory
from tests.factories.rbac import make_group

pytestmark = pytest.mark.django_db
PAGE, EXPORT = "/admin/security/", "/admin/security/export/"
CLOSED = "6.2.a"


def command(*args: str) -> tuple[str, int]:
    """What `manage.py security_check` prints, and its exit code."""
    out = StringIO()
    try:
        call_command("security_check", *args, stdout=out)
    except SystemExit as end:
        return out.getvalue(), int(str(end.code))
    except CommandError as error:
        return str(error), error.returncode
    return out.getvalue(), 0


@pytest.fixture
def odd_check(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Adds a check that does what it is told."""

    def add(look: Any) -> None:
        registry.all_checks()
        monkeypatch.setitem(registry._checks, "6.1.zz", Check("6.1.zz", "Odd", "Repair it.", look))

    return add


def test_the_page_shows_every_check_with_what_to_do(client_for: Any, dana: Any) -> None:
    response = client_for(dana).get(PAGE)
    text = response.content.decode()
    assert response.status_code == 200
    assert all(f'id="check-{check.id}"' in text for check in registry.all_checks())
    assert "Anybody who reaches the page can make an account." in text
    assert "Switch sign-up off" in text
    assert 'href="/admin/config/configvalue/auth/"' in text
    assert "(default)" in text
    assert "<style" not in text and " style=" not in text
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text)), "nothing that a CSP would stop"


def test_the_administration_leads_to_the_page(client_for: Any, dana: Any) -> None:
    assert f'href="{PAGE}"' in client_for(dana).get("/admin/").content.decode()


def test_what_is_good_can_be_left_out(client_for: Any, dana: Any) -> None:
    text = client_for(dana).get(f"{PAGE}?show=open").content.decode()
    assert f'id="check-{CLOSED}"' in text
    assert 'id="check-6.9.c"' not in text


@pytest.mark.parametrize("name", ["alice", "pending"])
def test_others_are_led_to_the_door(client_for: Any, people: Any, name: str) -> None:
    client = client_for(getattr(people, name))
    for response in (client.get(PAGE), client.post(EXPORT)):
        assert (response.status_code, response.url.partition("?")[0]) == (302, "/admin/login/")


def test_looking_is_not_audited_but_an_export_is(client_for: Any, dana: Any) -> None:
    client, events = client_for(dana), AuditEvent.objects.filter(action__startswith="security.")
    client.get(PAGE)
    assert not events.exists()
    response = client.post(EXPORT)
    assert response["Content-Disposition"].startswith("attachment")
    report = json.loads(response.content)
    assert {check["id"] for check in report["checks"]} == {check.id for check in registry.all_checks()}
    event = events.get()
    assert (event.action, event.actor_id, event.detail["counts"]) == ("security.exported", dana.pk, report["counts"])
    assert client.get(EXPORT).status_code == 405


def test_a_check_that_breaks_says_so_and_disturbs_no_other(odd_check: Any, people: Any) -> None:
    def broken() -> Finding:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere_at_all")
        return ok("")

    odd_check(broken)
    odd, other = sorted(run_checks({"6.1.zz", CLOSED}), key=lambda result: result.check.id)
    assert (odd.status, "Could not be checked" in odd.finding.found) == (Status.UNKNOWN, True)
    assert "nowhere_at_all" not in odd.finding.found, "the log has the details, not the page"
    assert other.status is Status.FAIL


def test_a_fault_in_the_code_of_a_check_is_logged(odd_check: Any, caplog: pytest.LogCaptureFixture) -> None:
    odd_check(lambda: 1 // 0)
    with caplog.at_level(logging.ERROR):
        (odd,) = run_checks({"6.1.zz"})
    assert odd.status is Status.UNKNOWN
    assert "6.1.zz" in caplog.text and "ZeroDivisionError" in caplog.text


def test_a_slow_query_is_given_up(odd_check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow() -> Finding:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")
        return ok("")

    odd_check(slow)
    monkeypatch.setattr(registry, "STATEMENT_TIMEOUT_MS", 20)
    (odd,) = run_checks({"6.1.zz"})
    assert "took too long" in odd.finding.found
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")


def test_two_checks_cannot_share_a_number() -> None:
    registry.all_checks()
    with pytest.raises(TypeError, match=CLOSED):
        registry.check(CLOSED, "Another", repair="")(lambda: ok(""))


def test_redis_tells_its_limits() -> None:
    facts = redis_facts()
    assert facts.fault == ""
    assert facts.config["maxclients"].isdigit()
    assert "requirepass" not in facts.config


@pytest.mark.parametrize(
    ("error", "is_forbidden"), [(redis.exceptions.NoPermissionError("no"), True), (redis.TimeoutError("no"), False)]
)
def test_redis_may_refuse_or_be_away(monkeypatch: pytest.MonkeyPatch, error: Exception, is_forbidden: bool) -> None:
    class Silent:
        def config_get(self, name: str) -> None:
            raise error

    monkeypatch.setattr("owui.security.checks.redis.connection", Silent)
    facts = redis_facts()
    assert (bool(facts.fault), facts.is_forbidden, facts.config) == (True, is_forbidden, {})


def test_no_secret_is_ever_shown(
    people: Any, set_config: Any, boot: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "Hush7secret"
    monkeypatch.setenv("WEBUI_ADMIN_PASSWORD", secret)
    monkeypatch.setenv("HF_TOKEN", secret)
    settings.SECRET_KEY = secret
    boot(websocket_redis_url=f"redis://x:{secret}@10.0.0.5:6379/0")
    set_config("openai.enable", True)
    set_config("openai.api_base_urls", [f"http://u:{secret}@8.8.8.8/{secret}"])
    set_config("openai.api_keys", [secret])
    set_config("ui.webhook_url", f"https://hooks.slack.com/{secret}")
    report = json.dumps(registry.as_report(run_checks()))
    assert secret not in report
    assert settings.DATABASES["default"]["PASSWORD"] not in report
    assert "8.8.8.8" in report, "where it goes is told"


def test_the_number_of_queries_does_not_follow_the_number_of_people(people: Any) -> None:
    def queries() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            run_checks()
        # Stored settings are read again after a second, whoever asks.
        sql = [query["sql"] for query in captured if "config_configvalue" not in query["sql"]]
        return [query.partition(" WHERE ")[0] for query in sql if "SAVEPOINT" not in query]

    make_group(permissions={"workspace": {"tools": True}})
    run_checks()
    before = queries()
    for number in range(30):
        UserFactory(role="admin" if number % 2 else "user")
        make_group(permissions={"workspace": {"tools": True}})
    assert queries() == before


def test_the_command_ends_with_one_when_something_fails(people: Any) -> None:
    text, code = command()
    assert code == 1
    assert "Sign-up is closed" in text and "→ Switch sign-up off" in text
    assert "HttpOnly" not in text, "what is good is left out"
    assert "HttpOnly" in command("--all")[0]


def test_the_command_ends_with_zero_when_all_is_well(people: Any, set_config: Any) -> None:
    set_config("auth.enable_signup", False)
    assert command("--only", CLOSED)[1] == 0


def test_warnings_and_the_unknown_count_only_when_strict(people: Any) -> None:
    for number in ("6.9.d", "6.5.a"):
        assert command("--only", number)[1] == 0
        assert command("--only", number, "--strict")[1] == 1
    assert command("--only", "6.9.c", "--strict")[1] == 0


def test_the_command_speaks_json(people: Any) -> None:
    text, code = command("--json")
    report = json.loads(text)
    found = {check["id"]: check for check in report["checks"]}[CLOSED]
    assert code == 1
    assert (found["status"], found["variables"], found["setting"]) == ("fail", ["ENABLE_SIGNUP"], "auth.enable_signup")
    assert report["counts"]["fail"] == sum(check["status"] == "fail" for check in report["checks"])


def test_the_command_ends_with_two_when_nothing_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("--only", "6.99.a")[1] == 2

    def away(ids: Any) -> None:
        raise OperationalError("connection to server failed: password=hush")

    monkeypatch.setattr("owui.security.management.commands.security_check.run_checks", away)
    text, code = command()
    assert code == 2
    assert "hush" not in text


def test_the_guide_has_a_row_for_every_check(settings: Any) -> None:
    rows = re.findall(r"^\| (6\.\d+\.\w+) \|", (settings.BASE_DIR / "docs" / "security.md").read_text(), re.MULTILINE)
    assert rows == [check.id for check in registry.all_checks()]
