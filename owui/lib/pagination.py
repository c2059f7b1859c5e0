"""Pages of a listing, the field's way: 30 a page, numbered from 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from django.db.models import Count, QuerySet, Window

Q = TypeVar("Q", bound="QuerySet[Any, Any]")
PAGE_SIZE = 30


def page_of(queryset: Q, page: int, size: int = PAGE_SIZE) -> Q:
    """The rows of one page; a page below 1 counts as 1."""
    start = (max(1, page) - 1) * size
    return queryset[start : start + size]


def keys_of(queryset: QuerySet[Any, Any], page: int, size: int = PAGE_SIZE) -> tuple[list[Any], int]:
    """The primary keys of one page in their order, and how many rows there are on all pages.

    What is filtered (by rights, by words) is gone through once for both: sorting whole rows, and filtering again to
    count them, was half of a page's cost. A whole table is rather counted for itself: its page comes from an index.
    A row must not stand in the queryset twice.
    """
    keys = queryset.values_list("pk", flat=True)
    if not queryset.query.where:
        return list(page_of(keys, page, size)), queryset.count()
    numbered = queryset.annotate(in_all=Window(Count("*"))).values_list("pk", "in_all")
    found = list(page_of(numbered, page, size))
    if found:
        return [key for key, _total in found], found[0][1]
    return [], queryset.count() if page > 1 else 0


def rows_of(queryset: QuerySet[Any, Any], keys: Sequence[Any]) -> list[Any]:
    """The rows with these keys, in the order of the keys."""
    if not keys:
        return []
    found = {row.pk: row for row in queryset.filter(pk__in=keys).order_by()}
    # One that was deleted a moment ago is not there any more.
    return [found[key] for key in keys if key in found]
