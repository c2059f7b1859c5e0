"""Errors written for people, and the three edges that show them.

A service raises a `UserError`: what happened and what to do next, a code for programs, a status. REST answers
`{"detail": message}`, HTML a page or a toast, a socket an error frame. Anything else is a bug: it is logged with a
reference number, and that number is all the person sees.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SynchronousOnlyOperation
from django.db import DatabaseError, DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

log = logging.getLogger(__name__)

# Programs know these by their words; pages say them in the reader's language.
ACCESS_PROHIBITED = gettext_noop(
    "You do not have permission to access this resource. Please contact your administrator for assistance."
)
NOT_FOUND = gettext_noop("We could not find what you're looking for :/")


class UserError(Exception):
    """Something the person can understand and act on.

    :param message: what happened and what to do next, in one or two sentences
    :param status: HTTP status at the REST and HTML edges
    :param code: a short stable word for programs
    """

    status = 400
    code = "bad_request"

    def more(self) -> dict[str, Any]:
        """Further fields of the REST answer, beside `detail`."""
        return {}

    def headers(self) -> dict[str, str]:
        """Headers of the REST answer."""
        return {}

    def __init__(self, message: Any, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(str(message))
        self.message = str(message)
        self.status = status or self.status
        self.code = code or self.code


class Refused(UserError):
    """The person may not do this. REST keeps the reference's code per route."""

    status = 403
    code = "refused"

    @classmethod
    def for_permission(cls, status: int) -> Refused:
        """A missing permission key: `401 Unauthorized` text with 401, the access text with 403."""
        return cls("401 Unauthorized" if status == 401 else ACCESS_PROHIBITED, status=status, code="permission")


class Missing(UserError):
    """It does not exist, or the person may not know that it does."""

    status = 404
    code = "missing"

    def __init__(self, message: Any = NOT_FOUND, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message, status=status, code=code)


#: the database is away, or every connection is taken: nothing is wrong with what the person asked
OUTAGES = (OperationalError, InterfaceError)


def outage_text() -> str:
    return _("The database cannot be reached at the moment. Nothing you sent is lost on this page: try again shortly.")


def too_big_text() -> str:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // (1024 * 1024)
    return _("This request is larger than %(limit)s MB. Send less at once; upload long texts as files.") % {
        "limit": limit
    }


def unstorable_text() -> str:
    return _("Something in this request cannot be stored: a text is too long or holds a character that is not text.")


def reference() -> str:
    """A short number that ties what the person saw to the line in the log."""
    return uuid.uuid4().hex[:8].upper()


class ErrorPageMiddleware:
    """Renders `UserError` of an HTML view as a page, or as a toast for an htmx request."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, Refused) and exception.status == 401:
            # REST keeps the field's 401 for "you may not"; in a browser it means "who are you?".
            return error_response(request, 403, ACCESS_PROHIBITED)
        if isinstance(exception, UserError):
            return error_response(request, exception.status, exception.message)
        if isinstance(exception, OUTAGES):
            log.error("%s %s: %s", request.method, request.path, exception)
            return error_response(request, 503, outage_text())
        if isinstance(exception, RequestDataTooBig):
            return error_response(request, 413, too_big_text())
        if isinstance(exception, DataError):
            log.warning("%s %s: %s", request.method, request.path, exception)
            return error_response(request, 400, unstorable_text())
        return None


def error_response(request: HttpRequest, status: int, message: str, ref: str = "") -> HttpResponse:
    """The HTML edge: a whole page, or a toast when htmx asked. A toast keeps what is on the page as it is."""
    _know_reader(request)
    # The field's text for programs is no sentence for people; the page has one of its own.
    message = _(message) if message == ACCESS_PROHIBITED else "" if message == NOT_FOUND else message
    if status == 404 and not message:
        message = _("The address may be wrong, it may have been deleted, or it may not be shared with you.")
    context = {"message": message, "kind": "bad", "reference": ref}
    if getattr(request, "htmx", False):
        response = render(request, "errors/_toast.html", context, status=status)
        response["HX-Retarget"] = "#toasts"
        response["HX-Reswap"] = "beforeend"
        return response
    known = status if status in (400, 403, 404, 500) else 500 if status >= 500 else 400
    return render(request, f"errors/{known}.html", context, status=status)


def _know_reader(request: HttpRequest) -> None:
    """Who reads decides the language, so this comes before the first word. Where nobody can be looked up (the database
    is away, or this is the event loop), it stays the browser's."""
    with suppress(DatabaseError, SynchronousOnlyOperation):
        bool(getattr(request, "user", None))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler404; REST paths answer JSON."""
    if request.path.startswith(("/api/", "/ollama/", "/openai/", "/v1/")):
        from django.http import JsonResponse

        return JsonResponse({"detail": "Not Found"}, status=404)
    message = str(exception) if isinstance(exception, Http404) and " " in str(exception) else ""
    return error_response(request, 404, message if message and "path" not in message else "")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler400."""
    return error_response(request, 400, _("The request could not be understood. Reload the page and try again."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler403."""
    return error_response(request, 403, str(exception) or ACCESS_PROHIBITED)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """handler500: Django has logged the exception; the reference in the page stands in the log beside it."""
    ref = reference()
    log.error("reference %s for the error above, path %s", ref, request.path)
    return error_response(request, 500, "", ref)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """CSRF_FAILURE_VIEW: the text says what to do."""
    return error_response(
        request, 403, _("This form was open for too long or came from another site. Reload the page and try again.")
    )
