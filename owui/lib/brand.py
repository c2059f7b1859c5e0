"""The organisation's own pictures in the place of ours: files of certain names in the directory STATIC_DIR.

The names are the field's, so that a directory that was made for it goes on to count. Read once a process.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse

log = logging.getLogger(__name__)
#: what stands for what: the first that is there
ICONS = ("favicon.svg", "favicon.png", "logo.png")
TOUCH_ICONS = ("apple-touch-icon.png", "web-app-manifest-192x192.png", "logo.png")
LOGOS = ("logo.svg", "logo.png", "favicon.svg", "favicon.png")
#: of the application on a phone
APP_ICONS = ("web-app-manifest-192x192.png", "web-app-manifest-512x512.png", "logo.png", "favicon.png")
#: below this no phone installs a site with it
SMALLEST_APP_ICON = 144
MOST_BYTES = 2_000_000
_KINDS = {".png": ("image/png", b"\x89PNG\r\n\x1a\n"), ".svg": ("image/svg+xml", b"<")}


@dataclass(frozen=True, slots=True)
class Picture:
    """A file of the directory. `size` is empty for what has none."""

    name: str
    data: bytes
    kind: str
    size: str = ""

    @property
    def address(self) -> str:
        return reverse("brand", args=[self.name])


def picture(names: tuple[str, ...]) -> Picture | None:
    """The first of some that is there."""
    own = _pictures(settings.BOOT.static_dir)
    return next((own[name] for name in names if name in own), None)


def app_icons() -> list[Picture]:
    """Those that an installed application can have, none of a size twice."""
    own = _pictures(settings.BOOT.static_dir)
    found = [own[name] for name in APP_ICONS if name in own]
    usable = {one.size: one for one in reversed(found) if int(one.size.partition("x")[0] or 0) >= SMALLEST_APP_ICON}
    return [one for one in found if usable.get(one.size) is one]


def address(*names: str) -> str:
    """Where the first of some is; empty without one."""
    found = picture(names)
    return found.address if found else ""


def response(found: Picture) -> HttpResponse:
    """A picture for everybody: it is on the sign-in page."""
    answer = HttpResponse(found.data, content_type=found.kind)
    answer["Cache-Control"] = "public, max-age=3600"
    answer["X-Content-Type-Options"] = "nosniff"
    # A drawing can hold scripts; opened as a page of its own it runs none.
    answer["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    return answer


def _size_of(png: bytes) -> str:
    return f"{int.from_bytes(png[16:20], 'big')}x{int.from_bytes(png[20:24], 'big')}"


@lru_cache(maxsize=4)
def _pictures(directory: str) -> dict[str, Picture]:
    if not directory:
        return {}
    found = {}
    for name in dict.fromkeys((*ICONS, *TOUCH_ICONS, *LOGOS, *APP_ICONS)):
        file = Path(directory) / name
        try:
            if not file.is_file():
                continue
            data = file.read_bytes()
        except OSError as error:
            log.error("%s of STATIC_DIR cannot be read: %s", name, error)
            continue
        kind, beginning = _KINDS[file.suffix]
        if len(data) > MOST_BYTES or not data.lstrip().startswith(beginning.lstrip()):
            log.error("%s of STATIC_DIR is no %s, or larger than 2 MB; ours is used.", name, file.suffix[1:].upper())
            continue
        found[name] = Picture(name, data, kind, _size_of(data) if kind == "image/png" else "")
    return found
