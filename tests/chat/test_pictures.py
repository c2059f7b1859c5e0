"""Pictures in messages: as data to both kinds of servers, and refused in words where they cannot be used."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from chat import services
from chat.dispatch import start
from chat.models import Message
from chat.pictures import with_pictures
from chat.runner import runner
from inference import live
from inference.catalogue import resolve_for
from inference.models import AIModel
from owui.lib.aio import in_thread
from owui.lib.errors import UserError
from tests.chat.helpers import ask, end, until
from tests.conftest import Api, token_for
from tests.fakes.model_server import FakeModelServer

pytestmark = pytest.mark.django_db(transaction=True)
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
URL = f"data:image/png;base64,{PIXEL}"
ITEM = {"type": "image", "url": URL}
NAMES = {"model_id": "fake-small", "model_name": "Fake small"}


def shown(*urls: str, text: str = "[[n=2]]") -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": [{"type": "text", "text": text}, *parts]}


def post(user: Any, *messages: dict[str, Any], model: str = "fake-small") -> Any:
    return Api(token_for(user)).post("/api/chat/completions", {"model": model, "messages": list(messages)})


def blind(model: Any) -> None:
    model.meta = {"capabilities": {"vision": False}}
    model.save()


def test_a_programs_picture_reaches_the_model(small: Any, server: FakeModelServer, alice: Any) -> None:
    assert post(alice, shown(URL)).status_code == 200
    assert server.requests[-1].json["messages"] == [shown(URL)]


def test_ollama_gets_it_beside_the_text(
    small: Any, alice: Any, set_config: Callable[..., None], share: Callable[..., None]
) -> None:
    with FakeModelServer(models=["llava"]) as ollama:
        set_config("ollama.base_urls", [ollama.url])
        share(AIModel.objects.create(model_id="llava", name="Llava"), "*")
        live.forget()
        assert post(alice, shown(URL), model="llava").status_code == 200
        message = ollama.requests[-1].json["messages"][-1]
    assert (message["content"], message["images"]) == ("[[n=2]]", [PIXEL])


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("data:image/svg+xml;base64,PHN2Zz4=", 400, "cannot be used"),
        ("data:image/png;base64,not base64!", 400, "cannot be used"),
        ("data:image/png,plain", 400, "cannot be used"),
        ("file:///etc/passwd", 400, "cannot be used"),
        ("", 400, "cannot be used"),
        ("http://127.0.0.1:9/x.png", 400, "could not be fetched"),
        ("http://169.254.169.254/latest/meta-data", 400, "could not be fetched"),
        ("data:image/png;base64," + "A" * 4000, 413, "larger than 0.002 MB"),
    ],
)
def test_what_cannot_be_used_is_refused_and_never_sent(
    small: Any, server: FakeModelServer, alice: Any, set_config: Callable[..., None], url: str, status: int, words: str
) -> None:
    set_config("chat.max_image_bytes", 2000)
    answer = post(alice, shown(url))
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert not [r for r in server.requests if r.path.endswith("/chat/completions")]


def test_the_model_server_is_never_given_an_address_inside(small: Any, server: FakeModelServer, alice: Any) -> None:
    assert post(alice, shown(f"{server.url}/x.png")).status_code == 400
    assert not [r for r in server.requests if r.path == "/x.png"]


def test_too_many_pictures_are_refused(small: Any, alice: Any) -> None:
    assert post(alice, shown(*[URL] * 51)).status_code == 413
    assert post(alice, shown(*[f"http://127.0.0.1/{n}.png" for n in range(9)])).status_code == 413


def test_programs_are_told_that_a_model_cannot_see(small: Any, server: FakeModelServer, alice: Any) -> None:
    blind(small)
    answer = post(alice, shown(URL), {"role": "assistant", "content": "A cat."}, {"role": "user", "content": "Sure?"})
    assert answer.status_code == 400
    assert "cannot look at pictures" in answer.json()["detail"]


def test_the_house_can_say_that_models_cannot_see(small: Any, alice: Any, set_config: Callable[..., None]) -> None:
    set_config("ui.default_model_metadata", {"capabilities": {"vision": False}})
    assert post(alice, shown(URL)).status_code == 400
    small.meta = {"capabilities": {"vision": True}}
    small.save()
    assert post(alice, shown(URL)).status_code == 200


# --------------------------------------------------------------------------------------------------------- the page
async def answered(user: Any, service: Any, **arguments: Any) -> Message:
    resolved = await resolve_for(user, "fake-small")
    started = await start(user, resolved, service, **NAMES, **arguments)
    await until(lambda: started.turn.pk not in runner.turns)
    return await in_thread(Message.objects.get)(pk=started.message.pk)  # type: ignore[no-any-return]


def with_picture(user: Any, item: dict[str, Any] = ITEM) -> Any:
    """A question to which a picture is attached, and its answer."""
    started = ask(user, "What is this? [[n=2]]")
    Message.objects.filter(pk=started.question.pk).update(files=[item])
    end(started)
    return started


async def test_a_stored_picture_goes_with_its_question(
    process: Any, small: Any, server: FakeModelServer, alice: Any
) -> None:
    started = await in_thread(with_picture)(alice)
    message = await answered(alice, services.regenerate, message_id=started.message.pk)
    assert message.state == "done"
    assert message.status_history == [], "a picture is not searched"
    assert server.requests[-1].json["messages"] == [shown(URL, text="What is this? [[n=2]]")]


async def test_a_model_that_cannot_see_is_named_under_the_question(
    process: Any, small: Any, server: FakeModelServer, alice: Any
) -> None:
    await in_thread(blind)(small)
    started = await in_thread(with_picture)(alice)
    message = await answered(alice, services.regenerate, message_id=started.message.pk)
    assert message.state == "failed"
    assert "cannot look at pictures" in message.error


async def test_earlier_pictures_are_left_out_for_a_model_that_cannot_see(
    process: Any, small: Any, server: FakeModelServer, alice: Any
) -> None:
    await in_thread(blind)(small)
    started = await in_thread(with_picture)(alice)
    message = await answered(alice, services.start_turn, text="And now? [[n=2]]", chat_id=started.chat.pk)
    assert message.state == "done"
    first = server.requests[-1].json["messages"][0]["content"]
    assert first[-1] == {"type": "text", "text": "[image]"}
    assert PIXEL not in str(server.requests[-1].json)


async def test_addresses_in_stored_questions_are_never_followed(
    process: Any, small: Any, server: FakeModelServer, alice: Any
) -> None:
    started = await in_thread(with_picture)(alice, {"type": "image", "url": f"{server.url}/inside.png"})
    await answered(alice, services.regenerate, message_id=started.message.pk)
    assert server.requests[-1].json["messages"][0]["content"] == "What is this? [[n=2]]"
    assert "inside.png" not in str([r.path for r in server.requests])


async def test_a_link_is_fetched_by_the_guard_and_sent_as_data(monkeypatch: pytest.MonkeyPatch) -> None:
    from chat import pictures

    async def fetched(url: str, **limits: Any) -> tuple[bytes, str]:
        assert url == "https://example.org/cat.png"
        assert limits["largest"] == 5000
        return base64.b64decode(PIXEL), "image/png"

    monkeypatch.setattr(pictures, "fetch", fetched)
    found = await with_pictures(
        [shown("https://example.org/cat.png")], sees=True, model_name="x", largest=5000, is_page=False
    )
    assert found == [shown(URL)]


async def test_conversations_without_pictures_are_passed_on_as_they_are() -> None:
    messages = [{"role": "user", "content": "Hi"}]
    assert await with_pictures(messages, sees=False, model_name="x", largest=1, is_page=False) is messages
    with pytest.raises(UserError):
        await with_pictures([shown("x")], sees=True, model_name="x", largest=1, is_page=True)


# ---------------------------------------------------------------------------------------------------- other addresses
INSIDE = "http://169.254.169.254/latest"
HIDDEN: list[Any] = [
    {"image_url": {"url": INSIDE}},  # vLLM goes by the key where the type is missing
    {"type": "video_url", "video_url": {"url": INSIDE}},
    {"type": "audio_url", "audio_url": INSIDE},
    {"type": "file", "file": {"file_id": "file:///etc/passwd"}},
]


@pytest.mark.parametrize("part", HIDDEN)
def test_no_other_part_brings_an_address_to_the_model_server(
    small: Any, server: FakeModelServer, alice: Any, part: dict[str, Any]
) -> None:
    said = {"role": "user", "content": [{"type": "text", "text": f"See {INSIDE} [[n=2]]"}]}
    with_part = {"role": "user", "content": [*said["content"], part]}
    answer = post(alice, with_part)
    assert (answer.status_code, answer.json()["detail"][:5]) == (400, "Links")
    assert post(alice, shown(URL), with_part).status_code == 400
    assert not [r for r in server.requests if r.path.endswith("/chat/completions")]
    assert post(alice, said).status_code == 200, "words may hold links"


async def test_slow_addresses_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    async def slow(url: str, _largest: int) -> str:
        begun.append(url)
        await until(lambda: len(begun) == 8)
        return URL

    monkeypatch.setattr("chat.pictures._fetched", slow)
    said = shown(*[f"https://example.org/{n}.png" for n in range(8)])
    (ready,) = await with_pictures([said], sees=True, model_name="m", largest=1000, is_page=True)
    assert ready == shown(*[URL] * 8)
