from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from owui.audit.models import AuditEvent
from owui.config import store

pytestmark = pytest.mark.django_db


def run(*args: str) -> str:
    out = StringIO()
    call_command("config", *args, stdout=out)
    return out.getvalue()


def test_set_get_reset(lab: Any) -> None:
    assert run("set", "lab.top_k", "12") == "lab.top_k is 12 now.\n"
    assert run("get", "lab.top_k") == "12\n"
    assert "lab.top_k = 12  (stored)" in run("list")
    assert "3 holds now" in run("reset", "lab.top_k")
    assert "no stored value" in run("reset", "lab.top_k")
    assert AuditEvent.objects.get(action="config.reset").object_id == "lab.top_k"


def test_mistakes_are_explained(lab: Any) -> None:
    with pytest.raises(CommandError, match="not of the type integer"):
        run("set", "lab.top_k", "many")
    with pytest.raises(CommandError, match="no setting lab.none"):
        run("get", "lab.none")
    with pytest.raises(CommandError, match="LAB_FIXED"):
        run("set", "lab.fixed", "y")


def test_check_names_variables_without_effect(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.save(by=None, top_k=5, api_key="sk-stored")
    monkeypatch.setenv("LAB_TOP_K", "9")
    monkeypatch.setenv("LAB_API_KEY", "sk-in-env")
    monkeypatch.setenv("LAB_RATIO", "0.25")
    store.clear_cache()
    text = run("check")
    assert "lab.top_k: LAB_TOP_K, LAB_K says 9, but 5 is stored" in text
    assert "lab.api_key" in text
    assert "sk-" not in text
    assert "lab.ratio" not in text, "it had no row, so the check seeded it"
    assert lab.load().ratio == 0.25
    with pytest.raises(CommandError, match="2 variables"):
        run("check", "--fail")


def test_check_is_content_when_all_agrees(lab: Any) -> None:
    assert "0 variables have no effect" in run("check", "--fail")


def test_secrets_are_never_shown(lab: Any) -> None:
    assert "sk-abc" not in run("set", "lab.api_key", "sk-abc")
    assert run("get", "lab.api_key") == '"(set)"\n'
    assert "sk-abc" not in run("list")


def test_docs_list_every_setting(lab: Any) -> None:
    text = run("docs")
    assert "| `lab.top_k` | `LAB_TOP_K`, `LAB_K` | integer | `3` | Results kept. |" in text
    assert "`fast` / `good`" in text
    assert "*Environment only.*" in text
    assert "| `ui.enable_notes` | `ENABLE_NOTES` | boolean | `true` |" in text
