"""Each language says everything, and with the placeholders of the English text."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from owui import catalogues


@pytest.fixture(scope="module")
def source() -> Catalog:
    return catalogues.texts()


def test_texts_of_code_and_templates_are_found(source: Catalog) -> None:
    for text in (
        "Like the browser",
        "New chat",
        "%d minute ago",
        "Copied",
    ):
        assert source.get(text) is not None, text
    assert len(source) > 2000


@pytest.mark.parametrize("locale", catalogues.LOCALES)
def test_a_language_is_whole(locale: str, source: Catalog) -> None:
    found = catalogues.faults(locale, source)
    assert not found.broken
    assert not found.missing, f"run `make texts` and translate: {found.missing[:20]}"
    assert not found.gone, f"run `make texts`: {found.gone[:20]}"
    assert not found.stale, "run `make texts`: the compiled catalogue is not that of the .po file"


def _world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, german: str) -> Catalog:
    """A catalogue of one text, and its German."""
    source = catalogues._new(None)
    source.add("Delete %(name)s", flags=["python-format"])
    german_catalogue = catalogues._new("de")
    german_catalogue.add("Delete %(name)s", german)
    monkeypatch.setattr(catalogues, "LOCALE", tmp_path)
    folder = tmp_path / "de/LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.po").write_bytes(catalogues.po_bytes(german_catalogue))
    (folder / "django.mo").write_bytes(catalogues.mo_bytes(german_catalogue))
    return source


@pytest.mark.parametrize(
    ("german", "broken", "missing"),
    [
        ("%(name)s löschen", 0, 0),
        ("%(nam)s löschen", 1, 0),
        ("löschen", 1, 0),
        ("<b>%(name)s</b> löschen", 1, 0),
        ("%(name)s löschen ", 1, 0),
        ("", 0, 1),
    ],
)
def test_a_broken_translation_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, german: str, broken: int, missing: int
) -> None:
    source = _world(monkeypatch, tmp_path, german)
    found = catalogues.faults("de", source)
    assert (len(found.broken), len(found.missing), found.stale) == (broken, missing, False)


def test_a_changed_po_file_wants_to_be_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = _world(monkeypatch, tmp_path, "%(name)s löschen")
    po = tmp_path / "de/LC_MESSAGES/django.po"
    po.write_text(po.read_text().replace("löschen", "entfernen"))
    assert catalogues.faults("de", source).stale


def test_what_is_gone_from_the_code_goes_and_what_stays_keeps_its_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = _world(monkeypatch, tmp_path, "%(name)s löschen")
    source.add("New")
    kept = catalogues.merged("de", source)
    assert kept.get("Delete %(name)s").string == "%(name)s löschen"
    assert kept.get("New").string == ""
    del source["Delete %(name)s"]
    assert catalogues.merged("de", source).get("Delete %(name)s") is None
    assert catalogues.faults("de", source).gone == ["Delete %(name)s"]
