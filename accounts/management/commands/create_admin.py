"""`manage.py create_admin EMAIL --name "Dana Reyes"`: an administrator, also when nobody can sign in any more."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import services
from owui.lib.errors import UserError


class Command(BaseCommand):
    help = "Makes an administrator; an account that exists gets the role and, if one is given, the password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", default="", help="default: what stands before the @")
        parser.add_argument(
            "--password-stdin", action="store_true", help="read the password from standard input instead of asking"
        )

    def handle(self, *args: Any, email: str, name: str, password_stdin: bool, **options: Any) -> None:
        try:
            password = sys.stdin.readline().rstrip("\r\n") if password_stdin else getpass("Password: ")
        except EOFError as error:
            raise CommandError("There is no terminal to ask at. Give the password with --password-stdin.") from error
        try:
            user, is_new = services.make_admin(email=email, name=name, password=password)
        except UserError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{user.email} {'was made and ' if is_new else ''}is an administrator.")
