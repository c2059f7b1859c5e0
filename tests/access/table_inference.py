"""Who may use, see and change models, and the servers behind them."""

from __future__ import annotations

from typing import Any

from inference.models import AIModel, Skill, Tool
from tests.access.rows import Row, World, thing
from tests.access.table_accounts import admins, everyone, governance, page, verified
from tests.factories.rbac import make_shared


@thing("model_id")
def _model(world: World) -> str:
    """A preset and its base, both shared: the base alone would not be enough."""
    base = world.share(make_shared("model", world.owner))
    row = world.share(make_shared("model", world.owner, base_model=base))
    assert isinstance(row, AIModel)
    return row.model_id


@thing("new_id")
def _new(world: World) -> str:
    return "a-new-model"


def of_model(method: str, path: str, *, outsider: int, reader: int, code: int = 200, **extra: Any) -> Row:
    """An operation on one model."""
    codes = {"out": 401, "pending": 401, "outsider": outsider, "reader": reader, "writer": code, "owner": code}
    return Row(method, path, **codes, **extra)


def using(path: str, body: dict[str, Any]) -> Row:
    """Uses a model. No server runs here: who may use it gets as far as 502, all others hear that there is none."""
    codes = {"out": 401, "pending": 401, "outsider": 403, "reader": 502, "writer": 502, "owner": 502}
    return Row("POST", path, json={"model": "{model_id}", **body}, live=True, **codes)


def at_each(make: Any, method: str, path: str, code: int, at: int | None = None, **extra: Any) -> list[Row]:
    """The operation without and with the server's place."""
    return [
        make(method, path, code, live=True, **extra),
        make(method, f"{path}/{{index}}", at or code, live=True, **extra),
    ]


@thing("index")
def _index(world: World) -> str:
    return "77"


_M = "/api/v1/models"
_ID = {"id": "{model_id}"}
_FORM = {"id": "{model_id}", "name": "Other", "base_model_id": None}
_NEW = {"id": "{new_id}", "name": "New", "base_model_id": "{model_id}"}
_CHAT = {"messages": []}
_OPENAI = {"OPENAI_API_BASE_URLS": [], "OPENAI_API_KEYS": []}
_VERIFY = {"url": "http://127.0.0.1:1"}

LISTINGS = [
    verified("GET", f"{prefix}/models{end}", live=True) for prefix in ("/api", "/api/v1", "/v1") for end in ("", "/")
] + [
    admins("GET", "/api/models/base", live=True),
    admins("GET", "/v1/models/base", live=True),
    using("/api/embeddings", {"input": "x"}),
    using("/api/v1/embeddings", {"input": "x"}),
    using("/v1/embeddings", {"input": "x"}),
]
WORKSPACE = [
    verified("GET", f"{_M}/list"),
    admins("GET", f"{_M}/all"),
    admins("GET", f"{_M}/base"),
    admins("GET", f"{_M}/base/tags"),
    verified("GET", f"{_M}/tags"),
    admins("POST", f"{_M}/create", json=_NEW),
    of_model("GET", f"{_M}/model", outsider=401, reader=200, data=_ID),
    of_model("POST", f"{_M}/model/update", outsider=404, reader=401, code=400, admin=200, json=_FORM),
    of_model("POST", f"{_M}/model/access/update", outsider=404, reader=401, json=_ID),
    of_model("POST", f"{_M}/model/toggle", outsider=404, reader=401, json=_ID),
    of_model("POST", f"{_M}/model/delete", outsider=404, reader=401, json=_ID),
    of_model("DELETE", f"{_M}/model/delete", outsider=404, reader=401, json=_ID),
    admins("DELETE", f"{_M}/delete/all"),
    admins("GET", f"{_M}/export"),
    admins("POST", f"{_M}/import", json={"models": []}),
    admins("POST", f"{_M}/sync", json={"models": []}),
    verified("GET", f"{_M}/model/profile/image", 302, data=_ID),
]
OPENAI = [
    admins("GET", "/openai/config"),
    admins("POST", "/openai/config/update", json=_OPENAI),
    admins("POST", "/openai/verify", 502, live=True, json=_VERIFY),
    verified("GET", "/openai/models", live=True),
    admins("GET", "/openai/models/{index}", 404, live=True),
    using("/openai/chat/completions", _CHAT),
    using("/openai/completions", {"prompt": "x"}),
    using("/openai/embeddings", {"input": "x"}),
    using("/openai/responses", {"input": "x"}),
]
_USES = (
    ("/api/chat", _CHAT),
    ("/api/generate", {"prompt": "x"}),
    ("/api/embed", {"input": "x"}),
    ("/api/embeddings", {"prompt": "x"}),
    ("/v1/chat/completions", _CHAT),
    ("/v1/completions", {"prompt": "x"}),
    ("/v1/embeddings", {"input": "x"}),
)
_ONE = {"json": {"model": "m"}}
OLLAMA = [
    everyone("GET", "/ollama/"),
    everyone("HEAD", "/ollama/"),
    admins("GET", "/ollama/config"),
    admins("POST", "/ollama/config/update", json={"OLLAMA_BASE_URLS": []}),
    admins("POST", "/ollama/verify", 502, live=True, json=_VERIFY),
    *at_each(verified, "GET", "/ollama/api/tags", 200),
    *at_each(verified, "GET", "/ollama/v1/models", 200),
    *at_each(verified, "GET", "/ollama/api/version", 502),
    *at_each(admins, "GET", "/ollama/api/ps", 200),
    *(using(f"/ollama{path}", body) for path, body in _USES),
    *(using(f"/ollama{path}/{{index}}", body) for path, body in _USES),
    using("/ollama/api/show", {}),
    *(
        row
        for verb in ("pull", "create", "copy")
        for row in at_each(admins, "POST", f"/ollama/api/{verb}", 502, 404, **_ONE)
    ),
    *(row for method in ("POST", "DELETE") for row in at_each(admins, method, "/ollama/api/push", 502, 404, **_ONE)),
    *at_each(admins, "DELETE", "/ollama/api/delete", 502, 404, **_ONE),
    admins("POST", "/ollama/api/unload", 404, live=True, **_ONE),
]
_SHARED = {"out": 302, "pending": 302, "outsider": 404, "reader": 403, "writer": 204, "owner": 204}
PAGES = [
    page("GET", "/workspace/models", 403, admin=200, live=True),
    Row("POST", "/workspace/models/{model_id}/active", data={"active": "1"}, **_SHARED),
    Row(
        "POST", "/workspace/models/register", out=302, pending=302, user=403, admin=404, data={"model": "m"}, live=True
    ),
]


@thing("tool_id")
def _tool(world: World) -> str:
    row = world.share(make_shared("tool", world.owner, content="class Tools:\n    pass\n"))
    assert isinstance(row, Tool)
    return row.tool_id


@thing("skill_id")
def _skill(world: World) -> str:
    row = world.share(make_shared("skill", world.owner))
    assert isinstance(row, Skill)
    return row.skill_id


def of_row(method: str, path: str, **extra: Any) -> Row:
    """Changes one tool or skill: existence is hidden from outsiders, readers are refused."""
    codes = {"out": 401, "pending": 401, "outsider": 404, "reader": 401, "writer": 200, "owner": 200}
    return Row(method, path, **codes, **extra)


_T, _S = "/api/v1/tools", "/api/v1/skills"
_READ = {"out": 401, "pending": 401, "outsider": 401, "reader": 200, "writer": 200, "owner": 200}
_SOURCE = "class Tools:\n    pass\n"
_TOOL = {"id": "new_tool", "name": "New", "content": _SOURCE, "meta": {"description": "x"}}
_SKILL = {"id": "new-skill", "name": "New", "description": "x", "content": "# How"}
LIBRARY = [
    verified("GET", f"{_T}/"),
    verified("GET", f"{_T}/list"),
    admins("GET", f"{_T}/export"),
    admins("POST", f"{_T}/create", json=_TOOL),
    Row("GET", f"{_T}/id/{{tool_id}}", **_READ),
    of_row("POST", f"{_T}/id/{{tool_id}}/update", json=_TOOL),
    of_row("POST", f"{_T}/id/{{tool_id}}/access/update", json={}),
    of_row("DELETE", f"{_T}/id/{{tool_id}}/delete"),
    verified("GET", f"{_S}/"),
    verified("GET", f"{_S}/list"),
    verified("GET", f"{_S}/export", 403, admin=200),
    admins("POST", f"{_S}/create", json=_SKILL),
    Row("GET", f"{_S}/id/{{skill_id}}", **_READ),
    of_row("POST", f"{_S}/id/{{skill_id}}/update", json=_SKILL),
    of_row("POST", f"{_S}/id/{{skill_id}}/access/update", json={}),
    of_row("POST", f"{_S}/id/{{skill_id}}/toggle"),
    of_row("DELETE", f"{_S}/id/{{skill_id}}/delete"),
]
_C = "/api/v1/configs"
SERVERS = [
    admins("GET", f"{_C}/tool_servers"),
    admins("POST", f"{_C}/tool_servers", json={"TOOL_SERVER_CONNECTIONS": []}),
    admins("POST", f"{_C}/tool_servers/verify", 400, live=True, json=_VERIFY),
    admins("GET", f"{_C}/terminal_servers"),
    admins("POST", f"{_C}/terminal_servers", json={"TERMINAL_SERVER_CONNECTIONS": []}),
    admins("POST", f"{_C}/terminal_servers/verify", 400, live=True, json=_VERIFY),
    verified("GET", "/api/v1/terminals/"),
]
GOVERNANCE = [
    governance("/admin/inference/toolserver/"),
    governance("/admin/inference/terminalserver/"),
    governance("/admin/inference/aimodel/"),
    governance("/admin/inference/tool/"),
    governance("/admin/inference/skill/"),
]

ROWS = [*LISTINGS, *WORKSPACE, *OPENAI, *OLLAMA, *PAGES, *LIBRARY, *SERVERS, *GOVERNANCE]
