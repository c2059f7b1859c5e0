"""`manage.py sync_directory [--dry-run] [--force]`: looks through the directory now."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import services
from accounts.config import DirectoryConfig
from accounts.models import DirectoryRun
from owui.lib.errors import UserError


class Command(BaseCommand):
    help = "Brings groups up to date with the directory and switches off who is closed or gone there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would change")
        parser.add_argument("--force", action="store_true", help="switch off however many people are gone")

    def handle(self, *args: Any, dry_run: bool, force: bool, **options: Any) -> None:
        if not DirectoryConfig.load().enable:
            raise CommandError("Sign-in with the directory is off (ENABLE_LDAP).")
        try:
            run = services.sync_directory(dry_run=dry_run, force=force)
        except UserError as error:
            raise CommandError(error.message) from error
        for change in run.changes:
            self.stdout.write(f"{change['user']}: {change['what']} {change.get('how', '')}".rstrip())
        for text in run.errors:
            self.stderr.write(text)
        if run.state != DirectoryRun.State.DONE:
            raise CommandError("The directory was not looked through to the end; see above.")
        verb = "would change" if dry_run else "changed"
        self.stdout.write(f"{run.seen} people seen, {run.known} of them have an account, {run.changed_count} {verb}.")
