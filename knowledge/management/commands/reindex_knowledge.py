"""`manage.py reindex_knowledge`: split and embed again, after a change of the embedding model or the chunk size."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from knowledge.services import reindex


class Command(BaseCommand):
    help = "Has the workers split and embed documents again. Documents stay searchable meanwhile. Safe to run twice."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--stale", action="store_true", help="only documents of another embedding model")

    def handle(self, *_args: Any, **options: Any) -> None:
        count = reindex(by=None, only_stale=options["stale"])
        self.stdout.write(f"{count} documents will be indexed again by the workers.")
