"""`manage.py export`: the database as a file that changes nothing where it came from."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import User
from inference.models import AIModel
from knowledge.models import KnowledgeBase
from owui.config import store
from owui.provision.models import Provisioned
from rbac import services
from rbac.grants import Grant, denials_of
from rbac.models import Group
from tests.factories.rbac import make_group
from tests.owui.provision_world import WORLD, export, grants

pytestmark = pytest.mark.django_db


def test_an_export_applied_changes_nothing(apply: Any, people: Any, boot: Any, settings: Any) -> None:
    settings.ENABLE_DENY_GRANTS = True
    apply(WORLD)
    by_hand = KnowledgeBase.objects.create(name="Alice's own: notes", owner=people.alice)
    KnowledgeBase.objects.create(name="Alice's own: notes", owner=people.bob, description="no: yes\n08")
    services.set_grants(by_hand, [Grant("user", str(people.bob.pk), "read")], by=people.dana)
    services.set_grants(
        by_hand,
        grants(by_hand),
        by=people.dana,
        denials=[Grant("user", str(people.mallory.pk), "read", timezone.now() + timedelta(days=3))],
    )
    make_group("no", members=[people.mallory])
    text = export()
    assert "s3cret" not in text and "key_env: PROVISION_OPENAI_1_KEY" in text
    assert apply(text, "--plan").endswith("Nothing to change.\n")
    assert apply.code == 0
    assert apply(text, "--prune").endswith("Nothing to change.\n")
    assert export() == text
    assert denials_of([by_hand])[by_hand.pk]


def test_an_export_into_an_empty_instance_makes_the_same_again(apply: Any, people: Any) -> None:
    apply(WORLD)
    text = (
        export().replace("PROVISION_OPENAI_1_KEY", "VLLM_KEY").replace("PROVISION_OPENAI_1_HEADER_X_TEAM", "VLLM_KEY")
    )
    AIModel.objects.exclude(base_model=None).delete()
    for model in (AIModel, KnowledgeBase, Group, Provisioned):
        model.objects.all().delete()  # type: ignore[attr-defined]
    User.objects.filter(email="new@example.org").delete()
    store.reset(["openai.api_base_urls", "openai.api_keys", "openai.api_configs"], by=None)
    apply(text)
    again = export()
    for place in ("VLLM_KEY", "PROVISION_OPENAI_1_KEY", "PROVISION_OPENAI_1_HEADER_X_TEAM"):
        text, again = text.replace(place, "X"), again.replace(place, "X")
    # Accounts are listed in the order they joined.
    assert sorted(again.splitlines()) == sorted(text.splitlines())


def test_an_export_goes_into_a_file_for_its_owner_alone(people: Any, tmp_path: Path) -> None:
    path = tmp_path / "out.yaml"
    call_command("export", "--out", str(path), stdout=io.StringIO())
    assert path.stat().st_mode & 0o777 == 0o600
    assert "dana@example.org" in path.read_text()
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export", "--out", str(tmp_path / "no" / "x"))


def test_a_grant_and_its_denial_are_both_exported_and_come_back(apply: Any, people: Any, settings: Any) -> None:
    settings.ENABLE_DENY_GRANTS = True
    kb = KnowledgeBase.objects.create(name="Both", owner=people.alice)
    bob, group = Grant("user", str(people.bob.pk), "read"), Grant("group", str(make_group("G").pk), "write")
    services.set_grants(kb, [bob, group], by=people.dana, denials=[bob, group])
    text = export()
    assert apply(text, "--prune").endswith("Nothing to change.\n")
    services.set_grants(kb, [], by=people.dana, denials=[])
    apply(text)
    assert grants(kb) == [group, bob] and denials_of([kb])[kb.pk] == [group, bob]
    assert export() == text
