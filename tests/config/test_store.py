from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, connection, transaction

from owui.audit.models import AuditEvent
from owui.config import rows, store
from owui.config.models import ConfigValue
from owui.config.registry import InvalidSetting, Section, find, sections, setting
from owui.config.sections import UiConfig

pytestmark = pytest.mark.django_db


def test_defaults_hold_when_nothing_is_set(lab: Any) -> None:
    assert lab.load().model_dump() == {
        "top_k": 3,
        "limit": None,
        "ratio": 0.5,
        "is_on": True,
        "engine": "fast",
        "urls": [],
        "extra": {"a": 1},
        "api_key": "",
        "tokens": [],
        "fixed": "x",
    }


def test_the_environment_seeds_once_and_the_stored_value_wins(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TOP_K", "7")
    monkeypatch.setenv("LAB_URLS", "http://a;http://b")
    assert store.seed() == 2
    monkeypatch.setenv("LAB_TOP_K", "9")
    store.clear_cache()
    assert store.seed() == 0
    assert lab.load().top_k == 7
    assert lab.load().urls == ["http://a", "http://b"]
    assert [(d.key, d.stored, d.wanted) for d in store.differences()] == [("lab.top_k", 7, 9)]


def test_older_names_count(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_K", "8")
    assert lab.load().top_k == 8


@pytest.mark.parametrize(("name", "text"), [("LAB_TOP_K", "many"), ("LAB_TOP_K", "99"), ("LAB_ENGINE", "warp")])
def test_an_unusable_variable_gives_the_default(
    lab: Any, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    assert (lab.load().top_k, lab.load().engine) == (3, "fast")


def test_saving_stores_the_change_and_one_audit_event(lab: Any, someone: SimpleNamespace) -> None:
    assert lab.save(by=someone, top_k=5, urls=["http://c"], ratio=0.5).top_k == 5
    event = AuditEvent.objects.get(action="config.changed")
    assert (event.actor_id, event.actor_label, event.object_id) == (someone.id, "dana@example.org", "lab")
    assert event.detail["changes"]["lab.top_k"] == {"from": 3, "to": 5}
    assert ConfigValue.objects.get(key="lab.top_k").updated_by == someone.id


def test_saving_the_same_again_leaves_no_trace(lab: Any, someone: SimpleNamespace) -> None:
    lab.save(by=someone, top_k=5)
    lab.save(by=someone, top_k=5)
    assert AuditEvent.objects.filter(action="config.changed").count() == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"lab.top_k": 0},
        {"lab.engine": "warp"},
        {"lab.nothing": 1},
        {"lab.fixed": "y"},
        {"lab.top_k": 5, "lab.ratio": "x"},
    ],
)
def test_what_does_not_fit_is_refused_as_a_whole(lab: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting):
        store.set_values(changes, by=None)
    assert not ConfigValue.objects.filter(key__startswith="lab.").exists()
    assert lab.load().top_k == 3


def test_a_rolled_back_change_is_seen_inside_and_gone_after(lab: Any) -> None:
    lab.load()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        assert lab.save(by=None, top_k=9).top_k == 9
        raise ZeroDivisionError
    assert lab.load().top_k == 3
    assert not AuditEvent.objects.filter(action="config.changed").exists()


def test_secrets_are_encrypted_in_the_table_and_absent_from_the_log(lab: Any) -> None:
    lab.save(by=None, api_key="sk-very-secret")
    with connection.cursor() as cursor:
        cursor.execute("SELECT value::text FROM config_configvalue WHERE key = 'lab.api_key'")
        (text,) = cursor.fetchone()
    assert "sk-very" not in text
    assert lab.load().api_key == "sk-very-secret"
    assert AuditEvent.objects.get(action="config.changed").detail == {"changes": {"lab.api_key": "changed"}}


def test_a_changed_secret_key_costs_only_the_secrets(lab: Any, settings: Any, caplog: Any) -> None:
    lab.save(by=None, api_key="sk-very-secret", top_k=5)
    former = settings.SECRET_KEY
    settings.SECRET_KEY = "another one"
    assert (lab.load().api_key, lab.load().top_k) == ("", 5)
    assert "WEBUI_SECRET_KEY has changed" in caplog.text
    settings.SECRET_KEY_FALLBACKS = [former]
    assert lab.load().api_key == "sk-very-secret"


def test_the_environment_rules_when_persistence_is_off(
    lab: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.save(by=None, top_k=5, ratio=0.1)
    settings.ENABLE_PERSISTENT_CONFIG = False
    monkeypatch.setenv("LAB_TOP_K", "9")
    assert (lab.load().top_k, lab.load().ratio) == (9, 0.5)
    with pytest.raises(InvalidSetting, match="LAB_TOP_K"):
        lab.save(by=None, top_k=6)
    assert lab.save(by=None, ratio=0.2).ratio == 0.2
    store.start()
    assert lab.load().ratio == 0.5, "a change made while the environment rules ends with the next start"
    settings.ENABLE_PERSISTENT_CONFIG = True
    assert (lab.load().top_k, lab.load().ratio) == (5, 0.1)


def test_oauth_keys_are_stored_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    class OAuthLab(Section, prefix="oauth.lab"):
        scopes: str = setting("openid", env="LAB_SCOPES", label="Scopes")

    try:
        monkeypatch.setenv("LAB_SCOPES", "openid email")
        assert store.seed() == 0
        monkeypatch.setenv("ENABLE_OAUTH_PERSISTENT_CONFIG", "True")
        assert store.seed() == 1
    finally:
        sections.pop("oauth.lab")


def test_reset_on_start_drops_stored_rows(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.save(by=None, top_k=5)
    monkeypatch.setenv("RESET_CONFIG_ON_START", "true")
    monkeypatch.setenv("LAB_TOP_K", "9")
    store.clear_cache()
    store.start()
    assert lab.load().top_k == 9
    assert "lab.top_k" in AuditEvent.objects.get(action="config.reset").detail["keys"]


def test_a_value_made_of_several_variables_is_seeded_and_compared_leaf_by_leaf() -> None:
    class PermissionLab(Section, prefix="permission_lab"):
        tree: dict[str, Any] = setting({}, label="Tree", seed=lambda: {"chat": {"delete": False, "share": True}})

    try:
        store.seed()
        store.set_values({"permission_lab.tree": {"chat": {"delete": True, "share": True}}}, by=None)
        assert [(d.key, d.stored, d.wanted) for d in store.differences()] == [
            ("permission_lab.tree.chat.delete", True, False)
        ]
    finally:
        sections.pop("permission_lab")


def test_a_stored_value_that_no_longer_fits_gives_the_default(lab: Any, caplog: Any) -> None:
    ConfigValue.objects.create(key="lab.top_k", value="many")
    ConfigValue.objects.create(key="lab.gone", value=1)
    assert lab.load().top_k == 3
    assert "top_k" in caplog.text


def test_loading_costs_no_query_while_fresh(lab: Any, django_assert_num_queries: Any) -> None:
    lab.load()
    with django_assert_num_queries(0):
        first = lab.load()
        assert lab.load() is first
        UiConfig.load()


async def test_an_event_loop_must_hop(lab: Any) -> None:
    with pytest.raises(SynchronousOnlyOperation):
        lab.load()


def test_one_query_a_second_at_most(lab: Any, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any) -> None:
    lab.load()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.0)
    with django_assert_num_queries(1):
        kept = lab.load()
        assert lab.load() is kept


def test_a_change_of_another_node_is_seen_within_a_second(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lab.load()
    ConfigValue.objects.create(key="lab.top_k", value=11)  # past the store, as another process does
    assert lab.load() is before
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.0)
    assert lab.load().top_k == 11


@pytest.mark.django_db(transaction=True)
def test_the_last_known_values_serve_while_the_database_is_away(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lab.load()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.0)

    def fail() -> dict[str, Any]:
        raise DatabaseError

    monkeypatch.setattr(rows, "read", fail)
    assert lab.load() is before


def test_before_the_first_migration_environment_and_defaults_hold(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_table_exists", False)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE config_configvalue RENAME TO config_elsewhere")
        assert lab.load().top_k == 3
        assert store.seed() == 0
        transaction.set_rollback(True)


def test_a_section_needs_its_own_prefix(lab: Any) -> None:
    with pytest.raises(TypeError, match="prefix"):

        class Second(Section, prefix="lab"):
            pass

    with pytest.raises(TypeError, match="setting"):

        class Bare(Section, prefix="bare"):
            top_k: int = 3

    assert find("lab.top_k").section is lab


@pytest.mark.django_db(transaction=True)
def test_many_workers_seed_at_once(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LAB_TOP_K": "7", "LAB_URLS": "http://a", "LAB_API_KEY": "sk"}.items():
        monkeypatch.setenv(name, value)
    ready, counts, faults = threading.Barrier(8), [], []

    def worker() -> None:
        try:
            ready.wait()
            counts.append(store.seed())
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=worker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert sum(counts) == 3
    assert lab.load().top_k == 7


@pytest.mark.django_db(transaction=True)
def test_a_change_saved_while_another_thread_reads_is_not_lost(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = rows.read

    def slowly() -> dict[str, Any]:
        found = real()
        monkeypatch.setattr(rows, "read", real)
        store.set_values({"lab.top_k": 33}, by=None)
        return found

    lab.load()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.0)
    monkeypatch.setattr(rows, "read", slowly)
    store.origin(find("lab.top_k"))
    assert lab.load().top_k == 33


@pytest.mark.django_db(transaction=True)
def test_a_committed_change_is_seen_at_once_by_other_threads(lab: Any) -> None:
    lab.load()
    thread = threading.Thread(target=lambda: (lab.save(by=None, top_k=21), connection.close()))
    thread.start()
    thread.join()
    assert lab.load().top_k == 21
