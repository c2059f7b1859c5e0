"""What a client asks for: which attributes, which page, which version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scim2_models import InvalidValueException, PreconditionFailedException

from accounts.scim.shapes import MOST, USUAL

_ALWAYS = ("id", "schemas")


@dataclass(frozen=True, slots=True)
class Wanted:
    """`attributes` and `excludedAttributes`: lower-case names, each with the sub-attributes it is limited to."""

    only: Mapping[str, frozenset[str]] | None = None
    without: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether any of an attribute is to be given back: what is not need not be read."""
        name = name.lower()
        return name in self.only if self.only is not None else self.without.get(name) != frozenset()

    def pick(self, resource: dict[str, Any]) -> dict[str, Any]:
        """The resource with what was asked for; id and schemas always."""
        if self.only is None and not self.without:
            return resource
        found = {}
        for name, value in resource.items():
            if name in _ALWAYS:
                found[name] = value
            elif self.has(name):
                kept = self._parts(name.lower(), value)
                if kept not in ({}, []):
                    found[name] = kept
        return found

    def _parts(self, name: str, value: Any) -> Any:
        chosen, left = (self.only or {}).get(name, frozenset()), self.without.get(name, frozenset())
        if not chosen and not left:
            return value
        if isinstance(value, list):
            return [part for entry in value if (part := self._parts(name, entry))]
        if not isinstance(value, dict):
            return value
        return {k: v for k, v in value.items() if (k.lower() in chosen if chosen else k.lower() not in left)}


def wanted(only: str, without: str) -> Wanted:
    """From comma lists; names may carry the schema before a colon. Unknown ones are nobody's."""
    if only and without:
        raise InvalidValueException(detail="attributes and excludedAttributes exclude one another.")
    return Wanted(_names(only) or None, _names(without))


def _names(text: str) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for part in text.lower().split(","):
        name = part.strip()
        if name.startswith("urn:"):
            name = name.rpartition(":")[2]
        head, _dot, sub = name.partition(".")
        if not head:
            continue
        whole = head in found and not found[head]
        found[head] = frozenset() if not sub or whole else found.get(head, frozenset()) | {sub}
    return found


@dataclass(frozen=True, slots=True)
class Query:
    """A page of a list."""

    filter: str = ""
    sort_by: str = ""
    descending: bool = False
    start: int = 1
    count: int = USUAL
    wanted: Wanted = field(default_factory=Wanted)


def query(given: Mapping[str, Any]) -> Query:
    """From the address of a GET or the body of a `.search`."""
    return Query(
        filter=_text(given, "filter"),
        sort_by=_text(given, "sortBy"),
        descending=_text(given, "sortOrder").lower() == "descending",
        start=max(1, min(_number(given, "startIndex", 1), 2**31)),
        count=max(0, min(_number(given, "count", USUAL), MOST)),
        wanted=wanted(_text(given, "attributes"), _text(given, "excludedAttributes")),
    )


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name) or ""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = ",".join(value)
    if not isinstance(value, str):
        raise InvalidValueException(detail=f"{name} must be a text.")
    return value


def _number(given: Mapping[str, Any], name: str, default: int) -> int:
    value = given.get(name)
    if value is None or value == "":
        return default
    try:
        if isinstance(value, bool | float):
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise InvalidValueException(detail=f"{name} must be a whole number.") from None


# ----------------------------------------------------------------------------------------------------------- versions
def version(*moments: datetime) -> str:
    """A weak entity tag: the same as long as nothing was written."""
    return f'W/"{int(max(moments).timestamp() * 1_000_000):x}"'


def check_version(if_match: str, present: str) -> None:
    """412 when the client means another version than the present one."""
    if if_match and if_match.strip() != "*" and present not in [tag.strip() for tag in if_match.split(",")]:
        raise PreconditionFailedException(detail="The resource was changed meanwhile. Read it again.")
