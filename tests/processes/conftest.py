"""Sites for tests that need real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.processes.server import Site


@pytest.fixture
def new_site() -> Iterator[Callable[..., Site]]:
    """`new_site(workers=2)`: a site for one test, ended with it."""
    sites: list[Site] = []

    def make(**options: Any) -> Site:
        sites.append(Site(**options))
        return sites[-1]

    yield make
    for site in sites:
        site.stop()
