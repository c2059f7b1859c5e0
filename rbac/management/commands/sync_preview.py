"""`manage.py sync_preview --user dana@example.org --groups "Quality,Research"`: what a sync would change."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from rbac.models import MembershipSource
from rbac.services.sync import blocked_patterns, describe, plan_sync


class Command(BaseCommand):
    help = "Says what a sync of groups would change for a person; changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, help="e-mail address")
        parser.add_argument("--groups", help="the names as claimed, with commas between; left out: the claim is absent")
        parser.add_argument("--source", default=MembershipSource.OIDC, choices=MembershipSource.values)
        parser.add_argument("--create", action="store_true", help="with the switch that makes unknown groups")
        parser.add_argument(
            "--keep-manual", action="store_true", default=None, help="as with ENABLE_GROUP_SYNC_KEEP_MANUAL=True"
        )
        parser.add_argument("--blocked", default="", help="as in OAUTH_BLOCKED_GROUPS")

    def handle(self, *args: Any, user: str, groups: str | None, source: str, **options: Any) -> None:
        people = get_user_model()._default_manager.filter(email=user.strip().lower())
        person: Any = people.first()
        if person is None:
            raise CommandError(f"There is no account with the address {user}.")
        plan = plan_sync(
            person,
            None if groups is None else groups.split(","),
            source=source,
            create_missing=options["create"],
            keep_manual=options["keep_manual"],
            blocked=blocked_patterns(options["blocked"]),
        )
        for sentence, names in describe(plan):
            self.stdout.write(f"{sentence}: {', '.join(names)}" if names else sentence)
