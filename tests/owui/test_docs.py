"""The floor plan names what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAN = (ROOT / "docs/architecture.md").read_text()
# `chat/runner.py`, `owui/lib/markdown/`: anything in backticks with a slash that looks like a path
PATHS = sorted(set(re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.py)?)`", PLAN)))


def test_paths_were_found() -> None:
    assert len(PATHS) > 15


@pytest.mark.parametrize("path", PATHS)
def test_named_path_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_package_of_an_app_stands_in_the_plan() -> None:
    for app in ("accounts", "chat", "inference", "knowledge", "rbac", "owui"):
        section = re.search(rf"^    {app}/.*?(?=^    \S)", PLAN, re.DOTALL | re.MULTILINE)
        assert section, app
        for package in (ROOT / app).iterdir():
            if (
                package.is_dir()
                and (package / "__init__.py").exists()
                and package.name not in ("migrations", "management", "views", "api")
            ):
                assert f"{package.name}/" in section.group(), f"{app}/{package.name} is not in the floor plan"


def test_links_in_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_no_name_of_the_environment_that_operators_use_goes_away() -> None:
    """A name that changes with a slip of the pen leaves a setting at its default, and nobody is told. What is new goes
    into the list; what is given up keeps its old name beside it."""
    known = set((ROOT / "tests/data/settings_names.txt").read_text().split())
    named = set(re.findall(r"`([A-Z][A-Z0-9_]{4,})`", (ROOT / "docs/settings.md").read_text()))
    assert known - named == set()
    assert "DEFAULT_PROMPT_SUGGESTIONS" in known
