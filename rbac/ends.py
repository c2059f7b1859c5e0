"""When access ends, as people write and read it. A day without a time of day counts to its last second."""

from __future__ import annotations

from datetime import date, datetime, time

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_time
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from owui.lib.errors import UserError

END_OF_DAY = time(23, 59, 59)


def end_of(day: str, hour: str = "", *, now: datetime | None = None) -> datetime | None:
    """The end that somebody wrote into two fields; both empty is no end. 422 for what is no day, or over already."""
    day, hour = day.strip(), hour.strip()
    if not day and not hour:
        return None
    if not day:
        raise _refused(_("Choose a day as well, or take the time %(time)s away.") % {"time": hour[:20]})
    found, at = _day(day), _hour(hour)
    if found is None or at is None:
        text = f"{day} {hour}".strip()[:40]
        raise _refused(_("“%(text)s” is no date. Write a day like 2027-01-31.") % {"text": text})
    ends = timezone.make_aware(datetime.combine(found, at))
    if ends <= (now or timezone.now()):
        raise _refused(
            _("%(date)s is over already. Choose a later day, or take the line off the list.")
            % {"date": date_format(ends, "DATE_FORMAT")}
        )
    return ends


def _refused(text: str) -> UserError:
    return UserError(text, status=422, code="grant_end")


def _day(text: str) -> date | None:
    try:
        found = parse_date(text)
    except ValueError:
        return None
    # The last years of the calendar leave no room for a time zone.
    return found if found is not None and found.year < 9000 else None


def _hour(text: str) -> time | None:
    try:
        return parse_time(text) if text else END_OF_DAY
    except ValueError:
        return None


def day_of(ends: datetime | None) -> str:
    """What stands in the field of the day."""
    return timezone.localtime(ends).date().isoformat() if ends is not None else ""


def hour_of(ends: datetime | None) -> str:
    """What stands in the field of the time; empty for the end of a day."""
    if ends is None or _is_whole_day(ends):
        return ""
    here = timezone.localtime(ends)
    # Seconds are kept, or saving the form would move the end.
    return here.strftime("%H:%M:%S" if here.second else "%H:%M")


def until(ends: datetime) -> str:
    """ "until 31 Jan 2027", or "until 31 Jan 2027, 18:00"."""
    text = date_format(timezone.localtime(ends), "DATE_FORMAT" if _is_whole_day(ends) else "DATETIME_FORMAT")
    return _("until %(moment)s") % {"moment": text}


def _is_whole_day(ends: datetime) -> bool:
    return timezone.localtime(ends).time().replace(microsecond=0) == END_OF_DAY
