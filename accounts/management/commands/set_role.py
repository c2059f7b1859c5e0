"""`manage.py set_role EMAIL user`: approves, promotes or suspends a person."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import services
from accounts.models import Role, User
from owui.lib.errors import UserError


class Command(BaseCommand):
    help = "Sets a person's role: admin, user (approves somebody who waits) or pending."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("role", choices=Role.values)

    def handle(self, *args: Any, email: str, role: str, **options: Any) -> None:
        user = User.objects.filter(email=email.strip().lower()).first()
        if user is None:
            raise CommandError(f"There is no account with the address {email}.")
        try:
            services.update_user(user, by=None, role=role)
        except UserError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{user.email} has the role {role} now.")
