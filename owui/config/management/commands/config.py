"""`manage.py config list|get|set|check|reset|docs`."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from owui.config import docs, store
from owui.config.registry import InvalidSetting, Setting, all_settings, find


class Command(BaseCommand):
    help = "Shows and changes stored settings."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="every setting with its value and where that comes from")
        get = verbs.add_parser("get", help="the value of one setting; secrets are masked")
        get.add_argument("key")
        change = verbs.add_parser("set", help="store a value, written as in the environment")
        change.add_argument("key")
        change.add_argument("value")
        check = verbs.add_parser("check", help="name every set variable that has no effect, as another value is stored")
        check.add_argument("--fail", action="store_true", help="exit with 1 when there is one")
        reset = verbs.add_parser("reset", help="drop the stored value: the variable or the default holds again")
        reset.add_argument("key")
        verbs.add_parser("docs", help="print the table of all settings as Markdown")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['verb']}")(**options)
        except InvalidSetting as error:
            raise CommandError(error.message) from error

    def _list(self, **options: Any) -> None:
        for setting in all_settings():
            source = store.origin(setting)
            locked = ", locked" if source.locked else ""
            self.stdout.write(f"{setting.key} = {_shown(setting)}  ({source.name}{locked})")

    def _get(self, key: str, **options: Any) -> None:
        self.stdout.write(_shown(find(key)))

    def _set(self, key: str, value: str, **options: Any) -> None:
        setting = find(key)
        store.set_values({key: setting.from_text(value)}, by=None)
        self.stdout.write(f"{key} is {_shown(setting)} now.")

    def _check(self, fail: bool, **options: Any) -> None:
        try:
            new = store.seed()
        except DatabaseError as error:
            raise CommandError(f"The database cannot be reached: {error}") from error
        differences = store.differences()
        for found in differences:
            names = ", ".join(found.names) or "The environment"
            self.stdout.write(
                f"{found.key}: {names} says {_json(found.wanted)}, but {_json(found.stored)} is stored and holds. "
                f"`manage.py config reset {_key(found.key)}` lets the variable win."
            )
        summary = f"{new} settings were taken from the environment; {len(differences)} variables have no effect."
        if differences and fail:
            raise CommandError(summary)
        self.stdout.write(summary)

    def _reset(self, key: str, **options: Any) -> None:
        if store.reset([key], by=None):
            self.stdout.write(f"The stored value of {key} is gone; {_shown(find(key))} holds now.")
        else:
            self.stdout.write(f"{key} has no stored value; {_shown(find(key))} holds.")

    def _docs(self, **options: Any) -> None:
        self.stdout.write(docs.markdown(), ending="")


def _shown(setting: Setting) -> str:
    return _json(setting.shown(setting.plain(store.value_of(setting))))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _key(path: str) -> str:
    """The setting a leaf belongs to: `user.permissions.chat.delete` is in `user.permissions`."""
    return next((s.key for s in all_settings() if path == s.key or path.startswith(f"{s.key}.")), path)
