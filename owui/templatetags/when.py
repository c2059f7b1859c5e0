"""`{% when moment %}`: relative within a week, then the date; the exact time is in the title."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

register = template.Library()


def in_words(moment: datetime, now: datetime) -> str:
    """How people say when something was."""
    seconds = (now - moment).total_seconds()
    if seconds < 60:
        return _("just now")
    if seconds < 3600:
        minutes = int(seconds // 60)
        return ngettext("%d minute ago", "%d minutes ago", minutes) % minutes
    here, today = timezone.localtime(moment), timezone.localtime(now).date()
    days = (today - here.date()).days
    if days <= 0 or seconds < 6 * 3600:
        hours = int(seconds // 3600)
        return ngettext("%d hour ago", "%d hours ago", hours) % hours
    if days == 1:
        return _("yesterday")
    if days <= 7:
        return ngettext("%d day ago", "%d days ago", days) % days
    return date_format(here, "DATE_FORMAT")


@register.simple_tag
def when(moment: datetime | None) -> SafeString | str:
    if moment is None:
        return ""
    exact = timezone.localtime(moment).replace(microsecond=0)
    title = _exactly(exact, get_language())
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', exact.isoformat(), title, in_words(moment, timezone.now())
    )


@lru_cache(maxsize=500)
def _exactly(moment: datetime, language: str) -> str:
    """To the second; what a page shows, and what begins at the same time, is often of the same one."""
    return f"{date_format(moment, 'DATETIME_FORMAT')} {date_format(moment, 'e')}"
