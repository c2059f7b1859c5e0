"""`/api/v1/scim/v2`: the provisioning interface. Thin: who asks, what they ask, and the protocol's own error bodies."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import ValidationError
from scim2_models import (
    Context,
    Error,
    InvalidFilterException,
    NotFoundException,
    NotImplementedException,
    PatchOp,
    Resource,
    SCIMException,
)

from accounts.config import ScimConfig
from accounts.scim import groups, shapes, users
from accounts.scim.asked import Query, query
from accounts.scim.filters import condition, order
from owui.lib.errors import UserError, outage_text, reference, too_big_text

log = logging.getLogger(__name__)
router = Router(tags=["scim"])
_MESSAGES = "urn:ietf:params:scim:api:messages:2.0"
_KINDS: dict[str, ModuleType] = {"Users": users, "Groups": groups}


# -------------------------------------------------------------------------------------------------------------- edges
def _answer(body: Any, status: int = 200, **headers: str) -> HttpResponse:
    response = HttpResponse(json.dumps(body), status=status, content_type="application/scim+json")
    for name, value in headers.items():
        response[name] = value
    return response


def _failure(status: int, detail: str, scim_type: str | None = None) -> HttpResponse:
    error = Error(status=status, detail=detail, scim_type=scim_type)
    return _answer(error.model_dump(), status)


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """None for the client that may. Off is off for everybody; then only the token counts, compared in constant time."""
    kind, _space, given = request.headers.get("authorization", "").partition(" ")
    token = ScimConfig.load().token
    if kind.lower() == "bearer" and token and hmac.compare_digest(given.strip().encode(), token.encode()):
        return None
    response = _failure(401, "The bearer token of the provisioning client is missing or wrong.")
    response["WWW-Authenticate"] = "Bearer"
    return response


def _operation(view: Callable[..., HttpResponse], *, is_open: bool = False) -> Callable[..., HttpResponse]:
    @wraps(view)
    def edge(request: HttpRequest, **path: Any) -> HttpResponse:
        if not ScimConfig.load().enable:
            return _failure(403, "Provisioning by SCIM is switched off.")
        if not is_open and (refusal := _refusal(request)):
            return refusal
        try:
            with shapes.POLICY:
                return view(request, **path)
        except Exception as error:
            return _told(request, error)

    return edge


def scim(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """An operation of the provisioning client."""
    return _operation(view)


def discovery(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """What anybody may read, so that a client can be set up."""
    return _operation(view, is_open=True)


def _told(request: HttpRequest, error: Exception) -> HttpResponse:
    """The protocol's answer to whatever went wrong; what is a bug goes to the log with a reference."""
    if isinstance(error, SCIMException):
        return _failure(error.status, _line(error.detail), error.scim_type or None)
    if isinstance(error, ValidationError):
        first = Error.from_validation_errors(error)[0]
        return _failure(first.status or 400, _line(first.detail or ""), first.scim_type)
    if isinstance(error, UserError):
        if error.code == "email_taken":
            return _failure(409, error.message, "uniqueness")
        return _failure(error.status, error.message, "invalidValue" if error.status == 400 else None)
    if isinstance(error, IntegrityError):
        # Two clients at once: the database let one in.
        log.warning("%s %s: %s", request.method, request.path, error)
        return _failure(409, "This was created or changed by another request just now.", "uniqueness")
    if isinstance(error, DataError | UnicodeEncodeError):
        return _failure(400, "A value holds characters that cannot be stored.", "invalidValue")
    if isinstance(error, RequestDataTooBig):
        return _failure(413, too_big_text())
    if isinstance(error, OperationalError | InterfaceError):
        log.error("%s %s: %s", request.method, request.path, error)
        return _failure(503, outage_text())
    ref = reference()
    log.error("reference %s: %s %s", ref, request.method, request.path, exc_info=error)
    return _failure(500, f"Something went wrong on the server; reference {ref}.")


def _line(text: str) -> str:
    """A library's text in one line, without its links."""
    lines = [line.strip() for line in text.splitlines() if "errors.pydantic.dev" not in line]
    return " ".join(line for line in lines if line)[:500]


def _base(request: HttpRequest) -> str:
    path = request.path.split("/scim/v2", 1)[0] + "/scim/v2"
    return request.build_absolute_uri(path)


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SCIMSyntax(detail="The body must be a JSON object.")
    return found


class SCIMSyntax(SCIMException):
    status = 400
    scim_type = "invalidSyntax"


def _kind(name: str) -> Any:
    if name in ("Bulk", "Me"):
        raise NotImplementedException(detail="This is not supported; ServiceProviderConfig says what is.")
    found = _KINDS.get(name)
    if found is None:
        raise NotFoundException(detail="There is no such endpoint.")
    return found


def _read(shape: type[Resource[Any]], request: HttpRequest, context: Context) -> Any:
    body = _body(request)
    if shape is shapes.User and not body.get("emails") and "@" in str(body.get("userName") or ""):
        # Many directories name people by their address and send nothing else.
        body["emails"] = [{"value": body["userName"], "primary": True}]
    return shape.model_validate(body, scim_ctx=context)


# ---------------------------------------------------------------------------------------------------------- discovery
def _absolute(resource: dict[str, Any], base: str) -> dict[str, Any]:
    return resource | {"meta": resource["meta"] | {"location": f"{base}/{resource['meta']['location']}"}}


def _list(resources: list[dict[str, Any]], total: int, start: int = 1) -> dict[str, Any]:
    return {
        "schemas": [f"{_MESSAGES}:ListResponse"],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(resources),
        "Resources": resources,
    }


def _described(request: HttpRequest, found: dict[str, dict[str, Any]], key: str | None) -> HttpResponse:
    base = _base(request)
    if key is None:
        return _answer(_list([_absolute(entry, base) for entry in found.values()], len(found)))
    if key not in found:
        raise NotFoundException(detail="There is no such description.")
    return _answer(_absolute(found[key], base))


@router.get("/ServiceProviderConfig", auth=None)
@discovery
def get_service_provider_config(request: HttpRequest) -> HttpResponse:
    return _answer(_absolute(shapes.service_provider_config(), _base(request)))


@router.get("/ResourceTypes", auth=None)
@discovery
def list_resource_types(request: HttpRequest) -> HttpResponse:
    return _described(request, shapes.resource_types(), None)


@router.get("/ResourceTypes/{name}", auth=None)
@discovery
def get_resource_type(request: HttpRequest, name: str) -> HttpResponse:
    return _described(request, shapes.resource_types(), name)


@router.get("/Schemas", auth=None)
@discovery
def list_schemas(request: HttpRequest) -> HttpResponse:
    return _described(request, shapes.schemas(), None)


@router.get("/Schemas/{name}", auth=None)
@discovery
def get_schema(request: HttpRequest, name: str) -> HttpResponse:
    return _described(request, shapes.schemas(), name)


# ---------------------------------------------------------------------------------------------------------- resources
def _rows(kind: Any, asked: Query) -> Any:
    rows = kind.everything(asked.wanted)
    if asked.filter:
        rows = rows.filter(condition(kind.SHAPE, asked.filter, kind.ATTRIBUTES))
    by = order(kind.SHAPE, asked.sort_by, asked.descending, kind.ATTRIBUTES) if asked.sort_by else []
    return rows.order_by(*by, "created_at", "pk")


def _page(request: HttpRequest, asked: Query, *kinds: Any) -> HttpResponse:
    """A page of one kind, or of several one after the other. A kind that lacks what is filtered on has no match."""
    shown: list[dict[str, Any]] = []
    total, refusals = 0, []
    for kind in kinds:
        try:
            rows = _rows(kind, asked)
        except InvalidFilterException as error:
            refusals.append(error)
            continue
        first = max(0, asked.start - 1 - total)
        total += rows.count()
        if left := asked.count - len(shown):
            shown += kind.many_as_json(list(rows[first : first + left]), _base(request), asked.wanted)
    if len(refusals) == len(kinds):
        raise refusals[0]
    return _answer(_list(shown, total, asked.start))


def _one(request: HttpRequest, kind: Any, row: Any, status: int = 200) -> HttpResponse:
    asked = query(request.GET.dict())
    whole = kind.as_json(row, _base(request), query({}).wanted if asked.wanted.has("meta") else asked.wanted)
    meta = whole.get("meta", {})
    headers = {"ETag": meta["version"], "Location": meta["location"]} if meta else {}
    return _answer(asked.wanted.pick(whole), status, **headers)


@router.post("/.search", auth=None)
@scim
def search_everything(request: HttpRequest) -> HttpResponse:
    return _page(request, query(_body(request)), *_KINDS.values())


@router.get("/{kind}", auth=None)
@scim
def list_resources(request: HttpRequest, kind: str) -> HttpResponse:
    return _page(request, query(request.GET.dict()), _kind(kind))


@router.post("/{kind}/.search", auth=None)
@scim
def search_resources(request: HttpRequest, kind: str) -> HttpResponse:
    return _page(request, query(_body(request)), _kind(kind))


@router.post("/{kind}", auth=None)
@scim
def create_resource(request: HttpRequest, kind: str) -> HttpResponse:
    of = _kind(kind)
    return _one(request, of, of.create(_read(of.SHAPE, request, Context.RESOURCE_CREATION_REQUEST)), 201)


@router.get("/{kind}/{key}", auth=None)
@scim
def get_resource(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    of = _kind(kind)
    response = _one(request, of, of.get(key, query(request.GET.dict()).wanted))
    if response.has_header("ETag") and request.headers.get("if-none-match") == response["ETag"]:
        return HttpResponse(status=304, headers={"ETag": response["ETag"]})
    return response


@router.put("/{kind}/{key}", auth=None)
@scim
def replace_resource(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    of = _kind(kind)
    resource = _read(of.SHAPE, request, Context.RESOURCE_REPLACEMENT_REQUEST)
    return _one(request, of, of.replace(key, resource, if_match=request.headers.get("if-match", "")))


@router.patch("/{kind}/{key}", auth=None)
@scim
def patch_resource(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """A group answers 204 unless attributes are asked for: ten thousand members are not sent back for one change."""
    of = _kind(kind)
    operations: Any = PatchOp[of.SHAPE].model_validate(  # type: ignore[name-defined]
        _body(request), scim_ctx=Context.RESOURCE_PATCH_REQUEST
    )
    row = of.patch(key, operations, if_match=request.headers.get("if-match", ""))
    if of is groups and not request.GET.get("attributes") and not request.GET.get("excludedAttributes"):
        return HttpResponse(status=204)
    return _one(request, of, row)


@router.delete("/{kind}/{key}", auth=None)
@scim
def delete_resource(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    _kind(kind).delete(key, if_match=request.headers.get("if-match", ""))
    return HttpResponse(status=204)


@router.api_operation(["GET", "POST", "PUT", "PATCH", "DELETE"], "/{path:rest}", auth=None)
@scim
def anything_else(request: HttpRequest, rest: str) -> HttpResponse:
    raise NotFoundException(detail="There is no such endpoint.")
