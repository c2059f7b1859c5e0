"""The page an answer holds: who gets it, and under which policy it comes whatever an administrator wrote."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from chat.models import Chat, Message
from chat.views.artifacts import sandboxed
from owui.lib import packaged
from tests.factories.accounts import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Any:
    return UserFactory()


@pytest.fixture
def answers(owner: Any) -> list[Message]:
    chat = Chat.objects.create(owner=owner, title="Pages")
    made: list[Message] = []
    for text in ("```html\n<h1>One</h1>\n```", "nothing", "```svg\n<svg id='two'></svg>\n```"):
        parent = made[-1] if made else None
        made.append(Message.objects.create(chat=chat, author="assistant", parent=parent, content=text, model_id="m"))
    Chat.objects.filter(pk=chat.pk).update(current=made[-1])
    return made


def _at(message: Message, end: str = "") -> str:
    return f"/c/{message.chat_id}/messages/{message.pk}/artifact{end}"


def test_the_panel_knows_the_versions(client_for: Any, owner: Any, answers: list[Message]) -> None:
    client = client_for(owner)
    html = client.get(_at(answers[2])).content.decode()
    assert "2/2" in html and _at(answers[0]) in html and 'sandbox="allow-scripts"' in html
    assert "&lt;svg id=&#x27;two&#x27;&gt;" in html
    assert client.get(_at(answers[1])).status_code == 404


def test_panels_cost_the_same_in_long_chats(
    client_for: Any, owner: Any, answers: list[Message], django_assert_max_num_queries: Any
) -> None:
    leaf = answers[-1]
    for _number in range(40):
        leaf = Message.objects.create(chat=leaf.chat, author="assistant", parent=leaf, content=answers[0].content)
    Chat.objects.filter(pk=leaf.chat_id).update(current=leaf)
    client = client_for(owner)
    with django_assert_max_num_queries(12):
        assert "42/42" in client.get(_at(leaf)).content.decode()


def test_the_page_is_a_stranger(client_for: Any, owner: Any, answers: list[Message]) -> None:
    client = client_for(owner)
    response = client.get(_at(answers[0], "/page"))
    policy = response["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts; frame-ancestors 'self'; default-src 'none'")
    assert "allow-same-origin" not in policy and response["X-Frame-Options"] == "SAMEORIGIN"
    download = client.get(_at(answers[2], "/page?download"))
    assert download["Content-Disposition"] == 'attachment; filename="artifact.svg"'
    assert download["Content-Security-Policy"].startswith("sandbox")
    client = client_for(UserFactory())
    assert client.get(_at(answers[0], "/page")).status_code == 404
    assert client.get(_at(answers[0])).status_code == 404


@pytest.mark.parametrize(
    "policy", ["img-src *", "x, default-src *", "a\r\nSet-Cookie: x=y", "img-src https://ü.example"]
)
def test_no_policy_takes_the_sandbox_away(policy: str) -> None:
    from django.http import HttpResponse

    found = sandboxed(HttpResponse(), policy)["Content-Security-Policy"]
    assert found.startswith("sandbox allow-scripts; frame-ancestors 'self'; ")
    assert "," not in found and "\n" not in found and found.isascii()


def test_the_room_for_diagrams_is_served_by_us_alone(client: Client) -> None:
    response = client.get("/c/diagrams")
    assert response.status_code == 200
    assert "packages/mermaidx/assets/mermaid" in response.content.decode()
    policy = response["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts") and "http" not in policy and "connect-src" not in policy


@pytest.mark.django_db
def test_the_room_for_python_reaches_the_files_of_pyodide_and_nothing_else(alice: Any, client_for: Any) -> None:
    response = client_for(alice).get("/c/python")
    policy = dict(part.strip().partition(" ")[::2] for part in response["Content-Security-Policy"].split(";"))
    assert policy["sandbox"] == "allow-scripts" and policy["default-src"] == "'none'"
    assert policy["worker-src"] == "blob:" and "img-src" not in policy
    scripts, fetched = policy["script-src"].split(), policy["connect-src"].split()
    assert len(fetched) == 3 and all("/static/packages/flet_web/web/pyodide/p" in url for url in fetched)
    assert [url for url in scripts if not url.startswith("http://testserver/static/")] == ["'wasm-unsafe-eval'"]
    assert "'self'" not in scripts + fetched and len(scripts) == 5
    page = client_for(alice).get("/")
    assert "data-code-run" in page.content.decode()
    assert "wasm" not in page["Content-Security-Policy"] and "unsafe" not in page["Content-Security-Policy"]


@pytest.mark.django_db
@pytest.mark.parametrize(("key", "value"), [("enable", False), ("engine", "jupyter")])
def test_python_is_not_run_in_the_browser_where_that_is_off(
    alice: Any, client_for: Any, set_config: Any, key: str, value: Any
) -> None:
    set_config(f"code_execution.{key}", value)
    assert client_for(alice).get("/c/python").status_code == 404
    html = client_for(alice).get("/").content.decode()
    assert "data-code-run" not in html and "owui/run" not in html


def test_without_the_package_there_is_no_button(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)
    assert packaged.urls_of("flet_web") == [] and packaged.url_of("flet_web") == ""


def test_only_the_named_files_of_packages_are_served() -> None:
    from django.contrib.staticfiles import finders

    assert finders.find("packages/flet_web/web/pyodide/pyodide.asm.wasm")
    assert not finders.find("packages/flet_web/web/index.html")

    assert finders.find("packages/mermaidx/assets/mermaid.js")
    assert not finders.find("packages/mermaidx/__init__.py")
    assert not finders.find("packages/mermaidx/../mermaidx/__init__.py")
