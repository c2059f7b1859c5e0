"""An orderly end of a server, and a database that goes away under running answers."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.embedded.conftest import Running, home, services
from tests.processes.server import Site, until
from tests.processes.talk import Page, Sent, ask, attach, counted, opened, read

pytestmark = pytest.mark.process
__all__ = ["home", "services"]


def test_server_that_is_asked_to_end_finishes_its_answers(new_site: Callable[..., Site]) -> None:
    site = new_site(workers=1)
    with site.browser() as browser:
        short = ask(browser, "go [[n=60 tps=30]]")
        long = ask(browser, "go [[n=3000 tps=30]]")
    site.web.send_signal(signal.SIGTERM)
    assert site.web.wait(20) in (0, -signal.SIGTERM)
    state, text = site.answer(short.message)
    assert (state, text.split()) == ("done", counted(60))
    state, text = site.answer(long.message)
    assert state == "interrupted"
    assert text.split() == counted(len(text.split()))
    assert len(text.split()) > 60
    assert site.runners() == {}


def test_node_that_was_killed_whole_marks_its_answers_as_soon_as_it_is_back(new_site: Callable[..., Site]) -> None:
    site = new_site(workers=2)
    with site.browser() as browser:
        answers = [ask(browser, "go [[n=3000 tps=30]]") for _ in range(4)]
    until(lambda: all(_log(site, answer) for answer in answers), 60, "some words")
    time.sleep(2)
    for process in [psutil.Process(site.web.pid), *psutil.Process(site.web.pid).children(recursive=True)]:
        process.kill()
    site.web.wait(10)
    former = set(site.runners())
    site.web = site.start_node("web", site.port)
    until(lambda: set(site.runners()) - former, 60, "a new worker")
    until(lambda: all(site.answer(answer.message)[0] == "interrupted" for answer in answers), 60, "interrupted answers")
    with site.browser() as browser:
        text = site.answer(answers[0].message)[1]
        path = f"/c/{answers[0].chat}/messages/{answers[0].message}"
        assert browser.post(f"{path}/continue").status_code == 200
        until(lambda: browser.post(f"{path}/stop") and site.answer(answers[0].message)[0] == "stopped", 60, "the stop")
    assert site.answer(answers[0].message)[1].startswith(text)


def _log(site: Site, answer: Sent) -> bool:
    return bool(site.rows("SELECT 1 FROM chat_turnevent WHERE turn_id = %s LIMIT 1", answer.turn))


@pytest.fixture
def site_of_its_own(services: Callable[..., Running], new_site: Callable[..., Site]) -> Iterator[tuple[Site, Running]]:
    running = services()
    yield new_site(workers=1, database_server=running.env["DATABASE_URL"], redis=running.env["REDIS_URL"]), running


async def test_answers_survive_a_database_that_stands_still_and_one_that_dies(
    site_of_its_own: tuple[Site, Running], home: Path
) -> None:
    site, running = site_of_its_own
    with site.browser() as browser:
        first = await asyncio.to_thread(ask, browser, "go [[n=150 tps=30]]")
        async with opened(site) as connection:
            page = Page(first.message, first.turn)
            await attach(connection, page)
            await read(connection, page, words=20)
            server = psutil.Process(running.pid("postgres"))
            family = [server, *server.children(recursive=True)]
            for process in family:
                process.suspend()
            began = time.monotonic()
            await read(connection, page, words=len(page.words) + 75)  # streaming goes on meanwhile
            assert time.monotonic() - began < 20
            for process in family:
                process.resume()
            await read(connection, page)
        assert page.words == counted(150)
        assert site.answer(first.message)[0] == "done"

        second = await asyncio.to_thread(ask, browser, "go [[n=90 tps=30]]")
        async with opened(site) as connection:
            page = Page(second.message, second.turn)
            await attach(connection, page)
            await read(connection, page, words=20)
            os.kill(running.pid("postgres"), signal.SIGKILL)
            await read(connection, page)
        assert page.words == counted(90)
    until(lambda: site.answer(second.message)[0] == "done", 60, "the saved answer")
    assert site.answer(second.message)[1].split() == counted(90)
