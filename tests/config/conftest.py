"""A section of our own, so that these tests do not hang on what the apps declare."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Literal
from uuid import UUID

import pytest

from owui.config import store
from owui.config.registry import Section, sections, setting

FRESH_FOR = store.FRESH_FOR


@pytest.fixture
def someone() -> SimpleNamespace:
    return SimpleNamespace(id=UUID(int=7), email="dana@example.org", name="Dana")


@pytest.fixture
def lab() -> Iterator[type[Section]]:
    class LabConfig(Section, prefix="lab", label="Laboratory"):
        top_k: int = setting(3, env="LAB_TOP_K", aliases=("LAB_K",), label="Results kept", minimum=1, maximum=50)
        limit: int | None = setting(None, env="LAB_LIMIT", label="Limit")
        ratio: float = setting(0.5, env="LAB_RATIO", label="Ratio")
        is_on: bool = setting(True, env="LAB_ON", label="Is on")
        engine: Literal["fast", "good"] = setting("fast", env="LAB_ENGINE", label="Engine")
        urls: list[str] = setting([], env="LAB_URLS", separator=";", label="Addresses")
        extra: dict[str, Any] = setting({"a": 1}, env="LAB_EXTRA", label="Extra")
        api_key: str = setting("", env="LAB_API_KEY", label="Key", secret=True)
        tokens: list[str] = setting([], env="LAB_TOKENS", separator=";", label="Tokens", secret=True)
        fixed: str = setting("x", env="LAB_FIXED", label="Fixed", stored=False)

    store.clear_cache()
    yield LabConfig
    sections.pop("lab")
    store.clear_cache()


@pytest.fixture(autouse=True)
def _fresh_store() -> Iterator[None]:
    yield
    store.clear_cache()


@pytest.fixture(autouse=True)
def _settings_are_read_anew(_clean_start: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it is the subject: after how long another node's change is seen."""
    monkeypatch.setattr(store, "FRESH_FOR", FRESH_FOR)
