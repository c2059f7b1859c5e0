"""Security checks: what one is, how apps register theirs, and running them all.

    @check("6.2.a", _("Sign-up is closed"), repair=_("Switch sign-up off."), names=("ENABLE_SIGNUP",),
           key="auth.enable_signup")
    def signup_is_closed() -> Finding: ...

A check looks at the real state and answers with a `Finding`. Checks of this package live in `owui.security.checks`;
apps put theirs into `security_checks.py`, which is imported when checks are first run, so that this package knows no
app. Found texts hold values, never secrets.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import DatabaseError, connection, models, transaction
from django.utils import timezone
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from owui.config import store
from owui.config.registry import InvalidSetting, find
from owui.lib.errors import UserError
from owui.security.config import SecurityDeclarations

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

log = logging.getLogger(__name__)
T = TypeVar("T")

# A check that needs longer is reported as not done; the page must come at 10,000 people as well.
STATEMENT_TIMEOUT_MS = 1000


class Status(models.TextChoices):
    """What came out, the most pressing first."""

    FAIL = "fail", _("Fail")
    WARN = "warn", _("Warning")
    UNKNOWN = "unknown", _("Unknown")
    DECLARED = "declared", _("Declared")
    OK = "ok", _("OK")
    NOT_APPLICABLE = "not_applicable", _("Not applicable")


class Area(models.TextChoices):
    """The rows of the checklist."""

    NETWORK = "6.1", _("Network")
    AUTH = "6.2", _("Sign-in and accounts")
    DATA = "6.3", _("Data and access")
    SECRETS = "6.4", _("Secrets")
    IMAGES = "6.5", _("Images")
    FUNCTIONS = "6.6", _("Functions and code")
    TERMINAL = "6.7", _("Terminal")
    OPERATIONS = "6.8", _("Operations")
    COOKIES = "6.9", _("Cookies and sessions")
    AUDIT = "6.10", _("Audit")
    INFERENCE = "6.11", _("Local inference")
    ROTATION = "6.12", _("Rotation of secrets")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw: a status and one sentence."""

    status: Status
    found: str


def ok(found: _StrOrPromise) -> Finding:
    return Finding(Status.OK, str(found))


def warn(found: _StrOrPromise) -> Finding:
    return Finding(Status.WARN, str(found))


def fail(found: _StrOrPromise) -> Finding:
    return Finding(Status.FAIL, str(found))


def unknown(found: _StrOrPromise) -> Finding:
    return Finding(Status.UNKNOWN, str(found))


def not_applicable(found: _StrOrPromise) -> Finding:
    return Finding(Status.NOT_APPLICABLE, str(found))


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `names` are variables, `key` a stored setting: where the repair is made."""

    id: str
    title: _StrOrPromise
    repair: _StrOrPromise
    look: Callable[[], Finding]
    names: tuple[str, ...] = ()
    key: str = ""
    declarable: bool = False
    beyond: bool = False

    @property
    def area(self) -> Area:
        return Area(self.id.rpartition(".")[0])

    @property
    def order(self) -> tuple[int, str]:
        return int(self.area.value.partition(".")[2]), self.id


@dataclass(frozen=True, slots=True)
class Result:
    """A check with what it found, and where its setting comes from now."""

    check: Check
    finding: Finding
    origin: str = ""
    section: str = ""

    @property
    def status(self) -> Status:
        return self.finding.status

    @property
    def needs_repair(self) -> bool:
        return self.status in (Status.FAIL, Status.WARN, Status.UNKNOWN)

    def as_json(self) -> dict[str, Any]:
        check = self.check
        return {
            "id": check.id,
            "area": str(check.area.label),
            "title": str(check.title),
            "status": self.status.value,
            "found": self.finding.found,
            "repair": str(check.repair) if self.needs_repair else "",
            "variables": list(check.names),
            "setting": check.key,
            "origin": self.origin,
            "declarable": check.declarable,
            "beyond_checklist": check.beyond,
        }


_checks: dict[str, Check] = {}
_memory: ContextVar[dict[Any, Any] | None] = ContextVar("security_checks", default=None)


def check(
    id: str,  # noqa: A002
    title: _StrOrPromise,
    *,
    repair: _StrOrPromise,
    names: tuple[str, ...] = (),
    key: str = "",
    declarable: bool = False,
    beyond: bool = False,
) -> Callable[[Callable[[], Finding]], Callable[[], Finding]]:
    """Registers a check.

    :param declarable: whether an administrator may answer when the check cannot (it says "unknown")
    :param beyond: true for what the checklist of the field does not ask
    """

    def register(look: Callable[[], Finding]) -> Callable[[], Finding]:
        known = _checks.get(id)
        if known is not None and known.look.__qualname__ != look.__qualname__:
            raise TypeError(f"Two security checks have the number {id}.")
        _checks[id] = Check(id, title, repair, look, names, key, declarable, beyond)
        return look

    return register


def declared(id: str, title: _StrOrPromise, *, found: _StrOrPromise, repair: _StrOrPromise) -> None:  # noqa: A002
    """Registers a check that only people can make."""

    def look() -> Finding:
        return unknown(found)

    look.__qualname__ = f"declared.{id}"
    check(id, title, repair=repair, names=("SECURITY_DECLARATIONS",), key="security.declarations", declarable=True)(
        look
    )


def once(ask: Callable[[], T]) -> Callable[[], T]:
    """A question that several checks share, asked once a run. A failure is not kept: its cause is bounded anyway."""

    @functools.wraps(ask)
    def answer() -> T:
        memory = _memory.get()
        if memory is None:
            return ask()
        if answer not in memory:
            memory[answer] = ask()
        return memory[answer]  # type: ignore[no-any-return]

    return answer


def all_checks() -> list[Check]:
    """Every check in the order of its number; the first call imports the modules that declare them."""
    autodiscover_modules("security_checks")
    return sorted(_checks.values(), key=lambda found: found.order)


def run_checks(ids: set[str] | None = None) -> list[Result]:
    """Runs all checks (or those with the given numbers). A check that fails says so and disturbs no other.

    :raises OperationalError: the database cannot be reached at all
    """
    memory = _memory.set({})
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")
            evidence = SecurityDeclarations.load().evidence()
            wanted = [found for found in all_checks() if ids is None or found.id in ids]
            return [_result(found, evidence) for found in wanted]
    finally:
        _memory.reset(memory)


def _result(found: Check, evidence: dict[str, str]) -> Result:
    finding = _finding(found)
    if finding.status is Status.UNKNOWN and found.declarable and found.id in evidence:
        finding = Finding(
            Status.DECLARED, str(_("Declared, not checked: %(evidence)s") % {"evidence": evidence[found.id]})
        )
    try:
        setting = find(found.key)
    except InvalidSetting:
        return Result(found, finding)
    return Result(found, finding, store.origin(setting).name, setting.section.prefix)


def _finding(found: Check) -> Finding:
    try:
        with transaction.atomic():
            return found.look()
    except UserError as error:
        reason = error.message
    except DatabaseError:
        log.warning("security check %s: the database refused or took too long", found.id, exc_info=True)
        reason = str(_("the database refused, or took too long. The log has the details."))
    except Exception:
        # Whatever one check stumbles over, the others are still worth reading.
        log.exception("security check %s failed", found.id)
        reason = str(_("something unexpected happened. The log has the details."))
    return unknown(_("Could not be checked: %(reason)s") % {"reason": reason})


def count(results: list[Result]) -> dict[Status, int]:
    """How many results have each status, in the order of urgency."""
    return {status: sum(result.status is status for result in results) for status in Status}


def is_good(results: list[Result], *, strict: bool = False) -> bool:
    """No failure; with `strict` also no warning and nothing unknown."""
    bad = (Status.FAIL, Status.WARN, Status.UNKNOWN) if strict else (Status.FAIL,)
    return not any(result.status in bad for result in results)


def as_report(results: list[Result]) -> dict[str, Any]:
    """The JSON form of a run, for the export and the command."""
    return {
        "checked_at": timezone.now().isoformat(timespec="seconds"),
        "counts": {status.value: number for status, number in count(results).items()},
        "checks": [result.as_json() for result in results],
    }
