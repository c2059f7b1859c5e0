"""Somebody is closed in a real directory: with the next scheduled look they are out of page, REST, socket and key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import websockets
from websockets.exceptions import ConnectionClosed

from tests.accounts.directories import add_person, change, values
from tests.processes.server import Site, until
from tests.real.servers import Real, RealServer, needs

pytestmark = [pytest.mark.process, needs("ldap")]


@pytest.fixture
def world() -> Iterator[tuple[Site, RealServer, str]]:
    with Real() as real:
        ldap = real.start("ldap")
        dn = add_person(ldap, "leaver")
        found = values(ldap)
        site = Site(
            celery=True,
            env={
                "ENABLE_LDAP": "True",
                "LDAP_SERVER_HOST": "localhost",
                "LDAP_SERVER_PORT": str(ldap.port),
                "LDAP_USE_STARTTLS": "True",
                "LDAP_CA_CERT_FILE": str(ldap.ca),
                "LDAP_APP_DN": found["app_dn"],
                "LDAP_APP_PASSWORD": found["app_password"],
                "LDAP_SEARCH_BASE": found["search_base"],
                "LDAP_DISABLED_FILTER": found["disabled_filter"],
                "ENABLE_LDAP_SYNC": "True",
                "LDAP_SYNC_INTERVAL": "5",
                "DEFAULT_USER_ROLE": "user",
                "ENABLE_API_KEYS": "True",
                "USER_PERMISSIONS_FEATURES_API_KEYS": "True",
            },
        )
        try:
            yield site, ldap, dn
        finally:
            site.stop()


async def test_who_is_closed_there_is_out_of_everything_with_the_next_look(world: Any) -> None:
    site, ldap, dn = world
    await asyncio.to_thread(site.sign_up)
    body = {"user": "leaver", "password": "Test-leaver-1"}
    session = httpx.post(f"{site.url}/api/v1/auths/ldap", json=body, timeout=60).json()
    with site.program(session["token"]) as program, site.browser(session["token"]) as browser:
        key = program.post("/api/v1/auths/api_key").json()["api_key"]
        assert program.get("/api/v1/chats/").status_code == 200
        assert browser.get("/settings").status_code == 200
        headers = {"authorization": f"Bearer {session['token']}"}
        async with websockets.connect(site.socket_url, additional_headers=headers) as socket:
            # One look has gone by and found the person there.
            await asyncio.to_thread(until, lambda: looks(site), 40, "a look at the directory")
            change(ldap, dn, employeeType=["disabled"])
            began = time.monotonic()
            with pytest.raises(ConnectionClosed):
                async with asyncio.timeout(60):
                    while True:
                        await socket.recv()
        print(f"out after {time.monotonic() - began:.1f} s")
        assert program.get("/api/v1/chats/").status_code == 401
        assert browser.get("/settings", headers={"hx-request": ""}).status_code == 302
    with site.program(key) as program:
        assert program.get("/api/v1/models").status_code == 401
    assert httpx.post(f"{site.url}/api/v1/auths/ldap", json=body, timeout=60).status_code == 403


def looks(site: Site) -> int:
    return int(site.rows("SELECT count(*) FROM accounts_directoryrun WHERE state = 'done' AND known = 1")[0][0])
