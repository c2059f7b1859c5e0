"""`manage.py export [--out FILE]`: the database as a file that `manage.py apply` reads."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from owui.provision.export import as_yaml


class Command(BaseCommand):
    help = "Writes people, groups, permissions, connections, models, knowledge bases and settings as YAML."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--out", metavar="FILE", help="write there instead of to the standard output")

    def handle(self, *args: Any, out: str | None, **options: Any) -> None:
        text = as_yaml()
        if out is None:
            self.stdout.write(text, ending="")
            return
        try:
            # It names everybody and who may see what: for this user alone.
            handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"Written to {out}.")
