"""Pages of a listing, the field's way: 30 a page, numbered from 1."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import QuerySet

Q = TypeVar("Q", bound="QuerySet[Any, Any]")
PAGE_SIZE = 30


def page_of(queryset: Q, page: int, size: int = PAGE_SIZE) -> Q:
    """The rows of one page; a page below 1 counts as 1."""
    start = (max(1, page) - 1) * size
    return queryset[start : start + size]
