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
import pytest
import websockets
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from owui.sockets import UNAUTHORISED
from tests.processes.server import PASSWORD, OwnValkey, Site, until
from tests.processes.talk import MODEL, Page, ask, attach, opened_on, read

pytestmark = pytest.mark.process
TOKEN = "the-token-of-the-provisioning-client"
BASE = "/api/v1/scim/v2"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@pytest.fixture(scope="module")
def valkey() -> Iterator[OwnValkey]:
    """One that the last test may kill."""
    made = OwnValkey()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def site(valkey: OwnValkey) -> Iterator[Site]:
    env = {
        "ENABLE_SCIM": "True",
        "SCIM_TOKEN": TOKEN,
        "SCIM_ADOPT_ACCOUNTS": "True",
        "ENABLE_API_KEYS": "True",
        "USER_PERMISSIONS_FEATURES_API_KEYS": "True",
        "BYPASS_MODEL_ACCESS_CONTROL": "True",
    }
    made = Site(workers=2, env=env, redis=valkey.url)
    try:
        _ = made.token  # the first account is the administrator
        yield made
    finally:
        made.stop()


def directory(site: Site) -> httpx.Client:
    """The company's provisioning client."""
    return httpx.Client(base_url=site.url + BASE, headers={"authorization": f"Bearer {TOKEN}"}, timeout=60)


def test_the_public_compliance_suite_finds_no_error(site: Site) -> None:
    with httpx2.Client(base_url=site.url + BASE, headers={"authorization": f"Bearer {TOKEN}"}, timeout=60) as client:
        results = check_server(SyncSCIMClient(client))
    bad = [result for result in results if result.status in (Status.ERROR, Status.CRITICAL, Status.DEVIATION)]
    assert not bad, "\n".join(f"{r.resource_type} {r.title}: {r.reason}" for r in bad)
    assert not [result.title for result in results if result.status is Status.SKIPPED]
    assert len(results) > 40


async def closed(connection: Any) -> tuple[int, float]:
    """The code a socket was closed with, and when."""
    try:
        async with asyncio.timeout(20):
            async for _text in connection:
                pass
    except websockets.ConnectionClosed:
        pass
    return int(connection.close_code or 0), time.monotonic()


async def streamed(client: httpx.AsyncClient, began: asyncio.Event) -> tuple[str, float]:
    """An answer streamed to a program: how it ended, and when."""
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "go [[n=3000 tps=30]]"}]}
    lines = []
    async with client.stream("POST", "/api/chat/completions", json=body) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            lines.append(line)
            if len([text for text in lines if "content" in text]) == 3:
                began.set()
    return "\n".join(lines[-6:]), time.monotonic()


async def test_who_is_switched_off_by_scim_is_out_of_everything_within_a_second(site: Site) -> None:
    token, pk = await asyncio.to_thread(site.user_token, "eve@example.org")
    with site.program(token) as program:
        key = program.post("/api/v1/auths/api_key").json()["api_key"]
    with directory(site) as client:
        body = {"userName": "eve", "emails": [{"value": "eve@example.org"}], "externalId": "e-1"}
        adopted = client.post("/Users", json=body)
        assert (adopted.status_code, adopted.json()["id"]) == (201, pk)
    assert httpx.get(f"{site.url}/api/v1/auths/", headers={"authorization": f"Bearer {token}"}).status_code == 200
    with site.browser(token) as browser:
        turn = await asyncio.to_thread(ask, browser, "go [[n=3000 tps=30]]")
    first, second = site.runners()
    programs = [
        httpx.AsyncClient(base_url=site.url, headers={"authorization": f"Bearer {credential}"}, timeout=30)
        for credential in (token, key)
    ]
    async with opened_on(site, first, token) as here, opened_on(site, second, token) as there:
        page = Page(turn.message, turn.turn)
        await attach(here, page)
        await read(here, page, words=5)
        began = [asyncio.Event(), asyncio.Event()]
        streams = [asyncio.create_task(streamed(program, b)) for program, b in zip(programs, began, strict=True)]
        async with asyncio.timeout(20):
            await asyncio.gather(*(event.wait() for event in began))
        ends = [asyncio.create_task(closed(socket)) for socket in (here, there)]
        operation = {"op": "replace", "path": "active", "value": False}
        with directory(site) as client:
            answer = await asyncio.to_thread(
                client.patch, f"/Users/{pk}", json={"schemas": [PATCH], "Operations": [operation]}
            )
        moment = time.monotonic()
        assert (answer.status_code, answer.json()["active"]) == (200, False)
        # Whatever asks now is refused; no time is given.
        with site.browser(token) as browser:
            assert browser.get("/", headers={"hx-request": ""}).headers["location"].startswith("/auth")
        for credential in (token, key):
            with site.program(credential) as program:
                assert program.get("/api/v1/chats/").status_code == 401
        async with asyncio.timeout(20):
            sockets = await asyncio.gather(*ends)
            told = await asyncio.gather(*streams)
    for program in programs:
        await program.aclose()
    until(lambda: site.answer(turn.message)[0] != "streaming", 60, "the end of the running answer")
    waited = {
        "sockets": [round(at - moment, 3) for _code, at in sockets],
        "streams": [round(at - moment, 3) for _text, at in told],
    }
    print("seconds after the answer to the directory:", waited)
    assert [code for code, _at in sockets] == [UNAUTHORISED, UNAUTHORISED]
    # Within a second on a machine with nothing else to do; without the word of it they would go on for minutes.
    assert max(waited["sockets"]) < 10 and max(waited["streams"]) < 10, waited
    assert all("content" not in text.splitlines()[-1] for text, _at in told)
    sign_in = {"email": "eve@example.org", "password": PASSWORD}
    assert httpx.post(f"{site.url}/api/v1/auths/signin", json=sign_in).status_code in (400, 403)


async def test_a_running_answer_ends_when_all_sessions_of_its_person_are_ended(site: Site) -> None:
    """As a logout at the sign-in provider does: the account stays on, and nothing that was open goes on."""
    token, pk = await asyncio.to_thread(site.user_token, "gia@example.org")
    with site.browser(token) as browser:
        turn = await asyncio.to_thread(ask, browser, "go [[n=3000 tps=30]]")
    first, _second = site.runners()
    async with opened_on(site, first, token) as socket:
        page = Page(turn.message, turn.turn)
        await attach(socket, page)
        await read(socket, page, words=5)
        end = asyncio.create_task(closed(socket))
        with site.program() as administrator:
            answer = await asyncio.to_thread(administrator.post, f"/api/v1/users/{pk}/sessions/revoke")
        moment = time.monotonic()
        assert answer.json() is True
        code, at = await end
    assert (code, at - moment < 1) == (UNAUTHORISED, True)
    until(lambda: site.answer(turn.message)[0] != "streaming", 60, "the end of the running answer")
    assert len(site.answer(turn.message)[1].split()) < 2000
    sign_in = {"email": "gia@example.org", "password": PASSWORD}
    assert httpx.post(f"{site.url}/api/v1/auths/signin", json=sign_in).status_code == 200


async def test_leaving_needs_no_redis(site: Site, valkey: OwnValkey) -> None:
    """The database of record decides. The broker only carries the news: without it sockets ask each second."""
    token, pk = await asyncio.to_thread(site.user_token, "finn@example.org")
    with directory(site) as client:
        body = {"userName": "finn", "emails": [{"value": "finn@example.org"}]}
        assert client.post("/Users", json=body).status_code == 201
    first, second = site.runners()
    async with opened_on(site, first, token) as here, opened_on(site, second, token) as there:
        valkey.kill()
        ends = [asyncio.create_task(closed(socket)) for socket in (here, there)]
        operation = {"op": "replace", "path": "active", "value": False}
        with directory(site) as client:
            answer = await asyncio.to_thread(
                client.patch, f"/Users/{pk}", json={"schemas": [PATCH], "Operations": [operation]}
            )
        moment = time.monotonic()
        assert answer.status_code == 200
        for _ in range(4):  # whichever worker it reaches
            assert (
                httpx.get(f"{site.url}/api/v1/auths/", headers={"authorization": f"Bearer {token}"}).status_code == 401
            )
        async with asyncio.timeout(30):
            sockets = await asyncio.gather(*ends)
    waited = [round(at - moment, 3) for _code, at in sockets]
    print("seconds after the answer to the directory, without Redis:", waited)
    assert [code for code, _at in sockets] == [UNAUTHORISED, UNAUTHORISED]
    assert max(waited) < 10, waited
