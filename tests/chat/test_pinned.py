"""Models that a person pinned stand in the sidebar of every page, while they can be asked."""

from __future__ import annotations

from typing import Any

import pytest

from chat.pinned import pinned_models
from inference.models import AIModel
from rbac.services import set_grants
from tests.factories.accounts import a_system_admin

live = pytest.mark.django_db(transaction=True)


def again(user: Any) -> Any:
    """As another request finds them."""
    return type(user).objects.get(pk=user.pk)


@live
def test_pinned_models_are_shown_while_they_may_be_used(
    client_for: Any, alice: Any, small: Any, server: Any, set_config: Any, share: Any
) -> None:
    page = client_for(alice, htmx=True)
    assert 'href="/?model=' not in client_for(alice).get("/settings").content.decode()
    answer = page.post("/c/models/pin", {"id": "fake-small"}).content.decode()
    link = 'href="/?model=fake-small"'
    assert link in answer and 'id="pinned-models" hx-swap-oob="innerHTML"' in answer
    for address in ("/", "/settings", "/workspace/knowledge/"):
        assert link in client_for(alice).get(address).content.decode()
    assert "Fake small" in client_for(alice).get("/?model=fake-small").content.decode()
    alice.refresh_from_db()
    alice.settings["ui"]["pinnedModels"] = ["gone", 7, "fake-small", "fake-small"]
    alice.save()
    assert [m["id"] for m in pinned_models(again(alice))] == ["fake-small"]
    set_grants(small, [], by=a_system_admin())
    assert pinned_models(again(alice)) == [] and link not in client_for(alice).get("/settings").content.decode()
    share(small, "*")
    AIModel.objects.filter(pk=small.pk).update(meta={"hidden": True})
    assert pinned_models(again(alice)) == []
    AIModel.objects.filter(pk=small.pk).update(meta={})
    alice.settings["ui"].pop("pinnedModels")
    alice.save()
    set_config("ui.default_pinned_models", ["fake-small"])
    assert [m["name"] for m in pinned_models(again(alice))] == ["Fake small"], "the house's, for those who pinned none"


@pytest.mark.django_db
def test_without_a_pin_nothing_is_asked(alice: Any, django_assert_num_queries: Any) -> None:
    from owui.config.sections import UiConfig

    UiConfig.load()
    with django_assert_num_queries(0):
        assert pinned_models(alice) == []
