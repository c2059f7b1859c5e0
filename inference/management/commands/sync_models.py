"""`manage.py sync_models`: gives every model that a server offers a row, so that it can be granted."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError, CommandParser

from inference import services
from inference.connections import load_setup
from inference.live import Lists, current


class Command(BaseCommand):
    help = "Registers the models of all connected servers. Models that are registered already stay as they are."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--public", action="store_true", help="everyone signed in may use the new ones")

    def handle(self, *args: Any, **options: Any) -> str:
        lists: Lists = async_to_sync(current)(load_setup(), refresh=True)
        for fault in lists.faults.values():
            self.stderr.write(fault)
        if not lists.models:
            raise CommandError("No server offers a model. Check the connections, for example with `config get openai`.")
        names = {model.id: model.name for model in lists.models.values()}
        rows = services.register_live(names, by=None, is_public=options["public"])
        who = "everyone signed in" if options["public"] else "administrators, until access is granted"
        return f"{len(rows)} of {len(names)} models are new; they are for {who}."
