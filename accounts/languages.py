"""In which language somebody reads: what they chose, else what the house set, else what their browser asks for.

Django's own middleware has read browser and cookie when a request begins. `speak` corrects that as soon as it is known
who asks, which needs the database; from then on everything that is written for the request is in that language, since
tasks and threads that it starts inherit it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import translation

from accounts import preferences
from accounts.models import User
from owui.config.sections import UiConfig

FIELD = "language"


def supported(code: Any) -> str:
    """Our code of a language: `de` for `de-AT`, `zh-hans` for `zh-CN`; empty for one that we do not have."""
    if not isinstance(code, str) or not code:
        return ""
    try:
        return translation.get_supported_language_variant(code)
    except LookupError:
        return ""


def chosen_by(user: User) -> str:
    """What the person chose, empty for nothing. Other clients call it `locale`."""
    stored = user.settings.get("ui") if isinstance(user.settings, dict) else None
    return _named(stored)


def _named(ui: Any) -> str:
    return supported(ui.get(FIELD)) or supported(ui.get("locale")) if isinstance(ui, dict) else ""


def _of_house(config: UiConfig) -> str:
    return _named(config.default_interface_settings) or supported(config.default_locale)


def language_for(user: User | None, cookies: Mapping[str, str], accept: str) -> str:
    """The language of a reader. For a thread: settings are read.

    :param accept: the browser's `Accept-Language`
    """
    if user is not None and (own := chosen_by(user)):
        return own
    # Chosen in this browser, by somebody who has signed out since.
    if kept := supported(cookies.get(settings.LANGUAGE_COOKIE_NAME)):
        return kept
    if house := _of_house(UiConfig.load()):
        return house
    asking = HttpRequest()
    asking.META["HTTP_ACCEPT_LANGUAGE"] = accept
    return translation.get_language_from_request(asking)


def speak(request: HttpRequest, user: User | None) -> None:
    """From here on the request is answered in the reader's language."""
    try:
        language = language_for(user, request.COOKIES, request.headers.get("accept-language", ""))
    except (DatabaseError, SynchronousOnlyOperation):
        return  # what browser and cookie say is active already
    translation.activate(language)
    request.LANGUAGE_CODE = language


def speaking_to(user: User) -> AbstractContextManager[Any]:
    """For what is written to somebody who asks nothing just now: a mail, news of a task."""
    return translation.override(chosen_by(user) or _of_house(UiConfig.load()) or settings.LANGUAGE_CODE)


def choose(user: User, code: str) -> str:
    """Keeps the person's language; an empty or unknown one means "like the browser".

    :returns: what is kept
    """
    kept = supported(code) if code in dict(settings.LANGUAGES) else ""
    preferences.change_interface(user, {FIELD: kept})
    return kept


def _same_site() -> Any:
    return settings.LANGUAGE_COOKIE_SAMESITE


def keep(response: HttpResponse, language: str) -> None:
    """The browser remembers it for the pages before one is in."""
    if not language:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME, samesite=_same_site())
        return
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite=_same_site(),
    )
