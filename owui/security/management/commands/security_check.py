"""`manage.py security_check`: the hardening checklist as text or JSON, and an exit code for scripts."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from owui.security.registry import Area, Result, Status, as_report, count, is_good, run_checks


class Command(BaseCommand):
    help = (
        "Checks the hardening checklist. Exit code 0: no failure; 1: at least one failure (with --strict also a "
        "warning, or something unknown); 2: nothing could be checked."
    )
    # The checks look themselves, and a database that is behind must be reported, not refused.
    requires_system_checks: list[str] = []  # noqa: RUF012
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
        parser.add_argument("--strict", action="store_true", help="warnings and unknown answers count as failures")
        parser.add_argument("--all", action="store_true", help="print what is good, too (JSON always holds all)")
        parser.add_argument("--only", nargs="+", metavar="NUMBER", help="only these checks, for example 6.2.a")

    def handle(self, *args: Any, **options: Any) -> None:
        only = set(options["only"]) if options["only"] else None
        try:
            results = run_checks(only)
        except DatabaseError as error:
            raise CommandError("Nothing was checked: the database cannot be reached.", returncode=2) from error
        if only and (lacking := only - {result.check.id for result in results}):
            raise CommandError(f"There is no check {', '.join(sorted(lacking))}.", returncode=2)
        if options["json"]:
            self.stdout.write(json.dumps(as_report(results), indent=2, ensure_ascii=False))
        else:
            self._print(results, show_all=options["all"] or bool(only))
        if not is_good(results, strict=options["strict"]):
            sys.exit(1)

    def _print(self, results: list[Result], *, show_all: bool) -> None:
        area: Area | None = None
        for result in results:
            if not (show_all or result.needs_repair):
                continue
            if result.check.area is not area:
                area = result.check.area
                self.stdout.write(f"\n{area.value} {area.label}")
            self.stdout.write(f"  {result.status.label!s:14} {result.check.id:7} {result.check.title}")
            self.stdout.write(f"  {'':22} {result.finding.found}")
            if result.needs_repair:
                self.stdout.write(f"  {'':22} → {result.check.repair}")
        counts = count(results)
        parts = [f"{Status(status).label}: {number}" for status, number in counts.items() if number]
        self.stdout.write(f"\n{len(results)} checks. {', '.join(parts)}.")
