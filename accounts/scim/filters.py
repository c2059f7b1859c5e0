"""Filters and orders of RFC 7644 as SQL: every question about ten thousand people is one statement.

An attribute is a `Column` (one value a row) or a `Rows` (several, in a table of their own, asked with EXISTS).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Lower
from django.db.models.lookups import GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual
from scim2_models import InvalidFilterException, Resource, SCIMException, ScimFilter
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
    coerce_value,
)

LONGEST = 4000
_ORDER = {
    CompareOperator.gt: (GreaterThan, "gt"),
    CompareOperator.ge: (GreaterThanOrEqual, "gte"),
    CompareOperator.lt: (LessThan, "lt"),
    CompareOperator.le: (LessThanOrEqual, "lte"),
}
_TEXT = {
    CompareOperator.eq: "exact",
    CompareOperator.co: "contains",
    CompareOperator.sw: "startswith",
    CompareOperator.ew: "endswith",
}
NOTHING = Q(pk__in=[])


@dataclass(frozen=True, slots=True)
class Column:
    """One value a row. `kind` is text, exact (case counts), id, bool or time."""

    path: str
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Rows:
    """Several values: the rows of a queryset whose `link` is the resource's key."""

    rows: Callable[[], Any]
    link: str
    columns: Mapping[str, Column]
    #: what stands for the attribute itself
    value: str = "value"
    has: Q = field(default_factory=Q)

    def any(self, condition: Q) -> Q:
        return Q(Exists(self.rows().filter(condition, **{self.link: OuterRef("pk")})))


Attributes = Mapping[tuple[str, str | None], Column | Rows]


def _compare(column: Column, op: CompareOperator, value: Any) -> Q:
    if op == CompareOperator.ne:
        return ~_compare(column, CompareOperator.eq, value)
    if value is None:
        return ~_present(column) if op == CompareOperator.eq else NOTHING
    if op in _ORDER:
        lookup, name = _ORDER[op]
        if column.kind == "text":
            return Q(lookup(Lower(F(column.path)), Value(str(value).lower())))
        return Q(**{f"{column.path}__{name}": value})
    if column.kind in ("bool", "time"):
        return Q(**{column.path: value})
    if column.kind == "id":
        try:
            return Q(**{column.path: uuid.UUID(str(value))}) if op == CompareOperator.eq else NOTHING
        except ValueError:
            return NOTHING
    case = "i" if column.kind == "text" else ""
    return Q(**{f"{column.path}__{case}{_TEXT[op]}": value})


def _present(column: Column) -> Q:
    there = Q(**{f"{column.path}__isnull": False})
    return there & ~Q(**{column.path: ""}) if column.kind in ("text", "exact") else there


class _ToSql(FilterVisitor[Q]):
    def __init__(self, found: ScimFilter[Any], attributes: Attributes) -> None:
        self.filter, self.attributes = found, attributes

    def _find(self, path: AttrPath) -> tuple[Column | Rows, str | None, Any]:
        """What an attribute is, which of its columns is meant, and how its values are read."""
        binding = self.filter.resolve_comparison(path)
        assert binding is not None
        head = self.attributes.get((binding.field_name, None))
        if isinstance(head, Rows):
            return head, binding.sub_field_name or head.value, binding
        found = self.attributes.get((binding.field_name, binding.sub_field_name))
        if found is None:
            raise InvalidFilterException(detail=f"Cannot filter on {path}.")
        return found, None, binding

    def visit_comparison(self, node: Comparison) -> Q:
        found, name, binding = self._find(node.attr_path)
        value = coerce_value(binding, node.value, node.op)
        if isinstance(found, Column):
            return _compare(found, node.op, value)
        column = _column(found, name, node.attr_path)
        if node.op == CompareOperator.ne:
            # No value of it equals, as for one value; RFC 7644 leaves it open.
            return ~found.any(_compare(column, CompareOperator.eq, value))
        return found.any(_compare(column, node.op, value))

    def visit_present(self, node: Present) -> Q:
        binding = self.filter.resolve(node.attr_path)
        assert binding is not None
        head = self.attributes.get((binding.field_name, None))
        if isinstance(head, Rows):
            sub = binding.sub_field_name
            return head.any(_present(_column(head, sub, node.attr_path)) if sub else Q())
        chosen = [
            column
            for (name, sub), column in self.attributes.items()
            if name == binding.field_name and binding.sub_field_name in (None, sub) and isinstance(column, Column)
        ]
        if not chosen:
            raise InvalidFilterException(detail=f"Cannot filter on {node.attr_path}.")
        condition = NOTHING
        for column in chosen:
            condition |= _present(column)
        return condition

    def visit_not(self, node: Not) -> Q:
        return ~self.visit(node.expr)

    def visit_logical_expr(self, node: LogicalExpr) -> Q:
        whole = self.visit(node.terms[0])
        for term in node.terms[1:]:
            whole = whole & self.visit(term) if node.op == LogicalOperator.and_ else whole | self.visit(term)
        return whole

    def visit_value_path(self, node: ValuePath) -> Q:
        found, _name, _binding = self._find(node.attr_path)
        if not isinstance(found, Rows):
            raise InvalidFilterException(detail=f"{node.attr_path} has no values to choose from.")
        return found.any(_InRows(self.filter, found, node.attr_path).visit(node.val_filter))


class _InRows(_ToSql):
    """The filter in brackets: its names are those of one value."""

    def __init__(self, found: ScimFilter[Any], rows: Rows, head: AttrPath) -> None:
        super().__init__(found, {})
        self.rows, self.head = rows, head

    def _column(self, path: AttrPath) -> tuple[Column, Any]:
        whole = AttrPath(self.head.attr, path.attr, self.head.uri)
        binding = self.filter.resolve_comparison(whole)
        assert binding is not None
        return _column(self.rows, binding.sub_field_name, whole), binding

    def visit_comparison(self, node: Comparison) -> Q:
        column, binding = self._column(node.attr_path)
        return _compare(column, node.op, coerce_value(binding, node.value, node.op))

    def visit_present(self, node: Present) -> Q:
        return _present(self._column(node.attr_path)[0])

    def visit_value_path(self, node: ValuePath) -> Q:
        raise InvalidFilterException(detail="A filter in brackets holds no further brackets.")


def _column(rows: Rows, name: str | None, path: AttrPath) -> Column:
    column = rows.columns.get(name or rows.value)
    if column is None:
        raise InvalidFilterException(detail=f"Cannot filter on {path}.")
    return column


def condition(model: type[Resource[Any]], text: str, attributes: Attributes) -> Q:
    """The SQL of a filter; `invalidFilter` (400) for one that is none, or asks for what cannot be asked for."""
    if len(text) > LONGEST or "\0" in text:
        raise InvalidFilterException(detail=f"A filter has at most {LONGEST} characters, and no NUL.")
    try:
        found: Any = ScimFilter[model](text)  # type: ignore[valid-type]
        return _ToSql(found, attributes).visit(found.ast)
    except RecursionError as error:
        raise InvalidFilterException(detail="This filter is nested too deeply.") from error
    except SCIMException as error:
        raise InvalidFilterException(detail=error.detail) from error


def value_condition(model: type[Resource[Any]], head: str, inner: FilterNode, attributes: Attributes) -> Q:
    """The SQL of the brackets in a PATCH path, about the rows of the attribute themselves."""
    rows = attributes[(head, None)]
    assert isinstance(rows, Rows)
    found: Any = ScimFilter[model](str(ValuePath(AttrPath(head), inner)))  # type: ignore[valid-type]
    return _InRows(found, rows, AttrPath(head)).visit(inner)


def order(model: type[Resource[Any]], by: str, descending: bool, attributes: Attributes) -> list[Any]:
    """What to order by; an attribute that has no order leaves the usual one, as RFC 7644 allows."""
    try:
        binding = ScimFilter[model]("id pr").resolve(AttrPath(*_split(by)))  # type: ignore[valid-type]
    except (SCIMException, ValueError):
        binding = None
    found = attributes.get((binding.field_name, binding.sub_field_name)) if binding else None
    if isinstance(found, Rows) and binding is not None:
        found = attributes.get((binding.field_name, found.value))  # the primary value, which is a column
    if isinstance(found, Rows) or found is None:
        return []
    expression: Any = Lower(found.path) if found.kind == "text" else F(found.path)
    # Without a value: last when ascending, first when descending.
    return [expression.desc(nulls_first=True) if descending else expression.asc(nulls_last=True)]


def _split(by: str) -> tuple[str, str | None, str | None]:
    uri, _colon, name = by.rpartition(":")
    head, _dot, sub = name.partition(".")
    return head, sub or None, uri or None
