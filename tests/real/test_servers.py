"""The servers that other tests lean on start, answer and leave nothing behind."""

from __future__ import annotations

import psutil
import pytest

from tests.real.servers import KINDS, Real, needs, people


@pytest.mark.process
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=needs(kind)) for kind in KINDS])
def test_a_server_starts_and_ends_with_its_children(kind: str) -> None:
    with Real() as real:
        server = real.start(kind, *(["9"] if kind == "nginx" else []))
        assert server.is_up()
        family = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    assert not server.is_up() and not any(member.is_running() for member in family)


def test_everybody_has_an_address_and_groups() -> None:
    assert len(people()) == 12 and all(person["mail"] and "groups" in person for person in people())
