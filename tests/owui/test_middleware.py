"""The handler of the site answers as Django's own does, with fewer changes of thread."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.contrib import messages
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.urls import path
from django.utils.translation import get_language
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt

from owui.middleware import ON_LOOP, Handler

TOKEN = "a" * 32
FORM = "application/x-www-form-urlencoded"


async def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{get_language()} {len(get_token(request))}")


def sync_page(request: HttpRequest) -> HttpResponse:
    request.session["seen"] = "yes"
    messages.info(request, "Saved.")
    return HttpResponse("done")


@xframe_options_exempt
async def framed(request: HttpRequest) -> HttpResponse:
    return HttpResponse("framed")


async def named(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(name)


urlpatterns = [
    path("page/", page),
    path("named/<str:name>/", named),
    path("sync/", sync_page),
    path("framed/", framed),
    path("open/", csrf_exempt(sync_page)),
]


@pytest.fixture(autouse=True)
def _site(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.CSRF_FAILURE_VIEW = "django.views.csrf.csrf_failure"
    settings.APPEND_SLASH = True
    settings.ALLOWED_HOSTS = ["good.example"]


async def ask(
    handler: ASGIHandler, method: str, where: str, *, body: bytes = b"", **headers: str
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body; what differs between any two requests is left out of the headers."""
    sent = {"host": "good.example", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": method,
        "path": where,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }
    talk = ApplicationCommunicator(handler, scope)
    await talk.send_input({"type": "http.request", "body": body})
    start = await talk.receive_output(10)
    content = (await talk.receive_output(10))["body"]
    await talk.wait(10)
    kept = [(name.lower(), _comparable(value)) for name, value in start["headers"] if name.lower() != b"x-request-id"]
    return start["status"], sorted(kept), content


def _comparable(value: bytes) -> bytes:
    """A cookie without its value, which is signed with the time or drawn by lot."""
    name, is_cookie, rest = value.partition(b"=")
    return name + rest.partition(b";")[2].partition(b"expires=")[0] if is_cookie and b"Path=/" in rest else value


REQUESTS: list[tuple[int, str, str, dict[str, Any]]] = [
    (200, "GET", "/page/", {}),
    (200, "GET", "/page/", {"accept_language": "de"}),
    (200, "HEAD", "/page/", {}),
    (301, "GET", "/page", {}),
    (404, "GET", "/nothing/", {}),
    (400, "GET", "/page/", {"host": "evil.example"}),
    (200, "GET", "/sync/", {}),
    (200, "GET", "/framed/", {}),
    (403, "POST", "/sync/", {}),
    (403, "POST", "/page/", {"cookie": f"csrftoken={TOKEN}"}),
    (403, "POST", "/page/", {"cookie": f"csrftoken={TOKEN}", "x_csrftoken": "b" * 32}),
    (403, "POST", "/page/", {"cookie": f"csrftoken={TOKEN}", "x_csrftoken": TOKEN, "origin": "http://evil.example"}),
    (200, "POST", "/page/", {"cookie": f"csrftoken={TOKEN}", "x_csrftoken": TOKEN}),
    (200, "POST", "/sync/", {"cookie": f"csrftoken={TOKEN}", "content_type": FORM,
                             "body": b"csrfmiddlewaretoken=" + TOKEN.encode()}),
    (200, "POST", "/open/", {}),
    (403, "DELETE", "/page/", {}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "method", "where", "sent"), REQUESTS)
async def test_answers_are_those_of_djangos_handler(status: int, method: str, where: str, sent: dict[str, Any]) -> None:
    expected = await ask(ASGIHandler(), method, where, **sent)
    found = await ask(Handler(), method, where, **sent)
    assert found == expected
    assert found[0] == status
    if status == 200:
        names = {name for name, _value in found[1]}
        assert {b"x-content-type-options", b"referrer-policy", b"content-security-policy"} <= names
        assert (b"x-frame-options" in names) == (where != "/framed/")


async def test_async_pages_change_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_arguments: Any, **_options: Any) -> Any:
        raise AssertionError("a hook went through a thread")

    monkeypatch.setattr("django.utils.deprecation.sync_to_async", never)
    monkeypatch.setattr("django.core.handlers.base.sync_to_async", never)
    assert (await ask(Handler(), "GET", "/page/"))[0] == 200


@pytest.mark.parametrize("where", ["/page/", "/sync/"])
async def test_forms_are_read_in_a_thread(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    threads: list[int] = []
    check = CsrfViewMiddleware._check_token

    def noted(self: Any, request: HttpRequest) -> None:
        threads.append(threading.get_ident())
        check(self, request)

    monkeypatch.setattr(CsrfViewMiddleware, "_check_token", noted)
    assert (await ask(Handler(), "POST", where, cookie=f"csrftoken={TOKEN}", x_csrftoken=TOKEN))[0] == 200
    assert len(threads) == 1 and threads[0] != threading.get_ident()


def test_settings_name_djangos_classes(settings: Any) -> None:
    before = list(settings.MIDDLEWARE)
    Handler()
    assert before == settings.MIDDLEWARE
    assert set(ON_LOOP) <= set(before)
    assert settings.SESSION_ENGINE == "django.contrib.sessions.backends.signed_cookies"
    assert settings.MESSAGE_STORAGE == "django.contrib.messages.storage.cookie.CookieStorage"


async def test_a_request_without_sync_code_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    assert (await ask(Handler(), "GET", "/page/"))[0] == 200
    assert not started
    assert (await ask(Handler(), "GET", "/sync/"))[0] == 200
    assert started


@pytest.mark.parametrize(("where", "own"), [("/page/", False), ("/sync/", True)])
async def test_the_end_is_told_once_where_the_view_ran(where: str, own: bool) -> None:
    ends: list[bool] = []

    def ended(**_more: Any) -> None:
        ends.append(threading.current_thread() is not threading.main_thread())

    request_finished.connect(ended)
    try:
        await ask(Handler(), "GET", where)
    finally:
        request_finished.disconnect(ended)
    assert ends == [own]


async def test_a_route_found_once_is_found_again_with_its_own_arguments() -> None:
    handler = Handler()
    assert [(await ask(handler, "GET", where))[2] for where in ("/named/a/", "/page/", "/named/b/", "/page/")] == [
        b"a",
        b"en 64",
        b"b",
        b"en 64",
    ]
