"""`manage.py eval_screening FILE`: how well passages that give the model orders are told from others."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from knowledge.screening import screen


class Command(BaseCommand):
    help = 'Screens labelled passages, one JSON object a line: {"text", "label": "attack" or "safe", "origin"}.'
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--wrong", action="store_true", help="list what was judged wrongly")

    def handle(self, *_args: Any, **options: Any) -> None:
        counts: Counter[tuple[str, str]] = Counter()
        held: Counter[tuple[str, str]] = Counter()
        try:
            lines = options["file"].read_text(encoding="utf-8").splitlines()
            rows = [json.loads(line) for line in lines if line.strip()]
            for row in rows:
                key, verdict = (row["label"], row.get("origin", "")), screen(row["text"])
                counts[key] += 1
                held[key] += verdict.is_held
                if options["wrong"] and verdict.is_held != (row["label"] == "attack"):
                    self.stdout.write(f"{row['label']} {verdict.score:.2f} {row['text'][:100]!r}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CommandError(f"{options['file']} holds no labelled passages: {error!r}") from error
        for (label, origin), count in sorted(counts.items()):
            share = held[label, origin] / count
            self.stdout.write(f"{label:8} {origin:10} {count:6} passages, {held[label, origin]:6} held ({share:.1%})")
