"""The directory's button on the sign-in page."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import reverse

from accounts.config import DirectoryConfig
from accounts.services import directory_is_on
from accounts.ways import Way, register


def _ways() -> Iterator[Way]:
    if directory_is_on():
        label = DirectoryConfig.load().server_label.strip() or "LDAP"
        yield Way("ldap", label, reverse("accounts:directory-sign-in"))


def add() -> None:
    register(_ways, order=50)
