"""Branches of a message tree."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from chat.tree import branch_to, newest_leaf


@dataclass
class Node:
    id: uuid.UUID
    parent_id: uuid.UUID | None


def _tree() -> dict[str, Node]:
    ids = {name: uuid.uuid4() for name in ("question", "first", "second", "follow")}
    parents = {"question": None, "first": "question", "second": "question", "follow": "first"}
    return {name: Node(ids[name], ids[parent] if parent else None) for name, parent in parents.items()}


def test_branch_is_the_path_from_root_to_leaf() -> None:
    tree = _tree()
    nodes = {n.id: n for n in tree.values()}
    assert branch_to(nodes, tree["follow"].id) == [tree["question"], tree["first"], tree["follow"]]
    assert branch_to(nodes, tree["second"].id) == [tree["question"], tree["second"]]


def test_branch_of_an_unknown_leaf_is_empty() -> None:
    assert branch_to({}, uuid.uuid4()) == []
    assert branch_to({}, None) == []


def test_loop_in_bad_data_ends_the_walk() -> None:
    a, b = uuid.uuid4(), uuid.uuid4()
    nodes = {a: Node(a, b), b: Node(b, a)}
    assert len(branch_to(nodes, a)) == 2


def test_newest_leaf_takes_the_last_child_each_time() -> None:
    tree = _tree()
    nodes = list(tree.values())
    assert newest_leaf(nodes, tree["first"].id) == tree["follow"].id
    assert newest_leaf(nodes, tree["question"].id) == tree["second"].id
