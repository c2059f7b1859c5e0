"""What the composer asks the server for, and what a question may carry."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from chat.models import Chat, Folder, Message
from chat.prompt_fields import parts_of
from inference.models import AIModel
from owui.lib.aio import in_thread
from owui.lib.errors import Refused, UserError
from tests.chat.helpers import ask, counted, end
from tests.chat.test_pictures import PIXEL, URL, blind
from tests.chat.test_views import browser, saved
from tests.conftest import token_for
from tests.factories.rbac import make_shared

live = pytest.mark.django_db(transaction=True)
PNG = base64.b64decode(PIXEL)


def png(name: str = "pixel.png", data: bytes = PNG) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data, "image/png")


# ------------------------------------------------------------------------------------------------------------- prompts
def test_a_prompt_is_texts_fields_and_what_is_known() -> None:
    text = (
        'Hi {{USER_NAME}}, {{ topic | select:options=["a:b","c"]:default="c":required }} {{n|number:min="1"}} {{ x }}!'
    )
    parts, fields = parts_of(text, {"USER_NAME": "Ann {{y}}"})
    assert parts == ["Hi ", "Ann {{y}}", ", ", {"name": "topic"}, " ", {"name": "n"}, " ", {"name": "x"}, "!"]
    topic, number, plain = fields
    assert (topic.type, topic.options, topic.default, topic.required) == ("select", ("a:b", "c"), "c", True)
    assert (number.type, dict(number.attributes), number.required) == ("number", {"min": "1"}, False)
    assert (plain.type, plain.label) == ("text", "X")


def test_strange_prompts_stay_text() -> None:
    assert parts_of("a {{}} {{ | text}} {b}", {}) == (["a {{}} {{ | text}} {b}"], [])
    parts, fields = parts_of('{{a | script:onclick="x":required=true}}{{a}}{{CLIPBOARD}}', {})
    assert parts == [{"name": "a"}, {"name": "a"}, {"name": "CLIPBOARD"}]
    assert [(f.name, f.type, dict(f.attributes), f.required) for f in fields] == [("a", "text", {}, True)]


@pytest.mark.django_db
def test_a_picked_prompt_comes_filled_and_asks_for_the_rest(
    client_for: Callable[..., Any], alice: Any, bob: Any, mallory: Any, share: Callable[..., None]
) -> None:
    prompt: Any = make_shared("prompt", alice)
    prompt.content = 'For {{USER_NAME}}: {{topic | textarea:placeholder="<b>":required}}'
    prompt.save()
    share(prompt, bob)
    found = client_for(bob).get(f"/c/pick/prompt/{prompt.pk}").json()
    assert found["parts"] == ["For ", bob.name, ": ", {"name": "topic"}]
    assert 'placeholder="&lt;b&gt;"' in found["dialog"] and "required" in found["dialog"]
    assert client_for(mallory).get(f"/c/pick/prompt/{prompt.pk}").status_code == 404
    prompt.is_active = False
    prompt.save()
    assert client_for(bob).get(f"/c/pick/prompt/{prompt.pk}").status_code == 404


# -------------------------------------------------------------------------------------------------------------- pickers
@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["prompt", "skill"])
def test_pickers_offer_what_is_readable(
    client_for: Callable[..., Any], alice: Any, bob: Any, mallory: Any, share: Callable[..., None], kind: str
) -> None:
    thing: Any = make_shared(kind, alice)
    share(thing, bob)
    assert str(thing.pk) in client_for(bob).get(f"/c/pick/{kind}", {"q": thing.name[:3].upper()}).content.decode()
    assert str(thing.pk) not in client_for(bob).get(f"/c/pick/{kind}?q=qqq").content.decode()
    assert str(thing.pk) not in client_for(mallory).get(f"/c/pick/{kind}").content.decode()
    assert client_for(bob).get("/c/pick/user").status_code == 404


@pytest.mark.django_db
def test_knowledge_files_and_folders_at_a_steady_cost(
    client_for: Callable[..., Any],
    alice: Any,
    bob: Any,
    mallory: Any,
    share: Callable[..., None],
    set_config: Callable[..., None],
    django_assert_max_num_queries: Any,
) -> None:
    from tests.factories.knowledge import make_document

    base: Any = make_shared("knowledge", alice)
    hidden: Any = make_shared("knowledge", alice)
    share(base, bob)
    own = make_document(bob)
    items = [{"type": "collection", "id": str(k.pk), "name": "Whatever"} for k in (base, hidden)]
    Folder.objects.create(owner=bob, name="Launch", data={"files": items})
    Folder.objects.create(owner=bob, name="Bare")
    client = client_for(bob)
    client.get("/c/pick/knowledge")
    with django_assert_max_num_queries(14):
        html = client.get("/c/pick/knowledge").content.decode()
    assert all(str(pk) in html for pk in (base.pk, own.pk))
    assert "Launch" in html and "Bare" not in html
    assert str(hidden.pk) not in html and "Whatever" not in html
    other = client_for(mallory).get("/c/pick/knowledge").content.decode()
    assert "No knowledge base is shared with you yet." in other and str(own.pk) not in other
    set_config("user.permissions", {"features": {"folders": False}})
    assert "Launch" not in client.get("/c/pick/knowledge").content.decode()


# ------------------------------------------------------------------------------------------------------------- pictures
@live
async def test_a_picture_goes_to_the_model_and_stays_in_the_chat(
    process: Any, alice: Any, mallory: Any, small: Any, server: Any
) -> None:
    page = browser(await in_thread(token_for)(alice))
    form = {"text": "What is it? [[n=2]]", "model": "fake-small", "picture": png()}
    sent = await page.post("/c/new/messages", form)
    assert sent.status_code == 200
    chat = await in_thread(Chat.objects.get)()
    assert (await saved(chat.current_id)).content == counted(2)
    question = await in_thread(Message.objects.get)(chat=chat, author="user")
    place = f"/c/{chat.pk}/messages/{question.pk}/pictures/0"
    assert f'src="{place}"' in sent.content.decode() and PIXEL not in sent.content.decode()
    shown = await page.get(place)
    assert (shown["Content-Type"], shown.content, shown["Content-Security-Policy"]) == (
        "image/png",
        PNG,
        "default-src 'none'; sandbox",
    )
    assert (await page.get(f"{place[:-1]}1")).status_code == 404
    stranger = browser(await in_thread(token_for)(mallory))
    assert (await stranger.get(place)).status_code == 404
    assert server.requests[-1].json["messages"][-1]["content"][1]["image_url"]["url"] == URL


@pytest.mark.django_db
def test_what_is_no_picture_or_too_much_is_refused(alice: Any, set_config: Callable[..., None]) -> None:
    with pytest.raises(UserError, match="PNG, JPEG"):
        ask(alice, pictures=[png(data=b"<svg onload=alert(1)>")])
    set_config("chat.max_image_bytes", 1000)
    with pytest.raises(UserError, match="larger than"):
        ask(alice, pictures=[png(data=PNG + b"0" * 1000)])
    set_config("rag.file_max_count", 1)
    with pytest.raises(UserError, match="At most 1 files"):
        ask(alice, pictures=[png(), png()])
    assert not Chat.objects.exists()


@pytest.mark.django_db
def test_pictures_need_the_right_to_attach_files(alice: Any, set_config: Callable[..., None]) -> None:
    set_config("user.permissions", {"chat": {"file_upload": False}})
    with pytest.raises(Refused):
        ask(alice, pictures=[png()])


@live
async def test_a_model_that_cannot_see_is_said_before(small: Any, alice: Any) -> None:
    page = browser(await in_thread(token_for)(alice))
    assert (await page.get("/c/sees?model=fake-small")).content == b""
    await in_thread(blind)(small)
    assert "cannot look at pictures" in (await page.get("/c/sees?model=fake-small")).content.decode()


# ----------------------------------------------------------------------------------------------- suggestions, addresses
@pytest.mark.django_db
def test_suggestions_of_the_model_or_of_the_house(
    client_for: Callable[..., Any], alice: Any, share: Callable[..., None], set_config: Callable[..., None]
) -> None:
    set_config("ui.default_prompt_suggestions", [{"title": ["House", "first"], "content": f"q{n}"} for n in range(6)])
    own = [{"title": ["Own"], "content": "<i>"}, "odd", {"title": []}]
    model = AIModel.objects.create(model_id="m", name="M", meta={"suggestion_prompts": own})
    client = client_for(alice)
    assert client.get("/c/suggestions?model=m").content.decode().count("House") == 4
    share(model, "*")
    shown = client.get("/c/suggestions?model=m").content.decode()
    assert shown.count("data-suggestion") == 1 and 'data-suggestion="&lt;i&gt;"' in shown


@pytest.mark.django_db
def test_an_address_sends_only_what_no_other_site_wrote(client_for: Callable[..., Any], alice: Any) -> None:
    def sends(query: str, site: str) -> bool:
        html = client_for(alice).get(f"/?{query}", headers={"sec-fetch-site": site}).content.decode()
        assert ("q=" not in query) or ">Hello<" in html
        return "data-submit" in html

    assert sends("q=Hello&submit=true", "none")
    assert sends("q=Hello&submit=true", "same-origin")
    assert not sends("q=Hello&submit=true", "cross-site")
    assert not sends("q=Hello", "none")
    assert not sends("submit=true", "none")


@pytest.mark.django_db
def test_the_composer_goes_by_the_persons_settings_and_the_limits(
    client_for: Callable[..., Any], alice: Any, set_config: Callable[..., None]
) -> None:
    set_config("rag.file_max_size", 7)
    html = client_for(alice).get("/").content.decode()
    assert "(at most 7 MB each)" in html and "data-queue-on" in html
    assert "data-ctrl-enter" not in html and "data-large-text" not in html
    alice.settings = {"ui": {"ctrlEnterToSend": True, "largeTextAsFile": True, "enableMessageQueue": False}}
    alice.save()
    html = client_for(alice).get("/").content.decode()
    assert "data-queue-on" not in html and "data-ctrl-enter" in html and "data-large-text" in html


@pytest.mark.django_db
def test_pictures_are_made_as_small_as_the_person_and_the_house_want(
    client_for: Callable[..., Any], alice: Any, set_config: Callable[..., None]
) -> None:
    page = client_for(alice)

    def box() -> tuple[str, ...]:
        found = re.search(r'data-picture-width="(\d+)" data-picture-height="(\d+)"', page.get("/").content.decode())
        return found.groups() if found else ()

    def save(width: str, height: str, *on: str) -> int:
        form = {"imageCompressionSize.width": width, "imageCompressionSize.height": height, "on": on}
        return int(page.post("/settings/interface", form).status_code)

    assert box() == ("0", "0")
    assert save("1600", "", "imageCompression") == 204 and box() == ("1600", "0")
    alice.refresh_from_db()
    assert alice.settings["ui"]["imageCompressionSize"] == {"width": 1600}
    set_config("rag.file_image_compression_width", 800)
    set_config("rag.file_image_compression_height", 700)
    assert box() == ("800", "700")
    for wrong in ("0", "-1", "wide", "99999", "1e3"):
        assert save(wrong, "", "imageCompression") == 400
    assert save("640", "480", "imageCompression") == 204 and box() == ("640", "480")
    assert save("640", "480") == 204 and box() == ("800", "700"), "switched off, the house's limits hold"
    # What a client stored otherwise does no harm.
    alice.refresh_from_db()
    alice.settings["ui"] |= {"imageCompression": True, "imageCompressionSize": {"width": "500", "height": [1]}}
    alice.save()
    assert box() == ("500", "700") and 'value="500"' in page.get("/settings").content.decode()


@pytest.mark.django_db
def test_a_chat_shows_its_pictures_again(client_for: Callable[..., Any], alice: Any) -> None:
    started = ask(alice, pictures=[png("a <b>.png")])
    end(started)
    html = client_for(alice).get(f"/c/{started.chat.pk}").content.decode()
    assert 'alt="a &lt;b&gt;.png"' in html and PIXEL not in html


# --------------------------------------------------------------------------------------------------------------- models
@live
def test_models_are_told_apart_by_where_they_run(
    client_for: Callable[..., Any], people: Any, small: Any, server: Any, share: Callable[..., None], set_config: Any
) -> None:
    own = client_for(people.alice).get("/").content.decode()
    assert 'data-place="external"' in own and 'name="model-place"' not in own, "no choice where there is none"
    set_config("openai.api_base_urls", [server.openai_url, server.openai_url])
    set_config("openai.api_configs", {"1": {"prefix_id": "house", "connection_type": "local"}})
    share(AIModel.objects.create(model_id="house.fake-small", name="House"), "*")
    own = client_for(people.alice).get("/").content.decode()
    assert all(f'data-place="{place}"' in own for place in ("local", "external")) and 'name="model-place"' in own
    # Only administrators may pull what nobody offers yet.
    assert 'id="model-pull"' not in own and 'id="model-pull"' in client_for(people.dana).get("/").content.decode()
    set_config("ollama.enable", False)
    assert 'id="model-pull"' not in client_for(people.dana).get("/").content.decode()


@pytest.mark.django_db
def test_our_own_suggestions_are_said_in_the_readers_language() -> None:
    from django.utils.translation import override

    from chat.views.composer import _suggestion
    from owui.config.sections import SUGGESTIONS

    with override("de"):
        assert _suggestion(SUGGESTIONS[0])["title"] == "Zusammenfassen"
        assert _suggestion({"title": ["Explain"], "content": "Mine"})["title"] == "Explain"
