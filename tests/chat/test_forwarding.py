"""What servers learn of who asks: as they receive it on a real socket, at every face, and nothing while it is off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import jwt
import pytest
from asgiref.sync import async_to_sync

from accounts import services
from accounts.models import OAuthSession
from accounts.services.oauth.sessions import _sealed
from chat.dispatch import start
from chat.models import Message
from chat.services import start_turn
from inference import live
from inference.catalogue import resolve_for
from knowledge.config import RagConfig
from knowledge.embedding import embed_queries, embed_texts
from owui.lib.aio import in_thread
from tests.chat.helpers import until
from tests.conftest import Api, token_for
from tests.factories.rbac import make_group
from tests.fakes.model_server import FakeModelServer, Request

pytestmark = pytest.mark.django_db(transaction=True)
ASK = {"messages": [{"role": "user", "content": "[[n=2]]"}]}
NAME, MAIL = "Zoë Ångström\r\nX-Evil: 1", "zoë@example.org"
FACES = [
    ("/api/chat/completions", ASK),
    ("/openai/chat/completions", ASK),
    ("/openai/embeddings", {"input": "x"}),
    ("/ollama/api/chat", ASK | {"stream": False}),
    ("/ollama/api/embed", {"input": "x"}),
]


@pytest.fixture
def zoe(people: Any) -> Any:
    people.alice.name, people.alice.email = NAME, MAIL
    people.alice.save()
    return people.alice


@pytest.fixture
def both(small: Any, server: FakeModelServer, set_config: Callable[..., None]) -> Iterator[FakeModelServer]:
    """`small` is offered by an Ollama server too, under another name."""
    from inference.models import AIModel

    with FakeModelServer(models=["llama"]) as ollama:
        set_config("ollama.base_urls", [ollama.url])
        AIModel.objects.create(model_id="llama", name="Llama", general_access="read")
        live.forget()
        yield ollama


@pytest.fixture
def switched_on(settings: Any) -> Any:
    settings.BOOT = settings.BOOT.model_copy(update={"enable_forward_user_info_headers": True})
    return settings


def provider_tokens(user: Any, text: str) -> Any:
    """What a sign-in at a provider left for a person."""
    row = OAuthSession(user=user, provider="oidc", subject=str(user.pk), tokens=_sealed({"access_token": f"at-{text}"}))
    row.save()
    return row.pk


def told(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name.startswith("x-openwebui-")}


def asked(server: FakeModelServer) -> Request:
    """The last call that was made for a person."""
    lists = ("/v1/models", "/api/tags")
    return [request for request in server.requests if request.path not in lists][-1]


def call(api: Any, path: str, body: dict[str, Any]) -> None:
    answer = api.post(path, body | {"model": "llama" if path.startswith("/ollama") else "fake-small"})
    assert answer.status_code == 200, answer.content


@pytest.mark.parametrize(("path", "body"), FACES, ids=[path for path, _ in FACES])
def test_every_face_tells_who_asks_once_it_is_switched_on(
    zoe: Any, server: FakeModelServer, both: FakeModelServer, api_for: Any, settings: Any, path: str, body: Any
) -> None:
    answering = both if path.startswith("/ollama") else server
    call(api_for(zoe), path, body)
    assert told(asked(answering)) == {}
    settings.BOOT = settings.BOOT.model_copy(update={"enable_forward_user_info_headers": True})
    call(api_for(zoe), path, body | {"chat_id": "c1\r\nX-Evil: 2"})
    got = asked(answering).headers
    assert unquote(got["x-openwebui-user-name"]) == NAME and "x-evil" not in got
    assert unquote(got["x-openwebui-user-email"]) == MAIL and got["x-openwebui-user-id"] == str(zoe.pk)
    assert (got["x-openwebui-user-role"], got["x-openwebui-auth-type"]) == ("user", "jwt")
    if path != "/openai/embeddings":
        assert got["x-openwebui-chat-id"] == "c1%0D%0AX-Evil: 2"


def test_lists_of_models_are_asked_for_on_behalf_of_nobody(
    zoe: Any, server: FakeModelServer, both: FakeModelServer, api_for: Any, switched_on: Any, set_config: Any
) -> None:
    own = {"auth_type": "session", "headers": {"X-Who": "{{USER_ID}}", "X-Site": "lab"}}
    set_config("openai.api_configs", {"0": own})
    assert api_for(zoe).get("/api/models").status_code == 200
    listed = [request for request in server.requests if request.path == "/v1/models"]
    assert listed and all(told(request) == {} for request in listed + both.requests)
    assert listed[-1].headers["x-site"] == "lab"
    assert "x-who" not in listed[-1].headers and "authorization" not in listed[-1].headers


def test_a_signed_token_takes_the_place_of_the_four_headers(
    zoe: Any, server: FakeModelServer, small: Any, api_for: Any, settings: Any, set_config: Any
) -> None:
    secret = "s" * 40
    settings.BOOT = settings.BOOT.model_copy(
        update={
            "enable_forward_user_info_headers": True,
            "forward_user_info_header_jwt_secret": secret,
            "forward_user_info_header_auth_type": "X-How",
        }
    )
    set_config("auth_api_key.enable", True)
    set_config("user.permissions", {"features": {"api_keys": True}})
    call(Api(services.create_api_key(zoe)), "/api/chat/completions", ASK | {"chat_id": "c1", "message_id": "m1"})
    got = asked(server).headers
    claims = jwt.decode(got["x-openwebui-user-jwt"], secret, algorithms=["HS256"], issuer="open-webui")
    assert (claims["sub"], claims["name"], claims["email"], claims["role"]) == (str(zoe.pk), NAME, MAIL, "user")
    assert claims["exp"] - claims["iat"] == 300
    assert set(told(asked(server))) == {"x-openwebui-user-jwt", "x-openwebui-chat-id", "x-openwebui-message-id"}
    assert (got["x-how"], got["x-openwebui-message-id"]) == ("api_key", "m1")


async def test_a_turn_of_a_page_tells_chat_and_message(
    zoe: Any, process: Any, small: Any, server: FakeModelServer, switched_on: Any
) -> None:
    resolved = await resolve_for(zoe, "fake-small")
    names = {"model_id": resolved.model_id, "model_name": resolved.name}
    started = await start(zoe, resolved, start_turn, text="[[n=2]]", **names)
    await until(lambda: started.turn.pk not in process.turns)
    got = asked(server).headers
    assert got["x-openwebui-chat-id"] == str(started.chat.pk)
    assert got["x-openwebui-message-id"] == str(started.message.pk)
    assert (await in_thread(Message.objects.get)(pk=started.message.pk)).state == "done"


def test_headers_of_a_connection_can_say_who_asks(
    zoe: Any, server: FakeModelServer, small: Any, api_for: Any, set_config: Any
) -> None:
    """Without the switch: an administrator wrote these headers."""
    make_group("Lab {{USER_ID}}", members=[zoe], parent=make_group("Site, Öst"))
    own = {
        "X-Who": "{{USER_NAME}} <{{USER_EMAIL}}>",
        "X-Groups": "{{USER_GROUPS}}",
        "X-What": "{{MODEL_ID}}/{{CHAT_ID}}/{{TASK}}",
        "X-Odd": "{{UNKNOWN}}",
    }
    set_config("openai.api_configs", {"0": {"headers": own}})
    for path in ("/openai/chat/completions", "/api/chat/completions"):
        call(api_for(zoe), path, ASK)
        got = asked(server).headers
        assert unquote(got["x-who"]) == f"{NAME} <{MAIL}>" and "x-evil" not in got
        assert unquote(got["x-groups"]) == "Lab {{USER_ID}},Site, Öst", "what is filled in is not filled in again"
        assert (got["x-what"], got["x-odd"]) == ("fake-small//", "{{UNKNOWN}}")
        assert told(asked(server)) == {}


@pytest.mark.parametrize("path", ["/openai/chat/completions", "/api/chat/completions"])
def test_a_connection_may_want_the_callers_own_token(
    zoe: Any, people: Any, server: FakeModelServer, small: Any, set_config: Any, path: str
) -> None:
    token = token_for(zoe)
    set_config("openai.api_keys", ["sk-shared"])
    set_config("openai.api_configs", {"0": {"auth_type": "session"}})
    call(Api(token), path, ASK)
    assert asked(server).headers["authorization"] == f"Bearer {token}"
    set_config("openai.api_configs", {"0": {"auth_type": "none"}})
    call(Api(token), path, ASK)
    assert "authorization" not in asked(server).headers
    set_config("openai.api_configs", {"0": {"auth_type": "system_oauth"}})
    before = len(server.requests)
    answer = Api(token).post(path, ASK | {"model": "fake-small"})
    assert answer.status_code == 403 and "sign in again by the provider" in answer.content.decode()
    chats = [request for request in server.requests[before:] if request.path != "/v1/models"]
    assert not chats, "nobody's key, and no call without one, when there is no token"

    first, theirs, latest = (provider_tokens(user, text) for user, text in ((zoe, "1"), (people.bob, "2"), (zoe, "3")))
    api = Api(token)
    for cookie, sent in ((None, "3"), (first, "1"), (latest, "3"), (theirs, "3"), ("nonsense", "3")):
        api.cookies.clear()
        if cookie:
            api.cookies["oauth_session_id"] = str(cookie)
        call(api, path, ASK)
        assert asked(server).headers["authorization"] == f"Bearer at-{sent}", "never another person's"
    set_config("openai.api_configs", {"0": {}})
    call(api, path, ASK)
    assert asked(server).headers["authorization"] == "Bearer sk-shared"


def test_an_error_of_a_server_does_not_give_the_callers_token_away(
    zoe: Any, server: FakeModelServer, small: Any, set_config: Any
) -> None:
    token = token_for(zoe)
    assert Api(token).get("/api/models").status_code == 200  # the list is there before the server asks for a key
    set_config("openai.api_configs", {"0": {"auth_type": "session", "model_ids": ["fake-small"]}})
    server.models.api_key = "another"
    answer = Api(token).post("/openai/chat/completions", ASK | {"model": "fake-small"})
    assert answer.status_code == 401 and token not in answer.content.decode()


@pytest.mark.parametrize("engine", ["openai", "ollama"])
def test_embedding_servers_learn_whose_text_it_is(
    zoe: Any, server: FakeModelServer, switched_on: Any, set_config: Any, engine: str
) -> None:
    set_config("rag.embedding_engine", engine)
    set_config("rag.embedding_model", "fake")
    set_config("rag.openai_api_base_url", server.openai_url)
    set_config("rag.ollama_base_url", server.url)
    config = RagConfig.load()
    for embed in (embed_queries, embed_texts):
        async_to_sync(embed)(config, ["a"], user=zoe)
        assert told(asked(server))["x-openwebui-user-id"] == str(zoe.pk)
        async_to_sync(embed)(config, ["a"])
        assert told(asked(server)) == {}
