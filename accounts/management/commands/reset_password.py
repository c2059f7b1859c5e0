"""`manage.py reset_password EMAIL`: for a person who cannot get the mail."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import reset_links, services
from accounts.models import User
from owui.lib.errors import UserError


class Command(BaseCommand):
    help = "Prints a one-time link, good for an hour, by which the person chooses a new password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument(
            "--password-stdin", action="store_true", help="set the password that comes on standard input instead"
        )

    def handle(self, *args: Any, email: str, password_stdin: bool, **options: Any) -> None:
        user = User.objects.filter(email=email.strip().lower()).first()
        if user is None:
            raise CommandError(f"There is no account with the address {email}.")
        if password_stdin:
            try:
                services.update_user(user, by=None, password=sys.stdin.readline().rstrip("\r\n"))
            except UserError as error:
                raise CommandError(error.message) from error
            self.stdout.write(f"{user.email} has a new password; all sessions were ended.")
            return
        if not reset_links.may_reset(user):
            raise CommandError(
                f"{user.email} is switched off, or has no password here: use --password-stdin to set one."
            )
        self.stdout.write(services.new_reset_link(user))
