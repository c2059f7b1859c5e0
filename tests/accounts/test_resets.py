"""A forgotten password: by mail through a real mail server, and by command."""

from __future__ import annotations

import email
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import policy
from pathlib import Path
from typing import Any

import pytest
from django.core import signing
from django.core.management import CommandError, call_command

from accounts import mail, reset_links, services, tasks
from accounts.models import SignInFailure, User
from owui.audit.models import AuditEvent
from owui.lib.errors import UserError
from tests.conftest import Api, token_for
from tests.factories.accounts import UserFactory
from tests.real.servers import Real, RealServer

pytestmark = pytest.mark.django_db
SITE = "https://chat.meridian.test"
NEW = "a new long password"


@pytest.fixture(scope="module")
def smtp() -> Iterator[RealServer]:
    with Real() as real:
        yield real.start("smtp")


@pytest.fixture
def mailing(smtp: RealServer, settings: Any, boot: Any, set_config: Any) -> RealServer:
    """Mail goes to the real server, and the task runs at once."""
    boot(email_host="127.0.0.1")
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", smtp.port, 5
    settings.DEFAULT_FROM_EMAIL = "chat@meridian.test"
    set_config("ui.url", SITE)
    for old in smtp.data.iterdir():
        old.unlink()
    return smtp


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would be given to a worker."""
    asked: list[list[str]] = []
    monkeypatch.setattr(tasks.send_reset_mail, "apply_async", lambda args, retry: asked.append(args))
    return asked


def letters(server: RealServer) -> list[Any]:
    return [
        email.message_from_bytes(path.read_bytes(), policy=policy.default) for path in sorted(server.data.glob("*.eml"))
    ]


def link_in(letter: Any) -> str:
    found = re.search(r"https?://\S+", letter.get_content())
    assert found is not None
    return found[0]


def test_the_mail_has_a_link_to_the_configured_address_whatever_host_was_asked(mailing, worker, client_for, alice):
    page = client_for().post("/auth/forgot", {"email": alice.email.upper()}, headers={"host": "evil.example"})
    assert page.status_code == 200 and worker == [[alice.email]], "and no secret goes to the broker"
    tasks.send_reset_mail.run(alice.email)
    (letter,) = letters(mailing)
    envelope = json.loads(next(Path(mailing.data).glob("*.json")).read_text())
    assert envelope["to"] == [alice.email] and letter["From"] == "chat@meridian.test"
    assert link_in(letter).startswith(f"{SITE}/auth/reset?token=") and "evil" not in letter.as_string()


def test_the_link_works_once_and_ends_every_session(mailing, client_for, alice):
    elsewhere = Api(token_for(alice))
    assert mail.send_reset(alice.email)
    path = link_in(letters(mailing)[0]).removeprefix(SITE)
    client = client_for()
    page = client.get(path)
    assert page.status_code == 200 and alice.email.encode() in page.content
    token = page.context["token"]
    done = client.post("/auth/reset", {"token": token, "new": NEW})
    assert done["Location"] == "/auth?error=password_changed" and "token" not in done.cookies
    alice.refresh_from_db()
    assert alice.check_password(NEW) and elsewhere.get("/api/v1/auths/").status_code == 401
    for answer in (client.get(path), client.post("/auth/reset", {"token": token, "new": "again and again"})):
        assert answer["Location"] == "/auth?error=reset_over"
    assert AuditEvent.objects.filter(action="user.password.reset", actor_id=alice.pk).count() == 1
    assert "token=" not in str(list(AuditEvent.objects.values_list("detail", flat=True)))


def test_a_link_that_is_altered_old_or_overtaken_is_refused(alice, bob, monkeypatch):
    token = reset_links.token_for(alice)
    assert reset_links.user_of(token) == alice
    forged = signing.dumps([str(bob.pk), "0" * 64], salt="owui.password-reset")
    for bad in (
        "",
        "x",
        token[:-1],
        token.replace(":", ";"),
        forged,
        signing.dumps(["x", "y"], salt="owui.password-reset"),
    ):
        assert reset_links.user_of(bad) is None
    later = time.time() + 3601
    monkeypatch.setattr(time, "time", lambda: later)
    assert reset_links.user_of(token) is None
    monkeypatch.undo()
    services.revoke_sessions(alice, by=alice)
    assert reset_links.user_of(token) is None, "ending all sessions ends open links"


def test_a_weak_password_is_refused_at_the_field_and_the_link_stays_good(mailing, client_for, alice, boot):
    boot(enable_password_validation=True, password_validation_hint="Twelve signs, please.")
    token = reset_links.token_for(alice)
    answer = client_for().post("/auth/reset", {"token": token, "new": "weak"})
    assert answer.status_code == 400 and answer.context["form"].errors["new"] == ["Twelve signs, please."]
    assert reset_links.user_of(token) == alice


def test_strangers_get_the_same_page_and_nobody_a_mail(mailing, worker, client_for, alice):
    off = UserFactory(is_active=False)
    by_sso = UserFactory(password=None)
    pages = set()
    for address in (alice.email, "nobody@example.org", off.email, by_sso.email):
        answer = client_for().post("/auth/forgot", {"email": address})
        (said,) = re.findall("<main.*</main>", answer.content.decode(), re.DOTALL)  # the rest holds a random token
        pages.add((answer.status_code, said.replace(address, "")))
        tasks.send_reset_mail.run(address)
    assert len(pages) == 1 and len(worker) == 4
    assert [letter["To"] for letter in letters(mailing)] == [alice.email]


def test_a_refused_recipient_and_a_server_that_is_down_are_logged_without_a_word_to_the_asker(
    mailing, settings, caplog
):
    gone = UserFactory(email="bounce.me@meridian.test")
    later = UserFactory(email="later.please@meridian.test")
    assert mail.send_reset(gone.email) is False
    with pytest.raises(mail.TryLater):
        mail.send_reset(later.email)
    settings.EMAIL_PORT = 1
    with pytest.raises(mail.TryLater):
        mail.send_reset(later.email)
    assert "refuses the address" in caplog.text and "could not be used" in caplog.text
    assert "token=" not in caplog.text and letters(mailing) == []


def test_without_a_broker_the_mail_goes_out_all_the_same(mailing, alice, monkeypatch):
    sent: list[str] = []
    monkeypatch.setattr(tasks.send_reset_mail, "apply_async", _broken)
    monkeypatch.setattr("accounts.services.resets._send", sent.append)
    services.request_reset(email=alice.email)
    deadline = time.monotonic() + 5
    while not sent and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sent == [alice.email]


def _broken(*_args: Any, **_kwargs: Any) -> None:
    raise ConnectionError("no broker")


def test_mails_are_few(mailing, worker, client_for, api_for, alice):
    for _try in range(5):
        assert client_for().post("/auth/forgot", {"email": alice.email}).status_code == 200
    assert len(worker) == 3
    for number in range(14):
        client_for().post("/auth/forgot", {"email": f"p{number}@example.org"})
    answers = {
        client_for().post("/auth/forgot", {"email": f"q{number}@example.org"}).status_code for number in range(3)
    }
    assert answers == {200, 429}
    SignInFailure.objects.update(at=SignInFailure.objects.earliest("at").at - timedelta(minutes=16))
    assert client_for().post("/auth/forgot", {"email": alice.email}).status_code == 200 and len(worker) > 3


@pytest.mark.parametrize("lacking", ["server", "address", "passwords"])
def test_the_page_is_offered_only_where_it_can_work(mailing, client_for, dana, boot, set_config, lacking):
    assert b"Forgot your password" in client_for().get("/auth").content
    change: dict[str, Callable[[], None]] = {
        "server": lambda: boot(email_host=""),
        "address": lambda: set_config("ui.url", ""),
        "passwords": lambda: boot(enable_password_auth=False),
    }
    change[lacking]()
    assert b"Forgot your password" not in client_for().get("/auth").content
    assert client_for().get("/auth/forgot")["Location"] == "/auth"
    with pytest.raises(UserError):
        services.request_reset(email=dana.email)


# ------------------------------------------------------------------------------------------------------------- command
def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("reset_password", *arguments, stdout=out)
    return out.getvalue().strip()


def test_the_operator_gets_a_link_or_sets_a_password(alice, set_config, monkeypatch, client_for):
    set_config("ui.url", SITE)
    link = run(alice.email.upper())
    assert link.startswith(SITE) and client_for().get(link.removeprefix(SITE)).status_code == 200
    assert AuditEvent.objects.get(action="user.password.link").actor_label == "system"
    session = Api(token_for(alice))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{NEW}\n"))
    assert "new password" in run(alice.email, "--password-stdin")
    assert User.objects.get(pk=alice.pk).check_password(NEW) and session.get("/api/v1/auths/").status_code == 401


def test_the_command_says_who_cannot_use_a_link(alice):
    for address, words in (("nobody@example.org", "no account"), (UserFactory(password=None).email, "no password")):
        with pytest.raises(CommandError, match=words):
            run(address)
