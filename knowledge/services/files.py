"""Bytes on their way into the storage: counted, hashed, and gone again when they are too many."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from django.core.files import File
from django.core.files.storage import default_storage
from django.utils.translation import gettext as _

from knowledge.config import RagConfig
from knowledge.ingest.sniff import clean_filename
from knowledge.pipeline import EMPTY
from owui.lib.errors import UserError

BLOCK = 256 * 1024
# File systems count bytes: 255 for a name, and the id in front takes 37.
STORED_NAME_BYTES = 180


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in the storage that no row names yet."""

    name: str
    filename: str
    size: int
    sha256: str


def store(stream: BinaryIO, filename: str, config: RagConfig, *, any_extension: bool = False) -> Stored:
    """Streams a file into the storage. Nothing stays there when it is refused.

    :raises UserError: 400 empty or an ending that is not allowed; 413 too large
    """
    filename = clean_filename(filename)
    if not any_extension:
        check_extension(filename, config)
    name = stored_name(filename)
    counted = _Counted(stream, config.file_max_size)
    try:
        name = default_storage.save(name, cast("File[bytes]", counted))
        if not counted.count:
            raise UserError(EMPTY, code="empty")
    except BaseException:
        default_storage.delete(name)
        raise
    return Stored(name, filename, counted.count, counted.digest.hexdigest())


def stored_name(filename: str) -> str:
    """`<uuid>_<name>`, short enough for every file system, its ending kept."""
    stem, dot, ending = filename.rpartition(".")
    tail = f"{dot}{ending}" if dot else ""
    room = STORED_NAME_BYTES - len(tail.encode())
    short = (stem if dot else filename).encode()[: max(room, 0)].decode(errors="ignore")
    return f"{uuid.uuid4()}_{short}{tail}"


def check_extension(filename: str, config: RagConfig) -> None:
    """400 when a list of endings is set and this is not on it."""
    allowed = {entry.strip().lstrip(".").lower() for entry in config.allowed_file_extensions if entry.strip()}
    ending = filename.rpartition(".")[2].lower() if "." in filename else ""
    if allowed and ending not in allowed:
        raise UserError(
            _("File type %(ending)s is not allowed. Allowed are: %(allowed)s")
            % {"ending": ending or "?", "allowed": ", ".join(sorted(allowed))},
            code="file_type",
        )


class _Counted(File):  # type: ignore[type-arg]
    """Counts and hashes what the storage reads; stops it at the limit."""

    def __init__(self, stream: BinaryIO, megabytes: int) -> None:
        super().__init__(stream)
        self.digest = hashlib.sha256()
        self.count = 0
        self._megabytes = megabytes

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        stream = cast(BinaryIO, self.file)
        while block := stream.read(chunk_size or BLOCK):
            self.count += len(block)
            if 0 < self._megabytes * 1024 * 1024 < self.count:
                raise UserError(
                    _("This file is larger than %(size)s MB, the limit here. Split it and try again.")
                    % {"size": self._megabytes},
                    status=413,
                    code="too_large",
                )
            self.digest.update(block)
            yield block
