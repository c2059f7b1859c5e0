"""`manage.py apply FILE.yaml [--plan] [--prune] [--json]`: people, groups, access and settings from one file."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Role, User
from owui.lib.errors import UserError
from owui.provision import show
from owui.provision.apply import apply_file, make_plan
from owui.provision.parse import BadFile
from owui.provision.progress import Progress

HAS_CHANGES = 2


class Command(BaseCommand):
    help = "Makes people, groups, permissions, connections, models, knowledge bases and settings what a file says."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="a YAML file; docs/provisioning.md has the format")
        parser.add_argument(
            "--plan", action="store_true", help="only show what would change; exits with 2 when something would"
        )
        parser.add_argument("--prune", action="store_true", help="also remove what is not in the file any more")
        parser.add_argument(
            "--adopt",
            metavar="EMAIL",
            action="append",
            default=[],
            help="this person signed up without anybody's word, and it is them; may be given several times",
        )
        parser.add_argument("--json", action="store_true", help="the plan as JSON")
        parser.add_argument("--by", metavar="EMAIL", help="the administrator whom the audit log shall name")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with Progress(sys.stderr) as progress:
                if options["plan"]:
                    plan = make_plan(options["file"], prune=options["prune"], progress=progress, adopt=options["adopt"])
                else:
                    by = _administrator(options["by"])
                    plan = apply_file(
                        options["file"], by=by, prune=options["prune"], progress=progress, adopt=options["adopt"]
                    )
        except BadFile as error:
            if options["json"]:
                found = [{"line": p.line, "column": p.column, "problem": p.text} for p in error.problems]
                self.stdout.write(json.dumps({"problems": found}, ensure_ascii=False))
            count = len(error.problems)
            summary = f"{count} problem{'s' if count > 1 else ''}; nothing was applied."
            raise CommandError(f"{error.message}\n{summary}") from error
        except UserError as error:
            raise CommandError(error.message) from error
        if options["json"]:
            self.stdout.write(json.dumps(show.as_json(plan), ensure_ascii=False, default=str))
        else:
            self.stdout.write(show.as_text(plan, is_applied=not options["plan"]))
        if options["plan"] and plan.count:
            sys.exit(HAS_CHANGES)


def _administrator(email: str | None) -> User | None:
    if not email:
        return None
    user = User.objects.filter(email=email.strip().lower(), role=Role.ADMIN, is_active=True).first()
    if user is None:
        raise UserError(f"{email} is not an active administrator. Name one, or leave --by out.")
    return user
