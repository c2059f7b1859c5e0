"""Provisioning as its tests run it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from owui.config import store


@pytest.fixture
def apply(tmp_path: Path, people: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`apply(text, "--plan")`: what the command says; the exit code is in `apply.code`."""
    monkeypatch.setenv("VLLM_KEY", "s3cret-of-vllm")

    def run(text: str, *flags: str) -> str:
        path, out = tmp_path / "org.yaml", io.StringIO()
        path.write_text(text, encoding="utf-8")
        run.code = 0  # type: ignore[attr-defined]
        try:
            call_command("apply", str(path), *flags, stdout=out)
        except SystemExit as error:
            run.code = error.code  # type: ignore[attr-defined]
        store.clear_cache()
        return out.getvalue()

    return run
