"""Lets a key that another system gave out go on working here."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import services
from accounts.models import User
from owui.lib.errors import UserError


class Command(BaseCommand):
    help = "Imports an API key (sk-...) for a person. The key is read from standard input; only its hash is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="whose key it is")
        parser.add_argument("--name", default="Imported key", help="what its owner sees")

    def handle(self, *, email: str, name: str, **options: Any) -> None:
        user = User.objects.filter(email=email.strip().lower()).first()
        if user is None:
            raise CommandError(f"Nobody here has the address {email}.")
        # Not an argument: everybody on the machine can read those of a running process.
        text = sys.stdin.readline()
        try:
            key = services.import_key(user, text=text, name=name, by=None)
        except UserError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{user.email} may use the key …{key.last_four} here.")
