"""Scripts that come inside Python packages, served like our own files: never committed, never from another host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.files.storage import FileSystemStorage

# Only these files of these packages, for diagrams and for Python; what else lies in them is nobody's business.
FILES = {
    "mermaidx": ("assets/mermaid.js",),
    "js_lib_vega_embed": ("static/js_lib_vega_embed/vega-embed-full.js",),
    "flet_web": (
        *("web/pyodide/pyodide.mjs", "web/pyodide/pyodide.asm.mjs", "web/pyodide/pyodide.asm.wasm"),
        *("web/pyodide/python_stdlib.zip", "web/pyodide/pyodide-lock.json"),
    ),
}
PREFIX = "packages"


def url_of(package: str) -> str:
    """The address of a package's first file; empty where the package is not installed."""
    return next(iter(urls_of(package)), "")


def urls_of(package: str) -> list[str]:
    """The addresses of all its files; none where the package is not installed."""
    try:
        named = FILES[package] if find_spec(package) else ()
        return [staticfiles_storage.url(f"{PREFIX}/{package}/{name}") for name in named]
    except ValueError:  # installed after the static files were collected
        return []


class PackagedFinder(BaseFinder):
    """`{% static "packages/<package>/<file>" %}`. A package that is not installed has no files here."""

    def __init__(self, app_names: Iterable[str] | None = None, *args: Any, **kwargs: Any) -> None:
        self.storages: dict[str, FileSystemStorage] = {}
        for package in FILES:
            spec = find_spec(package)
            if spec is not None and spec.origin:
                storage = FileSystemStorage(location=str(Path(spec.origin).parent))
                storage.prefix = f"{PREFIX}/{package}"  # type: ignore[attr-defined]  # read by collectstatic
                self.storages[package] = storage
        super().__init__(*args, **kwargs)

    def check(self, **kwargs: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        for package, storage in self.storages.items():
            name = path.removeprefix(f"{PREFIX}/{package}/")
            if name != path and name in FILES[package] and storage.exists(name):
                found = storage.path(name)
                return [found] if find_all else found
        return []

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[Any]:
        for package, storage in self.storages.items():
            for name in FILES[package]:
                if storage.exists(name):
                    yield name, storage
