"""How much one document may cost."""

from dataclasses import dataclass

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps for one document. The defaults let honest office files of 100 MB through."""

    unpacked_bytes: int = 1024 * MEGABYTE
    """What a zip-based format may unpack to."""
    ratio: int = 200
    """Unpacked to packed size. Spreadsheet XML reaches 50 to 100; deflate cannot go beyond 1,032."""
    ratio_free_bytes: int = 32 * MEGABYTE
    """Below this unpacked size no ratio is asked for: small files of one repeated value compress very well."""
    members: int = 20_000
    pages: int = 10_000
    text_chars: int = 20_000_000
    seconds: float = 120.0
    """Wall clock and processor time of the child that parses."""
    memory_bytes: int = 2048 * MEGABYTE
    """Address space of the child that parses, its libraries included."""
