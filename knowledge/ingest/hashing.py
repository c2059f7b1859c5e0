"""Fingerprints of files and of texts."""

import hashlib
import unicodedata
from typing import BinaryIO

BLOCK = 1024 * 1024


def hash_bytes(data: bytes) -> str:
    """SHA-256 of the bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def hash_stream(stream: BinaryIO) -> str:
    """SHA-256 of the rest of the stream, in hex; memory stays at one block."""
    digest = hashlib.sha256()
    while block := stream.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def hash_text(text: str) -> str:
    """SHA-256 of the text with white space and Unicode form evened out: two exports of one text count as the same."""
    evened = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(evened.encode("utf-8", "surrogatepass")).hexdigest()
