"""Zip bombs are found here, before any parser opens the file."""

import io
import struct
import zipfile
import zlib

from knowledge.ingest.errors import IngestError
from knowledge.ingest.limits import Limits

BLOCK = 256 * 1024
LOCAL_HEADER = struct.Struct("<4s22xHH")
ENCRYPTED_FLAG = 0x1


def check_archive(data: bytes, limits: Limits) -> None:
    """Refuse what unpacks to too much, first by what the directory claims, then by counting what really comes out.

    Python's own reader stops at the claimed size, other readers do not; so the count goes over the raw stream.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as fault:
        raise _damaged() from fault
    if len(members) > limits.members:
        raise _bomb()
    allowed = min(limits.unpacked_bytes, max(limits.ratio_free_bytes, len(data) * limits.ratio))
    if sum(member.file_size for member in members) > allowed:
        raise _bomb()
    view = memoryview(data)
    left = allowed
    for member in members:
        if member.flag_bits & ENCRYPTED_FLAG:
            raise IngestError(
                "This document is protected by a password. Save a copy without the password and upload that.",
                "encrypted",
            )
        size = _unpacked_size(view, member, left)
        if size != member.file_size:
            raise _damaged()
        left -= size


def _unpacked_size(view: memoryview, member: zipfile.ZipInfo, allowed: int) -> int:
    """Bytes that come out of one member; stops with an error as soon as they pass what is allowed."""
    at = member.header_offset
    if at < 0 or at + LOCAL_HEADER.size > len(view):
        raise _damaged()
    signature, name_length, extra_length = LOCAL_HEADER.unpack_from(view, at)
    start = at + LOCAL_HEADER.size + name_length + extra_length
    end = start + member.compress_size
    if signature != b"PK\x03\x04" or end > len(view):
        raise _damaged()
    if member.compress_type == zipfile.ZIP_STORED:
        return member.compress_size
    if member.compress_type != zipfile.ZIP_DEFLATED:
        raise IngestError(
            "This document is packed in an unusual way. Open it in its program, save it again and upload the new file.",
            "unsupported_type",
        )
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    try:
        # Fed in blocks: `unconsumed_tail` is a copy, and copying the rest of a large member each time is quadratic.
        for block in range(start, end, BLOCK):
            pending: bytes | memoryview = view[block : min(block + BLOCK, end)]
            while pending and not unpacker.eof:
                total += len(unpacker.decompress(pending, BLOCK))
                pending = unpacker.unconsumed_tail
                if total > allowed:
                    raise _bomb()
        total += len(unpacker.flush())
    except zlib.error as fault:
        raise _damaged() from fault
    if not unpacker.eof:
        raise _damaged()
    return total


def _bomb() -> IngestError:
    return IngestError(
        "This document unpacks to far more data than it should. Remove large pictures or unused sheets, or split it, "
        "and upload it again.",
        "too_large_unpacked",
    )


def _damaged() -> IngestError:
    return IngestError(
        "This document is damaged or was not uploaded completely. Open it in its program, save it again and upload the "
        "new file.",
        "damaged",
    )
