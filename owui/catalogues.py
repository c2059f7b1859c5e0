"""The catalogues of texts: what there is to translate, what is missing, and the files that Django reads.

All in Python, by Babel, which only developers have: a site needs neither it nor GNU gettext, because the compiled files
are kept beside the `.po` files (docs/decisions/0011-languages.md).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.messages import extract, mofile, pofile
from babel.messages.catalog import Catalog, Message
from django.utils.translation.template import templatize

from owui import env

ROOT = env.BASE_DIR
LOCALE = ROOT / "locale"
#: what Django calls `de`, `zh-hans` has its files in `de`, `zh_Hans`; English is the language of the code
LOCALES = ("de", "es", "fr", "ja", "zh_Hans")
PLACES = ("accounts", "chat", "inference", "knowledge", "owui", "rbac", "templates")
KEYWORDS: dict[str, Any] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}
#: Kept the same, so that only changed texts change the files.
_DATE = datetime(2026, 1, 1, tzinfo=UTC)
_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[sdf]|\{\w*\}|%%|</?\w+[^>]*>|\n")
#: A plural may leave these out: "one file" needs no number.
_COUNT = re.compile(r"%(?:\(\w+\))?[sd]")


@dataclass
class Faults:
    """What is wrong with one catalogue; each text by its English words."""

    missing: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    stale: bool = False


def texts() -> Catalog:
    """Every text of the code and the templates."""
    found = _new(None)
    for path in _sources():
        name = path.relative_to(ROOT).as_posix()
        source = path.read_text()
        if path.suffix != ".py":
            # What stands between the texts became letters without meaning; indented, it would be no Python.
            source = "\n".join(line.strip() for line in templatize(source, origin=name).splitlines())
        for _line, text, comments, context in extract.extract("python", io.BytesIO(source.encode()), KEYWORDS):
            found.add(text, locations=[(name, 0)], auto_comments=comments, context=context)
    return found


def _sources() -> Iterator[Path]:
    for place in PLACES:
        for path in sorted((ROOT / place).rglob("*")):
            parts = path.relative_to(ROOT).parts
            is_code = path.suffix == ".py" and "migrations" not in parts
            if is_code or (path.suffix in (".html", ".txt") and "templates" in parts):
                yield path


def _new(locale: str | None) -> Catalog:
    return Catalog(
        locale=locale,
        project="owui",
        version="1",
        msgid_bugs_address="",
        copyright_holder="",
        header_comment="# Made by `make texts`; translate here, then run it again.",
        creation_date=_DATE,
        revision_date=_DATE,
        last_translator="",
        language_team="",
        fuzzy=False,
    )


def _file(locale: str, suffix: str) -> Path:
    return LOCALE / locale / "LC_MESSAGES" / f"django.{suffix}"


def stored(locale: str) -> Catalog:
    """The catalogue as its file has it, an empty one where there is none."""
    path = _file(locale, "po")
    if not path.exists():
        return _new(locale)
    with path.open("rb") as file:
        return pofile.read_po(file, locale=locale, abort_invalid=True)


def merged(locale: str, source: Catalog) -> Catalog:
    """The texts of today with the translations that are there. What is gone from the code goes from the file too."""
    known, out = stored(locale), _new(locale)
    for message in source:
        if not message.id:
            continue
        former = known.get(_key(message), message.context)
        string = former.string if former is not None and _is_whole(former, message) else ("", "")
        out.add(
            message.id,
            string if message.pluralizable or isinstance(string, str) else "",
            locations=message.locations,
            auto_comments=message.auto_comments,
            context=message.context,
        )
    return out


def _key(message: Message) -> str:
    return str(message.id[0] if isinstance(message.id, (list, tuple)) else message.id)


def _is_whole(former: Message, message: Message) -> bool:
    return bool(former.pluralizable) == bool(message.pluralizable) and not former.fuzzy


def _strings(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if isinstance(message.string, (list, tuple)) else (message.string or "",)


def po_bytes(catalogue: Catalog) -> bytes:
    out = io.BytesIO()
    pofile.write_po(out, catalogue, width=120, include_lineno=False, sort_output=True)
    return out.getvalue()


def mo_bytes(catalogue: Catalog) -> bytes:
    """The compiled file; what is not translated is left out, so that it is shown in English."""
    out = io.BytesIO()
    for message in [m for m in catalogue if m.id and not all(_strings(m))]:
        catalogue.delete(_key(message), message.context)
    mofile.write_mo(out, catalogue)
    return out.getvalue()


def update() -> None:
    """Brings both files of every language up to date with the code."""
    source = texts()
    for locale in LOCALES:
        catalogue = merged(locale, source)
        _file(locale, "po").parent.mkdir(parents=True, exist_ok=True)
        _file(locale, "po").write_bytes(po_bytes(catalogue))
        _file(locale, "mo").write_bytes(mo_bytes(stored(locale)))


def faults(locale: str, source: Catalog) -> Faults:
    """What is wrong with a language's files."""
    known, found = stored(locale), Faults()
    for message in source:
        if not message.id:
            continue
        translated = known.get(_key(message), message.context)
        if translated is None or translated.fuzzy or not all(_strings(translated)):
            found.missing.append(_key(message))
        elif reason := _broken(message, translated, known.num_plurals):
            found.broken.append(f"{_key(message)!r}: {reason}")
    wanted = {(_key(message), message.context) for message in source if message.id}
    found.gone = [_key(m) for m in known if m.id and (_key(m), m.context) not in wanted]
    compiled = _file(locale, "mo")
    found.stale = not compiled.exists() or compiled.read_bytes() != mo_bytes(known)  # takes out of `known`
    return found


def _broken(message: Message, translated: Message, plurals: int) -> str:
    """Why a translation would fail or lose something: placeholders, tags and line breaks must be those of the text."""
    original = message.id[-1] if isinstance(message.id, (list, tuple)) else message.id
    strings = _strings(translated)
    if len(strings) != (plurals if message.pluralizable else 1):
        return f"{len(strings)} forms"
    wanted = sorted(_PLACEHOLDER.findall(original))
    for string in strings:
        had = sorted(_PLACEHOLDER.findall(string))
        if had != wanted and not (
            message.pluralizable and _uncounted(had) == _uncounted(wanted) and set(had) <= set(wanted)
        ):
            return f"{had} instead of {wanted}"
        if (string[:1].isspace(), string[-1:].isspace()) != (original[:1].isspace(), original[-1:].isspace()):
            return "space at the beginning or end"
    return ""


def _uncounted(placeholders: list[str]) -> list[str]:
    return [p for p in placeholders if not _COUNT.fullmatch(p)]
