"""A person leaves the company: a real directory client, two real workers, everything that was open.

`scim2-tester`, the public compliance suite, talks to the same site over a socket.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import orjson
import pytest
import websockets
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from owui.sockets import UNAUTHORISED
from tests.processes.server import PASSWORD, Site, until
from tests.processes.talk import MODEL, Page, ask, attach, opened_on, read

pytestmark = pytest.mark.process
TOKEN = "the-token-of-the-provisioning-client"
BASE = "/api/v1/scim/v2"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    env = {
        "ENABLE_SCIM": "True",
        "SCIM_TOKEN": TOKEN,
        "SCIM_ADOPT_ACCOUNTS": "True",
        "ENABLE_API_KEYS": "True",
        "USER_PERMISSIONS_FEATURES_API_KEYS": "True",
        "BYPASS_MODEL_ACCESS_CONTROL": "True",
    }
    made = Site(workers=2, env=env)
    try:
        _ = made.token  # the first account is the administrator
        yield made
    finally:
        made.stop()


def directory(site: Site) -> httpx.Client:
    """The company's provisioning client."""
    return httpx.Client(base_url=site.url + BASE, headers={"authorization": f"Bearer {TOKEN}"}, timeout=20)


def test_the_public_compliance_suite_finds_no_error(site: Site) -> None:
    with httpx2.Client(base_url=site.url + BASE, headers={"authorization": f"Bearer {TOKEN}"}, timeout=20) as client:
        results = check_server(SyncSCIMClient(client))
    bad = [result for result in results if result.status in (Status.ERROR, Status.CRITICAL, Status.DEVIATION)]
    assert not bad, "\n".join(f"{r.resource_type} {r.title}: {r.reason}" for r in bad)
    assert not [result.title for result in results if result.status is Status.SKIPPED]
    assert len(results) > 40
