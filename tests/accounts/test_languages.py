"""Everybody reads in their own language: pages, answers to programs, mails, what comes over the socket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson
import pytest
from django.conf import settings as django_settings
from django.utils import timezone, translation

from accounts import languages, preferences
from owui.lib.aio import in_thread
from owui.lib.languages import number
from owui.templatetags.when import in_words, when
from tests.chat.test_sockets import socket
from tests.conftest import token_for

pytestmark = pytest.mark.django_db


SIGN_IN = {"en": "Sign in", "de": "Anmelden", "fr": "Se connecter", "zh-hans": "登录"}


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    with translation.override("en"):
        yield


def _language_of(page: Any) -> str:
    found = re.search(r'<html lang="([^"]+)"', page.content.decode())
    assert found and page["Content-Language"] == found[1]
    return found[1]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [("", "en"), ("de-AT,de;q=0.9,en;q=0.5", "de"), ("pt-BR,fr;q=0.5", "fr"), ("zh-CN", "zh-hans"), ("xx", "en")],
)
def test_before_sign_in_the_browser_decides(client_for, alice, accept, expected):
    page = client_for().get("/auth", headers={"accept-language": accept})
    assert _language_of(page) == expected
    assert SIGN_IN[expected] in page.content.decode()


def test_the_house_decides_before_the_browser(client_for, alice, set_config):
    set_config("ui.default_locale", "ja-JP")
    for client, path in ((client_for(), "/auth"), (client_for(alice), "/settings")):
        assert _language_of(client.get(path, headers={"accept-language": "de"})) == "ja"
    assert client_for().get("/api/config").json()["default_locale"] == "ja-JP"
    set_config("ui.default_locale", "no such language")
    assert _language_of(client_for().get("/auth", headers={"accept-language": "de"})) == "de"


def test_the_person_decides_before_the_house(client_for, alice, set_config):
    set_config("ui.default_locale", "ja")
    client = client_for(alice, htmx=True)
    saved = client.post("/settings/language", {"language": "es"})
    assert (saved.status_code, saved["HX-Refresh"]) == (204, "true")
    page = client.get("/settings", headers={"accept-language": "de"})
    assert _language_of(page) == "es" and "Ajustes" in page.content.decode()
    # The same browser after signing out, and another one.
    client.cookies.pop("token")
    assert _language_of(client.get("/auth", headers={"accept-language": "de"})) == "es"
    assert _language_of(client_for(alice).get("/settings")) == "es"


def test_like_the_browser_again(client_for, alice):
    client = client_for(alice, htmx=True)
    client.post("/settings/language", {"language": "fr"})
    for sent in ("", "tlh"):
        client.post("/settings/language", {"language": sent})
        alice.refresh_from_db()
        assert languages.chosen_by(alice) == ""
    assert _language_of(client.get("/settings", headers={"accept-language": "de"})) == "de"


def test_the_section_offers_every_language_by_its_own_name(client_for, alice):
    page = client_for(alice).get("/settings").content.decode()
    for code, name in django_settings.LANGUAGES:
        assert re.search(rf'<option value="{code}"\s+lang="{code}"\s*>{name}</option>', page), code


def test_what_other_clients_stored_counts(alice):
    alice.settings = {"ui": {"locale": "de-DE"}}
    assert languages.chosen_by(alice) == "de"
    alice.settings = {"ui": {"language": ["de"]}}
    assert languages.chosen_by(alice) == ""


def test_programs_are_answered_in_the_persons_language(client_for, alice):
    preferences.change_interface(alice, {"language": "ja"})
    answer = client_for(alice, htmx=True).post("/settings/keyboard", {"name": "nothing", "keys": "mod+x"})
    assert answer["Content-Language"] == "ja" and "そのようなショートカットはありません。" in answer.content.decode()


def test_an_error_page_is_in_one_language(client_for, alice):
    preferences.change_interface(alice, {"language": "de"})
    page = client_for(alice).get("/nowhere", headers={"accept-language": "fr"})
    assert page.status_code == 404 and _language_of(page) == "de"


def test_what_is_written_without_a_request_is_in_the_readers_language(alice, set_config):
    set_config("ui.default_locale", "fr")
    with languages.speaking_to(alice):
        assert translation.get_language() == "fr"
    preferences.change_interface(alice, {"language": "de"})
    alice.refresh_from_db()
    with languages.speaking_to(alice):
        assert translation.get_language() == "de"
    assert translation.get_language() == "en"


@pytest.mark.parametrize(
    ("language", "day", "count"),
    [
        ("en", "3 Feb 2026", "1,234.5"),
        ("de", "3. Feb. 2026", "1.234,5"),
        ("es", "3 de febrero de 2026", "1\u00a0234,5"),
        ("ja", "2026年2月3日", "1,234.5"),
        ("zh-hans", "2026年2月3日", "1,234.5"),
    ],
)
def test_dates_and_numbers_are_written_as_the_language_does(language, day, count):
    then = datetime(2026, 2, 3, 10, tzinfo=timezone.get_default_timezone())
    with translation.override(language):
        assert in_words(then, timezone.now()) == day
        assert day in when(then)
        assert number(1234.5, 1) == count


@pytest.mark.django_db(transaction=True)
async def test_each_socket_draws_in_the_language_of_its_reader(alice, bob):
    """Two people, one process: what is drawn for one must not come in the language of the other."""
    from chat import consumers

    await in_thread(preferences.change_interface)(alice, {"language": "de"})
    await in_thread(preferences.change_interface)(bob, {"language": "fr"})
    seen: dict[Any, list[str]] = {}

    async def told(self: Any, *args: Any) -> None:
        here = await in_thread(translation.get_language)()
        seen.setdefault(self.user_id, []).append(f"{translation.get_language()} {here}")
        await self._send({"type": "told"})

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(consumers.ChatConsumer, "_read", told)
        tokens = [await in_thread(token_for)(person) for person in (alice, bob)]
        sockets = [socket(token) for token in tokens]
        for one in sockets:
            assert (await one.connect())[0]
        for one in (*sockets, sockets[0]):
            turn = "00000000-0000-0000-0000-000000000001"
            await one.send_to(text_data=orjson.dumps({"type": "attach", "turn": turn}).decode())
            assert orjson.loads(await one.receive_from())["type"] == "told"
        for one in sockets:
            await one.disconnect()
    assert seen == {alice.pk: ["de de", "de de"], bob.pk: ["fr fr"]}
    assert translation.get_language() == "en"
