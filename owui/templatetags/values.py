"""`{{ value|json }}`: plain values for a script, in an attribute, where the template escapes what it must."""

from __future__ import annotations

import json
from typing import Any

from django import template

register = template.Library()


@register.filter(name="json")
def as_json(value: Any) -> str:
    return json.dumps(value)
