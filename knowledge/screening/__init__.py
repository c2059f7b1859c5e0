"""Text that speaks to the model instead of the reader: found, scored, and held back until somebody decides."""

from knowledge.screening.rules import Verdict, screen

__all__ = ["Verdict", "screen"]
