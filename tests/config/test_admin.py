"""The pages of settings, through the admin's own machinery with a stand-in for the person."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.template import engines
from django.test import RequestFactory

from owui.config.admin import ConfigAdmin
from owui.config.models import ConfigValue

pytestmark = pytest.mark.django_db


class Person:
    id = pk = UUID(int=9)
    email = name = "dana@example.org"
    is_active = is_staff = is_authenticated = True
    is_anonymous = False
    has_usable_password = has_perm = has_module_perms = lambda self, *args: True
    get_short_name = get_username = lambda self: "Dana"

    def __init__(self, role: str = "admin") -> None:
        self.role = role


@pytest.fixture(autouse=True)
def _plain_templates(settings: Any) -> None:
    # The project's own context processors want a real person; the admin's needs are enough here.
    processors = ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth"]
    processors.append("django.contrib.messages.context_processors.messages")
    templates = [{**settings.TEMPLATES[0]}]
    templates[0]["OPTIONS"] = {**templates[0]["OPTIONS"], "context_processors": processors}
    settings.TEMPLATES = templates
    # Manifest storage wants collected files.
    settings.STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    assert engines.all()


def ask(prefix: str = "", data: dict[str, Any] | None = None, role: str = "admin") -> HttpResponse:
    factory = RequestFactory()
    request = factory.get("/") if data is None else factory.post("/", data)
    request.user = Person(role)  # type: ignore[assignment]
    request._messages = CookieStorage(request)  # type: ignore[attr-defined]
    page = ConfigAdmin(ConfigValue, admin.site)
    response: Any = page.section_change(request, prefix) if prefix else page.section_list(request)
    return response.render() if hasattr(response, "render") else response


FORM = {"top_k": "5", "limit": "", "ratio": "0.5", "is_on": "on", "engine": "good", "urls": "http://a\n\nhttp://b\n"}
FORM |= {"extra": '{"a": 1}', "api_key": "", "tokens": "", "fixed": "ignored"}


def test_the_list_leads_to_every_section(lab: Any) -> None:
    text = ask().content.decode()
    assert "Laboratory" in text
    assert "/lab/" in text
    assert "/ui/" in text


def test_a_form_is_built_from_the_fields(lab: Any) -> None:
    text = ask("lab").content.decode()
    assert 'type="number" name="top_k" value="3"' in text
    assert 'type="checkbox" name="is_on"' in text
    assert '<option value="good">' in text
    assert "<script" not in text.replace("<script src=", "") and " style=" not in text, "nothing that a CSP would stop"


def test_saving_stores_what_changed(lab: Any) -> None:
    assert ask("lab", FORM).status_code == 302
    now = lab.load()
    assert (now.top_k, now.engine, now.urls, now.limit, now.fixed) == (5, "good", ["http://a", "http://b"], None, "x")
    assert set(ConfigValue.objects.filter(key__startswith="lab.").values_list("key", flat=True)) == {
        "lab.top_k",
        "lab.engine",
        "lab.urls",
    }


def test_a_value_that_does_not_fit_comes_back_with_the_reason(lab: Any) -> None:
    response = ask("lab", {**FORM, "top_k": "99"})
    assert response.status_code == 422
    assert "less than or equal to 50" in response.content.decode()
    assert lab.load().top_k == 3


def test_secrets_are_write_only(lab: Any) -> None:
    ask("lab", {**FORM, "api_key": "sk-hidden", "tokens": "sk-hidden-1\nsk-hidden-2"})
    assert lab.load().api_key == "sk-hidden"
    assert lab.load().tokens == ["sk-hidden-1", "sk-hidden-2"]
    text = ask("lab").content.decode()
    assert "sk-hidden" not in text
    assert "leave empty to keep it" in text
    ask("lab", FORM)
    assert lab.load().api_key == "sk-hidden"
    ask("lab", {**FORM, "clear_api_key": "on"})
    assert lab.load().api_key == ""


def test_a_rejected_form_does_not_show_the_secret_either(lab: Any) -> None:
    assert (
        "sk-typed"
        not in ask("lab", {**FORM, "top_k": "99", "api_key": "sk-typed", "tokens": "sk-typed"}).content.decode()
    )


def test_fields_that_the_environment_rules_are_locked(lab: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ENABLE_PERSISTENT_CONFIG = False
    monkeypatch.setenv("LAB_TOP_K", "9")
    text = ask("lab").content.decode()
    assert "Set by LAB_TOP_K, LAB_K" in text
    assert "Can be changed by LAB_FIXED only" in text
    ask("lab", FORM)
    assert lab.load().top_k == 9


@pytest.mark.parametrize("role", ["user", "pending"])
def test_only_administrators_come_in(lab: Any, role: str) -> None:
    with pytest.raises(PermissionDenied):
        ask("lab", role=role)
    with pytest.raises(PermissionDenied):
        ask(role=role)


def test_a_secret_does_not_follow_its_address_to_another_server(set_config: Any) -> None:
    from owui.config.sections import CodeExecutionConfig

    set_config("code_execution.jupyter_url", "http://jupyter:8888")
    set_config("code_execution.jupyter_auth_token", "sk-jupyter")
    form = {"engine": "jupyter", "jupyter_timeout": "60", "jupyter_url": "http://elsewhere.example"}
    page = ask("code_execution", form)
    assert page.status_code == 422 and b"jupyter_auth_token again" in page.content
    assert CodeExecutionConfig.load().jupyter_url == "http://jupyter:8888"
    assert ask("code_execution", form | {"clear_jupyter_auth_token": "on"}).status_code == 302
    assert CodeExecutionConfig.load().jupyter_url == "http://elsewhere.example"
    page = ask("code_execution", form | {"jupyter_url": "http://svc:pw@elsewhere.example"})
    assert page.status_code == 422 and b"name or password" in page.content
