"""6.10 Audit: the log is there, protected, sealed, and somebody checks it."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from owui.audit import chain
from owui.audit.models import AuditEvent, AuditHead, AuditPending, AuditSeal
from owui.security.registry import Finding, check, fail, ok, warn

# An event is sealed about a second after its commit.
_BACKLOG = timedelta(minutes=1)
_VERIFY_EVERY = timedelta(days=7)
_TRIGGERS = 5


@check(
    "6.10.a",
    _("The audit log is on, chats included, and refuses changes"),
    repair=_("Find out who switched the triggers off, run `manage.py audit verify`, and enable them again."),
    names=("AUDIT_LOG_LEVEL",),
)
def triggers() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal"
            " AND tgrelid IN (to_regclass('audit_auditevent'), to_regclass('audit_auditseal'))"
        )
        found = dict(cursor.fetchall())
    # "D" is disabled, "R" fires for replication only.
    off = sorted(name for name, state in found.items() if state in ("D", "R"))
    if off or len(found) < _TRIGGERS:
        names = ", ".join(off) or _("%(count)d are missing") % {"count": _TRIGGERS - len(found)}
        return fail(_("Triggers that protect the log are off: %(names)s.") % {"names": names})
    return ok(
        _("Always on, whatever AUDIT_LOG_LEVEL says, chats included; %(count)d triggers protect it.")
        % {"count": len(found)}
    )


@check(
    "6.10.b",
    _("Events are sealed"),
    repair=_("See the log of the server for “audit”; after a change of the secret key run `manage.py audit rekey`."),
    beyond=True,
)
def sealing() -> Finding:
    head, last = AuditHead.objects.filter(id=1).first(), AuditSeal.objects.order_by("-sequence").first()
    if head is None:
        return fail(_("The record of the chain's end is missing."))
    if not chain.head_is_ours(head.sequence, head.hash, head.mac):
        return fail(_("The signature of the chain's end is wrong: it was changed, or the secret key was."))
    if (head.sequence, head.hash) != ((last.sequence, last.hash) if last else (0, head.hash)):
        return fail(_("The chain does not end where it should: seals were cut off or added."))
    oldest = AuditPending.objects.order_by("event_id").values_list("event_id", flat=True).first()
    waiting = AuditEvent.objects.filter(pk=oldest, at__lt=timezone.now() - _BACKLOG).first() if oldest else None
    if waiting is not None:
        return fail(_("An event of %(at)s is not sealed yet.") % {"at": f"{waiting.at:%Y-%m-%d %H:%M}"})
    return ok(_("The chain ends at seal %(number)d, and its signature is right.") % {"number": head.sequence})


@check(
    "6.10.c",
    _("The audit log is verified regularly"),
    repair=_("Run `manage.py audit verify` daily from a scheduler, and note the end of the chain elsewhere."),
    beyond=True,
)
def verified_lately() -> Finding:
    latest = AuditEvent.objects.filter(action="audit.verified").order_by("-at").first()
    if latest is None:
        return warn(_("`manage.py audit verify` has never been run over the whole log."))
    values = {"at": f"{latest.at:%Y-%m-%d %H:%M}", "faults": int(latest.detail.get("faults", 0))}
    if values["faults"]:
        return fail(_("The check of %(at)s found %(faults)d faults.") % values)
    if latest.at < timezone.now() - _VERIFY_EVERY:
        return warn(_("Last verified whole on %(at)s, more than a week ago.") % values)
    return ok(_("Verified whole on %(at)s.") % values)
