"""Edges fetch shared objects through the choke-point: no way around it stands in the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps

from rbac.sharing import resource_types

ROOT = Path(__file__).resolve().parents[2]
APPS = ("accounts", "rbac", "inference", "knowledge", "chat")
EDGES = ("views", "api", "consumers")
BANNED = {
    "get",
    "all",
    "filter",
    "exclude",
    "first",
    "last",
    "in_bulk",
    "get_or_create",
    "iterator",
    "values",
    "values_list",
}
#: a whole listing handed to a helper that asks the choke-point itself
HELPERS = {"get_readable", "get_writable", "get_usable", "with_people"}
#: places that a reviewer has looked at, each with its reason; a line that changes must be looked at again
EXCUSED = {
    "knowledge/views.py: Document.objects.filter(links__knowledge_base=kb, pk=pk)": "in a base that was checked",
    "knowledge/api/files.py: Document.objects.filter(owner_id=user.id)": "one's own files",
    "knowledge/api/knowledge.py: Document.objects.filter(pk__in=linked, filename__icontains=query)": "readable",
    "knowledge/api/knowledge.py: Document.objects.filter(links__knowledge_base=kb, pk=uuid.UUID(file_id))": "as above",
    "chat/api/chats.py: Chat.objects.filter(owner_id=request.user.pk, archived=False)": "one's own chats",
    "chat/api/chats.py: Message.objects.filter(chat=chat)": "of a chat that was checked",
}


def guarded_models() -> set[str]:
    """Shared types, and every other model whose manager knows readers."""
    names = {model.__name__ for model in resource_types().values()}
    return names | {m.__name__ for m in apps.get_models() if hasattr(m._default_manager, "readable_by")}


def edge_files() -> list[Path]:
    found = []
    for app in APPS:
        for edge in EDGES:
            module = ROOT / app / f"{edge}.py"
            found += [module] if module.exists() else []
            found += sorted((ROOT / app / edge).rglob("*.py"))
    return found


def ways_around(source: str, models: set[str]) -> Iterator[tuple[int, str]]:
    """Line and text of each `Model.objects.get(…)` and the like, for guarded models."""
    tree = ast.parse(source)
    excused = {
        id(inner)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", getattr(call.func, "attr", "")) in HELPERS
        for argument in call.args
        for inner in ast.walk(argument)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in BANNED):
            continue
        manager = node.func.value
        if (
            isinstance(manager, ast.Attribute)
            and manager.attr in ("objects", "_default_manager")
            and isinstance(manager.value, ast.Name)
            and (manager.value.id in models or manager.value.id in ("model", "Model"))
            and id(node) not in excused
        ):
            yield node.lineno, ast.unparse(node)


@pytest.mark.parametrize("path", edge_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_edges_fetch_through_the_choke_point(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    ways = ways_around(path.read_text(), guarded_models())
    found = [f"{name}:{line} {text}" for line, text in ways if f"{name}: {text}" not in EXCUSED]
    assert not found, "Start from readable_by or writable_by:\n" + "\n".join(found)


def test_no_excuse_outlives_its_line() -> None:
    there = {
        f"{path.relative_to(ROOT)}: {text}"
        for path in edge_files()
        for _line, text in ways_around(path.read_text(), guarded_models())
    }
    assert not set(EXCUSED) - there


def test_the_search_itself_finds_what_it_should() -> None:
    source = "Chat.objects.get(pk=1)\nChat.objects.readable_by(u).filter(x=1)\nget_readable(Chat.objects.all(), u, 1)\n"
    assert [line for line, _text in ways_around(source, {"Chat"})] == [1]
