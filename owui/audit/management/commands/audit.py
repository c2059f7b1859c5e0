"""`manage.py audit verify|export|tail|rekey`."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils.dateparse import parse_date, parse_datetime

from owui.audit import sealer
from owui.audit.models import AuditEvent, AuditSeal
from owui.audit.record import record
from owui.audit.verify import event_lines, verify


class Command(BaseCommand):
    help = "Proves, exports and shows the audit log."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        check = verbs.add_parser("verify", help="check every event and the chain; exit code 1 when anything is wrong")
        check.add_argument("--since", help="only what was sealed since this time, for example 2026-01-31")
        check.add_argument(
            "--expect", metavar="NUMBER:HASH", help="an end of the chain noted earlier, which must be there"
        )
        check.add_argument("--backlog", type=float, default=10, help="seconds an event may wait for its seal")
        export = verbs.add_parser("export", help="write all events to the standard output")
        export.add_argument("--format", choices=["jsonl"], default="jsonl")
        export.add_argument("--since", help="only events since this time")
        tail = verbs.add_parser("tail", help="show the latest events")
        tail.add_argument("-n", type=int, default=20, help="how many")
        rekey = verbs.add_parser("rekey", help="sign the end of the chain anew after a change of WEBUI_SECRET_KEY")
        rekey.add_argument("--reason", required=True, help="kept in the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['verb']}")(**options)

    def _verify(self, since: str | None, expect: str | None, backlog: float, **options: Any) -> None:
        noted = None
        if expect:
            number, _, digest = expect.partition(":")
            if not number.isdigit() or not digest:
                raise CommandError("--expect wants NUMBER:HASH, as an earlier `audit verify` printed it.")
            noted = (int(number), digest)
        result = verify(since=_time(since), backlog=timedelta(seconds=backlog), expect=noted)
        for problem in result.problems:
            self.stdout.write(f"{problem.kind.upper():9} {problem}")
        if not since:
            with transaction.atomic():
                # The security status tells by it when the log was last checked as a whole.
                detail = {"seals": result.checked, "end": f"{result.sequence}:{result.hash}"}
                record(
                    "audit.verified", by=None, object_type="audit", detail={**detail, "faults": len(result.problems)}
                )
        if result.problems:
            raise CommandError(f"{len(result.problems)} faults in the audit log; {result.checked} seals were checked.")
        self.stdout.write(
            f"The audit log is whole: {result.checked} seals checked, it ends at {result.sequence}:{result.hash}."
        )

    def _export(self, since: str | None, **options: Any) -> None:
        for line in event_lines(_time(since)):
            self.stdout.write(json.dumps(line, cls=DjangoJSONEncoder, ensure_ascii=False))

    def _tail(self, n: int, **options: Any) -> None:
        for event in reversed(AuditEvent.objects.order_by("-id")[:n]):
            self.stdout.write(f"{event.at:%Y-%m-%d %H:%M:%S} {event}")

    def _rekey(self, reason: str, **options: Any) -> None:
        with transaction.atomic():
            if not sealer.try_lock():
                raise CommandError("Another process is sealing just now. Try again.")
            last = AuditSeal.objects.order_by("-sequence").first()
            if last is None:
                raise CommandError("There is no chain yet.")
            record("audit.rekeyed", by=None, object_type="audit", detail={"reason": reason, "sequence": last.sequence})
            sealer.move_head(last.sequence, last.hash)
        self.stdout.write(f"The chain ends at {last.sequence}:{last.hash}, signed with the present key.")


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        if (moment := parse_datetime(text)) is None and (day := parse_date(text)):
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{text!r} is not a time. Write 2026-01-31 or 2026-01-31T12:00:00Z.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
