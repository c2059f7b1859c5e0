"""The provisioning interface: no person may use it, whatever their role; it is off unless the environment says so."""

from __future__ import annotations

from typing import Any

from tests.access.rows import Row, World, thing

_BASE = "/api/v1/scim/v2"


@thing("scim_kind")
def _kind(world: World) -> str:
    return "Users"


@thing("scim_key")
def _key(world: World) -> Any:
    return world.reader.pk


@thing("rest")
def _rest(world: World) -> str:
    return "a/b/c"


def closed(method: str, path: str) -> Row:
    """The tests of `tests/accounts/scim` say what the client with the token gets, and what people's tokens get."""
    fill = {"kind": "scim_kind", "key": "scim_key", "name": "scim_kind"}
    return Row(method, _BASE + path, out=403, pending=403, user=403, fill=fill, json={} if method != "GET" else None)


ROWS = [
    closed("GET", "/ServiceProviderConfig"),
    closed("GET", "/ResourceTypes"),
    closed("GET", "/ResourceTypes/{name}"),
    closed("GET", "/Schemas"),
    closed("GET", "/Schemas/{name}"),
    closed("POST", "/.search"),
    closed("GET", "/{kind}"),
    closed("POST", "/{kind}"),
    closed("POST", "/{kind}/.search"),
    closed("GET", "/{kind}/{key}"),
    closed("PUT", "/{kind}/{key}"),
    closed("PATCH", "/{kind}/{key}"),
    closed("DELETE", "/{kind}/{key}"),
    *(closed(method, "/{rest}") for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
]
