"""Prompt variables such as `{{USER_NAME}}`: what stands for them in the prompts of models, chats, people and folders.

The values are always those of the person who asks, whoever wrote the prompt. Each prompt is filled in one go: what is
filled in is not looked at again, so nobody's name or bio brings in something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import get_language

from accounts.models import User
from rbac.models import Group
from rbac.sharing import groups_of

_VARIABLE = re.compile(r"\{\{\s*([^{}|\s][^{}|]{0,98}?)\s*\}\}")
#: what is known of everybody, and not given by this person
UNKNOWN = "Unknown"
#: filled in with what retrieval found, and by nobody else
_OF_RETRIEVAL = ("CONTEXT", "QUERY")
_LONGEST = 10_000


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables replaced; those that nobody knows stay as they are."""
    if "{{" not in text:
        return text
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), text)


def values_for(user: User, texts: Iterable[str], given: Any = None) -> dict[str, str]:
    """What stands for the variables in some texts. For a thread: groups cost a statement, where they are named.

    :param given: the request's own `variables`, with or without braces; they win
    """
    wanted = {name for text in texts if "{{" in text for name in _VARIABLE.findall(text)}
    if not wanted:
        return {}
    known = _known(user, wanted) | _given(given)
    return {name: value for name, value in known.items() if name in wanted}


def _given(given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping):
        return {}
    plain = {str(k).strip().removeprefix("{{").removesuffix("}}").strip(): v for k, v in given.items()}
    return {
        name: str(value)[:_LONGEST]
        for name, value in plain.items()
        if name not in _OF_RETRIEVAL and isinstance(value, (str, int, float))
    }


def _known(user: User, wanted: set[str]) -> dict[str, str]:
    now = timezone.now().astimezone(zone_of(user))
    day, clock = now.strftime("%Y-%m-%d"), now.strftime("%I:%M:%S %p")
    born = user.date_of_birth
    location = user.info.get("location") if isinstance(user.info, dict) else None
    values = {
        "CURRENT_DATE": day,
        "CURRENT_TIME": clock,
        "CURRENT_DATETIME": f"{day} {clock}",
        "CURRENT_WEEKDAY": _WEEKDAYS[now.weekday()],
        "CURRENT_TIMEZONE": str(now.tzinfo),
        "USER_NAME": " ".join(user.name.split()) or UNKNOWN,
        "USER_EMAIL": user.email or UNKNOWN,
        "USER_BIO": user.bio.strip() or UNKNOWN,
        "USER_GENDER": " ".join(user.gender.split()) or UNKNOWN,
        "USER_BIRTH_DATE": born.isoformat() if born else UNKNOWN,
        "USER_AGE": str(_age(born, now.date())) if born else UNKNOWN,
        "USER_LANGUAGE": language_of(user),
    }
    if isinstance(location, str) and location.strip():
        values["USER_LOCATION"] = " ".join(location.split())
    if "USER_GROUPS" in wanted:
        names = Group.objects.filter(pk__in=groups_of(user.pk)).order_by("name", "pk").values_list("name", flat=True)
        values["USER_GROUPS"] = ", ".join(names) or UNKNOWN
    return values


# Not by strftime, which follows the locale of the process.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def zone_of(user: User) -> tzinfo:
    """The person's time zone, or the house's."""
    try:
        return ZoneInfo(user.timezone) if user.timezone else timezone.get_default_timezone()
    except (KeyError, ValueError, OSError):  # one that the machine does not know, or no name of one at all
        return timezone.get_default_timezone()


def language_of(user: User) -> str:
    """The language of the person's page."""
    interface = user.settings.get("ui") if isinstance(user.settings, dict) else None
    chosen = interface.get("language") or interface.get("locale") if isinstance(interface, dict) else None
    return chosen if isinstance(chosen, str) and chosen else get_language() or "en"


def _age(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
