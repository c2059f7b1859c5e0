"""How REST requests are read and answers written: orjson, the fastest at hand."""

from __future__ import annotations

import json
from typing import Any

import orjson
from django.http import HttpRequest
from ninja.parser import Parser as NinjaParser
from ninja.renderers import BaseRenderer


class Renderer(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> Any:
        try:
            return orjson.dumps(data, default=_plain, option=orjson.OPT_NON_STR_KEYS)
        except TypeError:  # a number of more than 64 bits, stored before they were refused
            return json.dumps(data, default=_plain).encode()


class Parser(NinjaParser):
    """Reads no more than can be written again. A number of thirty digits, kept in somebody's free object, would fail
    each list that shows it, to everybody; here it becomes a float. Infinite ones and half characters are refused."""

    def parse_body(self, request: HttpRequest) -> Any:
        return orjson.loads(request.body)


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump()
    return str(value)
