"""`manage.py texts`: collects what is to be translated into `locale/` and compiles the catalogues."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Collects the texts of code and templates into locale/ and compiles the catalogues."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 when something is wrong")
        parser.add_argument("--missing", metavar="LOCALE", help="print the texts that a language lacks")

    def handle(self, *args: Any, **options: Any) -> None:
        from owui import catalogues  # Babel is there for developers only

        if not options["check"] and not options["missing"]:
            catalogues.update()
        source, is_wrong = catalogues.texts(), False
        for locale in catalogues.LOCALES:
            found = catalogues.faults(locale, source)
            is_wrong |= bool(found.missing or found.broken or found.gone or found.stale)
            self.stdout.write(f"{locale}: {len(found.missing)} missing, {len(found.broken)} broken")
            for line in found.broken:
                self.stdout.write(f"  {line}")
            if options["missing"] == locale:
                for text in found.missing:
                    self.stdout.write(f"  {text!r}")
        if options["check"] and is_wrong:
            raise SystemExit(1)
