"""Numbers as the reader's language writes them."""

from __future__ import annotations

from django.utils.formats import number_format


def number(value: float, digits: int = 0) -> str:
    """`1,024.5`, in German `1.024,5`.

    :param digits: how many stand behind the point
    """
    return number_format(round(value, digits) if digits else round(value), digits, force_grouping=True)
