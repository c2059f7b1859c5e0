"""Branches of a message tree: walking, choosing, no database."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar


class Node(Protocol):
    """What walking needs of a message."""

    id: uuid.UUID
    parent_id: uuid.UUID | None


N = TypeVar("N", bound=Node)


def branch_to(nodes: Mapping[uuid.UUID, N], leaf: uuid.UUID | None) -> list[N]:
    """The path root -> leaf; empty when the leaf is not there. A loop in bad data ends the walk."""
    path: list[N] = []
    seen: set[uuid.UUID] = set()
    while leaf is not None and leaf in nodes and leaf not in seen:
        seen.add(leaf)
        node = nodes[leaf]
        path.append(node)
        leaf = node.parent_id
    return path[::-1]


def children_of(nodes: Iterable[N]) -> dict[uuid.UUID | None, list[N]]:
    """Children by parent, in the order given."""
    out: dict[uuid.UUID | None, list[N]] = defaultdict(list)
    for node in nodes:
        out[node.parent_id].append(node)
    return out


def newest_leaf(nodes: Iterable[N], start: uuid.UUID) -> uuid.UUID:
    """The leaf one gets to from a node by always taking the last child: what a sibling pager shows."""
    children = children_of(nodes)
    seen = {start}
    while children.get(start):
        start = children[start][-1].id
        if start in seen:
            break
        seen.add(start)
    return start


def versions_of(message: Any, beside: Sequence[Any]) -> list[Any]:
    """Those of a message's siblings that are other versions of it; the answers of other models stand in columns of
    their own."""
    wanted = _column_of(message)
    return [other for other in beside if _column_of(other) == wanted]


def _column_of(message: Any) -> str | None:
    """As text: rows that were read without their `meta` have it as a column of the statement."""
    if "column" in message.__dict__:
        return message.column  # type: ignore[no-any-return]
    column = (message.meta or {}).get("modelIdx")
    return None if column is None else str(column)
