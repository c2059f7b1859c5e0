"""Administrators write banners in a form; what is stored and what REST gives has the shape it had."""

from __future__ import annotations

from typing import Any

import pytest

from owui.audit.models import AuditEvent
from owui.config.forms import SectionForm
from owui.config.sections import UiConfig

pytestmark = pytest.mark.django_db
PAGE = "/admin/config/configvalue/ui/"
STORED = [
    {"id": "a", "type": "info", "title": "", "content": "Maintenance at **noon**", "dismissible": True, "timestamp": 7},
    {"id": "b", "type": "error", "title": "Down", "content": "No mail.", "dismissible": False, "url": "https://x"},
]


def form_of(*rows: tuple[str, str, str, str, str], **more: str) -> dict[str, Any]:
    """The whole form of the section as a browser sends it, with other banners."""
    sent: dict[str, Any] = {}
    for name, field in SectionForm(UiConfig).fields.items():
        value = field.prepare_value(field.initial) if not field.disabled else None
        if name != "banners" and value not in (None, False, ""):
            sent[name] = "on" if value is True else value
    parts = ("id", "type", "title", "content", "dismissible")
    columns = {f"banners-{part}": [row[at] for row in rows] for at, part in enumerate(parts)}
    return sent | {"banners": "rows"} | columns | more


NEW = ("", "warning", " New ", "Model output needs\r\nreview", "no")
FIRST, SECOND = ("a", "info", "", "Maintenance at **noon**", "yes"), ("b", "error", "Down", "No mail.", "no")
EMPTY = ("", "info", "", "  ", "yes")


def test_rows_are_added_removed_and_put_in_order(client_for: Any, api_for: Any, dana: Any, set_config: Any) -> None:
    set_config("ui.banners", STORED)
    page = client_for(dana)
    html = page.get(PAGE).content.decode()
    assert html.count('class="banner-row"') == 3 and "Maintenance at **noon**</textarea>" in html
    assert page.post(PAGE, form_of(SECOND, EMPTY, NEW, FIRST)).status_code == 302
    second, new, first = api_for(dana).get("/api/v1/configs/banners").json()
    assert (first, second) == (STORED[0], STORED[1]), "with ids, and with what the form does not show"
    assert len(new["id"]) == 32 and new["timestamp"] > 0
    assert {**new, "id": "", "timestamp": 0} == {
        "id": "", "timestamp": 0, "type": "warning", "title": "New", "content": "Model output needs\nreview",
        "dismissible": False,
    }  # fmt: skip
    event = AuditEvent.objects.filter(action="config.changed").latest("pk")
    assert "ui.banners" in str(event.detail) and event.actor_id == dana.pk
    assert page.post(PAGE, form_of()).status_code == 302
    assert api_for(dana).get("/api/v1/configs/banners").json() == []


def test_what_was_not_changed_is_not_stored_again(client_for: Any, dana: Any, set_config: Any) -> None:
    set_config("ui.banners", [{"type": "info", "content": "Without an id", "dismissable": False}])
    before = AuditEvent.objects.count()
    row = ("", "info", "", "Without an id", "no")
    assert client_for(dana).post(PAGE, form_of(row, EMPTY)).status_code == 302
    without = form_of()
    without.pop("banners")
    assert client_for(dana).post(PAGE, without).status_code == 302
    assert UiConfig.load().banners == [{"type": "info", "content": "Without an id", "dismissable": False}]
    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("", "info", "Only a title", "", "yes"), "Banner 2 has a title and no text."),
        (("", "loud", "", "Text", "yes"), "Choose what kind of banner number 2 is."),
    ],
)
def test_faults_are_said_and_nothing_is_lost(client_for: Any, dana: Any, set_config: Any, row: Any, said: str) -> None:
    set_config("ui.banners", STORED)
    answer = client_for(dana).post(PAGE, form_of(NEW, row))
    html = answer.content.decode()
    assert answer.status_code == 422 and said in html and "Model output needs\nreview</textarea>" in html
    assert UiConfig.load().banners == STORED


def test_a_preview_stores_nothing_and_shows_what_pages_would(client_for: Any, dana: Any, set_config: Any) -> None:
    set_config("ui.banners", STORED)
    answer = client_for(dana).post(PAGE, form_of(("", "info", "", "**Bold** <script>x</script>", "yes"), _preview="1"))
    html = answer.content.decode()
    assert answer.status_code == 200 and "<strong>Bold</strong>" in html and "<script>x" not in html
    assert html.count('class="banner-shown') == 1 and "Nothing is saved yet" in html
    assert UiConfig.load().banners == STORED


def test_only_administrators_write_banners(client_for: Any, alice: Any, set_config: Any) -> None:
    assert client_for(alice).post(PAGE, form_of(NEW)).status_code in (302, 403)
    assert UiConfig.load().banners == []
