"""`manage.py sync_models`."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from inference.models import AIModel
from tests.fakes.model_server import FakeModelServer
from tests.inference.conftest import dead_address

pytestmark = pytest.mark.django_db(transaction=True)


def test_live_models_get_private_rows_and_a_second_run_changes_nothing(
    connect: Callable[..., None], server: FakeModelServer
) -> None:
    connect([server, dead_address()])
    said, complaints = StringIO(), StringIO()
    call_command("sync_models", stdout=said, stderr=complaints)
    assert "2 of 2 models are new" in said.getvalue()
    assert "does not answer" in complaints.getvalue()
    assert set(AIModel.objects.values_list("model_id", "general_access")) == {
        ("fake-small", "private"),
        ("fake-large", "private"),
    }
    AIModel.objects.get(model_id="fake-large").delete()
    call_command("sync_models", "--public", stdout=said, stderr=complaints)
    assert "1 of 2 models are new" in said.getvalue()
    assert AIModel.objects.get(model_id="fake-large").general_access == "read"
    assert AIModel.objects.get(model_id="fake-small").general_access == "private"


def test_nothing_live_is_an_error(connect: Callable[..., None]) -> None:
    connect([dead_address()])
    with pytest.raises(CommandError, match="No server offers a model"):
        call_command("sync_models", stderr=StringIO())
