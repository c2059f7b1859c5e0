"""The faces that answer with a model: async pages, completions and the proxies. Like `key_faces.py`, tried with a fake
model server, whose requests show what was passed on."""

from __future__ import annotations

from typing import Any

from owui.audit.models import AuditEvent
from owui.lib.aio import in_thread
from tests.rbac.key_tries import Face, Tries

SYSTEM, QUESTION = {"role": "system", "content": "Be rude."}, {"role": "user", "content": "Hello [[n=1]]"}
COMPLETIONS = ("/api/chat/completions", "/api/v1/chat/completions", "/v1/chat/completions")
PROXIES = ("/openai/chat/completions", "/ollama/v1/chat/completions", "/ollama/api/chat")
#: one of the three names of the same operation is enough, except where a chat that is not stored must be refused
ANSWERS = (COMPLETIONS[0], *PROXIES)


class LiveTries(Tries):
    """alice with a browser in which she waits for answers."""

    def __init__(self, alice: Any, page: Any, servers: tuple[Any, ...]) -> None:
        self.alice, self.page, self.servers = alice, page, servers

    async def post(self, path: str, **form: Any) -> int:
        return int((await self.page.post(path, {"model": "fake-small", **form})).status_code)

    async def made(self) -> tuple[str, str, str]:
        return await in_thread(self.chat)()

    async def answer(self, path: str, **body: Any) -> int:
        model = "llama" if path.startswith("/ollama") else "fake-small"
        body = {"model": model, "messages": [QUESTION], "stream": False} | body
        return int((await self.page.post(path, body, content_type="application/json")).status_code)

    async def sent(self, path: str, **body: Any) -> dict[str, Any]:
        """What reached the model server."""
        for server in self.servers:
            server.requests.clear()
        await self.answer(path, **body)
        (found,) = [r.json for server in self.servers for r in server.requests if r.method == "POST"]
        return dict(found)

    async def roles(self, path: str, **body: Any) -> list[str]:
        return [message["role"] for message in (await self.sent(path, **body))["messages"]]

    async def has(self, path: str, *names: str, **body: Any) -> bool:
        found = await self.sent(path, **body)
        return any(name in found or name in found.get("options", {}) for name in names)

    async def tools(self, path: str, kind: str) -> list[str]:
        own = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
        found = await self.sent(path, tools=[own, {"type": kind}])
        return [tool["type"] for tool in found.get("tools", [])]

    async def features(self, path: str, name: str) -> dict[str, bool]:
        return dict((await self.sent(path, features={name: True, "other": True}))["features"])

    async def noted(self, path: str) -> list[dict[str, Any]]:
        """What the audit log says of an answer without a chat."""
        last = await in_thread(AuditEvent.objects.count)()
        assert await self.answer(path) == 200
        events = await in_thread(lambda: list(AuditEvent.objects.order_by("pk")[last:]))()
        return [event.detail for event in events]


_EDIT, _AGAIN, _ON = (
    f"PAGE /c/{{chat_id}}/messages/{{message_id}}/{verb}" for verb in ("edit", "regenerate", "continue")
)


async def attach_page(t: LiveTries) -> int:
    return await t.post("/c/web", url="no address")


async def edit(t: LiveTries) -> int:
    return await t.post(f"{(await t.made())[1]}/edit", text="Other words [[n=1]]")


async def form_to_edit(t: LiveTries) -> int:
    return int((await t.page.get(f"{(await t.made())[1]}/edit")).status_code)


async def again(t: LiveTries) -> int:
    return await t.post(f"{(await t.made())[2]}/regenerate")


async def go_on(t: LiveTries) -> int:
    return await t.post(f"{(await t.made())[2]}/continue")


async def write(t: LiveTries) -> int:
    return await t.post(f"{(await t.made())[0]}/messages", text="Hello [[n=1]]")


async def begin(t: LiveTries) -> int:
    return await t.post("/c/new/messages", text="Hello [[n=1]]")


async def ask_two(t: LiveTries) -> int:
    return await t.post("/c/new/messages", text="Hello [[n=1]]", model=["fake-small", "fake-other"])


async def begin_temporary(t: LiveTries) -> int:
    return await t.post("/c/temporary/messages", text=" ")


async def models_page(t: LiveTries) -> int:
    return int((await t.page.get("/workspace/models")).status_code)


async def hidden_on_page(t: LiveTries) -> bool:
    from tests.factories.rbac import make_shared

    row = await in_thread(make_shared)("model", None, general_access="read", name="Out of sight", meta={"hidden": True})
    return str(row.name) in (await t.page.get("/workspace/models")).content.decode()


def _told(stored: bool, path: str) -> list[dict[str, Any]]:
    """The completions of chats note every answer, the proxies only those of people who may have no temporary chats."""
    if stored:
        return [{"stream": False}] if path in COMPLETIONS else []
    return [{"stream": False, "stored": False}]


LIVE = [
    Face("chat.web_upload", "PAGE /c/web", attach_page, 403, 400),
    Face("workspace.models", "PAGE /workspace/models", models_page, 403, 200),
    Face("workspace.models_hidden", "PAGE /workspace/models", hidden_on_page, False, True),
    Face("chat.edit", _EDIT, form_to_edit, 403, 200, why="asked"),
    Face("chat.edit", _EDIT, edit, 403, 200, why="sent"),
    Face("chat.regenerate_response", _AGAIN, again, 403, 200),
    Face("chat.continue_response", _ON, go_on, 403, 200),
    # Refused before it is said that one of the two is not there.
    Face("chat.multiple_models", "PAGE /c/new/messages", ask_two, 403, 404),
    # Refused before it is said that the question is empty.
    Face("chat.temporary", "PAGE /c/temporary/messages", begin_temporary, 403, 400),
    # A limit: who has the key is refused.
    Face("chat.temporary_enforced", "PAGE /c/new/messages", begin, 302, 403),
    Face("chat.temporary_enforced", "PAGE /c/{chat_id}/messages", write, 302, 403),
    *(
        Face("chat.temporary_enforced", route, ask, 200, 403)
        for route, ask in ((_EDIT, edit), (_AGAIN, again), (_ON, go_on))
    ),
    *(
        face
        for path in ANSWERS
        for face in (
            Face(
                "chat.temporary",
                f"POST {path}",
                lambda t, p=path: t.noted(p),
                _told(False, path),
                _told(True, path),
                why="without a chat",
            ),
            *(
                Face(
                    key,
                    f"POST {path}",
                    lambda t, p=path: t.has(p, "temperature", "num_ctx", **_params(p)),
                    False,
                    True,
                    also=also,
                )
                for key, also in (("chat.params", ()), ("chat.controls", ("chat.params",)))
            ),
            Face(
                "chat.system_prompt",
                f"POST {path}",
                lambda t, p=path: t.roles(p, messages=[SYSTEM, QUESTION]),
                ["user"],
                ["system", "user"],
            ),
        )
    ),
    *(
        Face("chat.temporary", f"POST {path}", lambda t, p=path, c=chat: t.answer(p, chat_id=c), 403, code, why=chat)
        for path, code, chat in (
            *((path, 200, "temporary:x") for path in (*COMPLETIONS, *PROXIES)),
            (COMPLETIONS[0], 200, "local:x"),
            (PROXIES[0], 200, "local:x"),
            ("/ollama/api/generate", 200, "temporary:x"),
            # The fake server does not know these three, and says so: what matters is that it is asked.
            ("/openai/completions", 404, "temporary:x"),
            ("/openai/responses", 404, "temporary:x"),
            ("/ollama/v1/completions", 404, "temporary:x"),
        )
    ),
    Face(
        "chat.system_prompt",
        f"POST {COMPLETIONS[0]}",
        lambda t: t.roles(COMPLETIONS[0], params={"system": "Be rude."}),
        ["user"],
        ["system", "user"],
        why="params",
    ),
    Face(
        "chat.system_prompt",
        "POST /openai/responses",
        lambda t: t.has("/openai/responses", "instructions", instructions="Be rude.", input="Hello"),
        False,
        True,
    ),
    Face(
        "chat.system_prompt",
        "POST /ollama/api/generate",
        lambda t: t.has("/ollama/api/generate", "system", system="Be rude.", prompt="Hello [[n=1]]"),
        False,
        True,
    ),
    *(
        Face(
            f"features.{kind}",
            f"POST {path}",
            lambda t, p=path, k=kind: t.tools(p, k),
            ["function"],
            ["function", kind],
            why="tool of the server",
        )
        for kind in ("web_search", "image_generation", "code_interpreter")
        for path in (COMPLETIONS[0], "/openai/chat/completions", "/openai/responses")
    ),
    *(
        Face(
            key,
            "POST /openai/chat/completions",
            lambda t, n=name: t.features("/openai/chat/completions", n),
            {"other": True},
            {name: True, "other": True},
            why="passed on",
        )
        for key, name in (("features.web_search", "web_search"), ("features.memories", "memory"))
    ),
    Face(
        "features.web_search",
        "POST /openai/chat/completions",
        lambda t: t.has("/openai/chat/completions", "web_search_options", web_search_options={}),
        False,
        True,
        why="options",
    ),
    Face(
        "features.direct_tool_servers",
        "POST /openai/chat/completions",
        lambda t: t.has("/openai/chat/completions", "tool_servers", tool_servers=[{"url": "http://a.example"}]),
        False,
        True,
        settings={"ui.enable_direct_integrations": True},
    ),
]


def _params(path: str) -> dict[str, Any]:
    return {"options": {"num_ctx": 2048}} if path == "/ollama/api/chat" else {"temperature": 0.5}
