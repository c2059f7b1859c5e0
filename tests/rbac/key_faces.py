"""Where each permission key is asked for: every face that can do the thing, its answers without the key and with it.

`test_permission_keys.py` goes through the table; a key without a row there must be in `NO_FACE` with the reason."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rbac.permissions import PERMISSIONS
from tests.factories.rbac import make_shared
from tests.rbac.key_tries import (
    SOURCE,
    Face,
    Tries,
    change_source,
    created_with,
    delete_folder,
    dialog,
    everyone,
    folder_of,
    list_has_hidden,
    read_key,
    remove_folder,
    to_person,
    use_key,
)


@dataclass(frozen=True)
class Type:
    """A shared type in REST. `id` names the column that stands in the path; `maker` is the key for making one."""

    name: str
    kind: str
    access: str
    create: str = ""
    form: Callable[[Tries], dict[str, Any]] = lambda t: {}
    id: str = "pk"
    maker: str = ""

    def change_access(self, t: Tries, grants: Any) -> int:
        key = str(getattr(make_shared(self.kind, t.alice), self.id))
        return int(t.json(re.sub(r"\{\w+\}", key, self.access), {"id": key, "access_grants": grants}).status_code)


_V1 = "/api/v1"
TYPES = (
    Type(
        "models",
        "model",
        f"{_V1}/models/model/access/update",
        f"{_V1}/models/create",
        lambda t: t.model_form(),
        "model_id",
        "workspace.models",
    ),
    Type(
        "knowledge",
        "knowledge",
        f"{_V1}/knowledge/{{kb_id}}/access/update",
        f"{_V1}/knowledge/create",
        lambda t: {"name": "New", "description": ""},
        maker="workspace.knowledge",
    ),
    Type(
        "prompts",
        "prompt",
        f"{_V1}/prompts/id/{{prompt_id}}/access/update",
        f"{_V1}/prompts/create",
        lambda t: {"command": f"p{uuid.uuid4().hex}", "name": "New", "content": "Sum it up."},
        maker="workspace.prompts",
    ),
    Type(
        "tools",
        "tool",
        f"{_V1}/tools/id/{{tool_id}}/access/update",
        f"{_V1}/tools/create",
        lambda t: {"id": f"t{uuid.uuid4().hex}", "name": "New", "content": SOURCE},
        "tool_id",
        "workspace.tools",
    ),
    Type(
        "skills",
        "skill",
        f"{_V1}/skills/id/{{skill_id}}/access/update",
        f"{_V1}/skills/create",
        lambda t: {"id": f"s{uuid.uuid4().hex}", "name": "New", "content": "Do so."},
        "skill_id",
        "workspace.skills",
    ),
    Type(
        "notes",
        "note",
        f"{_V1}/notes/{{note_id}}/access/update",
        f"{_V1}/notes/create",
        lambda t: {"title": "New"},
        maker="features.notes",
    ),
    Type("folders", "folder", f"{_V1}/folders/{{folder_id}}/access/update", maker="features.folders"),
)
_ACCESS = "PAGE /access/{resource_type}/{pk}"


def _sharing(t: Type) -> Iterator[Face]:
    """Every type is shared in the same dialog, by one REST verb, and by grants sent along when it is made."""
    for key, grants in ((f"sharing.{t.name}", to_person), (f"sharing.public_{t.name}", everyone)):
        if key not in PERMISSIONS:
            continue  # folders are never public
        public = grants is everyone
        control = 'value="read"' if public else 'id="access-search"'
        yield Face(key, _ACCESS, lambda a, p=public: a.share(t.kind, "user", "*" if p else a.person()), 403, 200)
        yield Face(key, _ACCESS, lambda a, c=control: dialog(a, t.kind, c), False, True, why="control")
        yield Face(key, f"POST {t.access}", lambda a, g=grants: t.change_access(a, g(a)), 403, 200)
        if t.create:
            yield Face(
                key,
                f"POST {t.create}",
                lambda a, g=grants: created_with(a, t.create, t.form(a), g(a)),
                0,
                1,
                also=(t.maker,),
            )
    if t.create and t.maker.startswith("workspace."):
        yield Face(t.maker, f"POST {t.create}", lambda a: a.json(t.create, t.form(a)).status_code, 401, 200)


_KB = next(t for t in TYPES if t.name == "knowledge")
_SETTINGS = "POST /api/v1/users/user/settings/update"
_KEYS_ON = {"auth_api_key.enable": True}


_CONTROLS = "PAGE /c/new/controls"
_LINK_ACCESS = "POST /api/v1/chats/shared/{share_id}/access/update"


_ONE = "/api/v1/chats/{chat_id}/messages/{message_id}"
_PAGE = "PAGE /c/{chat_id}/messages/{message_id}"


def rate_again(t: Tries) -> int:
    """One's own rating, given while one might."""
    from chat.models import Feedback

    row = Feedback.objects.create(user=t.alice, data={"rating": 1})
    return int(t.json(f"/api/v1/evaluations/feedback/{row.pk}", {"data": {"rating": -1}}).status_code)


_OWN = "PAGE /settings/answers"


def own_answers(t: Tries, **form: str) -> dict[str, Any]:
    """What is stored of the prompt and the parameters that are sent; without either key nothing is."""
    t.form("/settings/answers", **form)
    stored = t.client.get("/api/v1/users/user/settings").json()["ui"]
    return {name: stored[name] for name in ("system", "params") if stored.get(name)}


def linked(t: Tries) -> Any:
    """A shared chat of alice's."""
    return make_shared("shared_chat", t.alice).pk


def open_link(t: Tries, kind: str) -> int:
    """One more audience for a shared chat, by REST."""
    grant = {"principal_type": kind, "principal_id": "*", "permission": "read"}
    path = f"/api/v1/chats/shared/{make_shared('shared_chat', t.alice).pk}/access/update"
    return int(t.json(path, {"access_grants": [grant]}).status_code)


FACES = [
    Face("workspace.models", "PAGE /", lambda t: t.shows("/", 'href="/workspace/models"'), False, True),
    Face(
        "workspace.models_import",
        "POST /api/v1/models/import",
        lambda t: t.json("/api/v1/models/import", {"models": [t.model_form()]}).status_code,
        401,
        200,
    ),
    Face("workspace.models_export", "GET /api/v1/models/export", lambda t: t.get("/api/v1/models/export"), 401, 200),
    Face(
        "workspace.models_hidden",
        "GET /api/v1/models/list",
        lambda t: list_has_hidden(t, "/api/v1/models/list", lambda found: {row["name"] for row in found["items"]}),
        False,
        True,
    ),
    Face(
        "workspace.models_hidden",
        "GET /api/v1/models/tags",
        lambda t: list_has_hidden(t, "/api/v1/models/tags", set),
        False,
        True,
    ),
    Face("workspace.knowledge", "PAGE /workspace/knowledge/new", lambda t: t.get("/workspace/knowledge/new"), 403, 200),
    Face(
        "workspace.knowledge",
        "PAGE /workspace/knowledge/new",
        lambda t: t.form("/workspace/knowledge/new", name="New"),
        403,
        302,
        why="saved",
    ),
    Face(
        "workspace.knowledge",
        "PAGE /workspace/knowledge/",
        lambda t: t.shows("/workspace/knowledge/", 'hx-get="/workspace/knowledge/new"'),
        False,
        True,
    ),
    *(face for shared in TYPES for face in _sharing(shared)),
    Face("workspace.tools", "POST /api/v1/tools/id/{tool_id}/update", change_source, 401, 200),
    Face("workspace.tools_export", "GET /api/v1/tools/export", lambda t: t.get("/api/v1/tools/export"), 401, 200),
    Face("workspace.skills_export", "GET /api/v1/skills/export", lambda t: t.get("/api/v1/skills/export"), 403, 200),
    Face("chat.share", _ACCESS, lambda t: t.share("shared_chat", "user", t.person()), 403, 200, why="saved"),
    Face("chat.share", _ACCESS, lambda t: dialog(t, "shared_chat", 'id="access-search"'), False, True),
    Face(
        "chat.share",
        "POST /api/v1/chats/{chat_id}/share",
        lambda t: t.json(f"/api/v1/chats/{t.chat()[0].removeprefix('/c/')}/share", {}).status_code,
        401,
        200,
    ),
    *(
        Face(key, _LINK_ACCESS, lambda t, k=kind: open_link(t, k), 403, 200)
        for key, kind in (("sharing.public_chats", "user"), ("sharing.open_chats", "anyone"))
    ),
    Face("sharing.public_chats", _ACCESS, lambda t: t.share("shared_chat", "user", "*"), 403, 200, why="saved"),
    Face("sharing.public_chats", _ACCESS, lambda t: dialog(t, "shared_chat", 'value="read"'), False, True),
    Face("sharing.open_chats", _ACCESS, lambda t: t.share("shared_chat", "anyone", "*"), 403, 200, why="saved"),
    Face("sharing.open_chats", _ACCESS, lambda t: dialog(t, "shared_chat", 'value="anyone"'), False, True),
    *(
        face
        for key, kind in (("access_grants.allow_users", "user"), ("access_grants.allow_groups", "group"))
        for face in (
            Face(
                key,
                _ACCESS,
                lambda t, k=kind: t.share("knowledge", k, t.person() if k == "user" else t.group()),
                403,
                200,
                also=("sharing.knowledge",),
            ),
            Face(
                key,
                _ACCESS,
                lambda t, k=kind: t.share("shared_chat", k, t.person() if k == "user" else t.group()),
                403,
                200,
                also=("chat.share",),
                why="of a chat",
            ),
            Face(
                key,
                "POST /api/v1/knowledge/{kb_id}/access/update",
                lambda t, k=kind: _KB.change_access(
                    t,
                    [
                        {
                            "principal_type": k,
                            "principal_id": t.person() if k == "user" else t.group(),
                            "permission": "read",
                        }
                    ],
                ),
                403,
                200,
                also=("sharing.knowledge",),
            ),
            Face(
                key,
                "PAGE /access/principals",
                lambda t, k=kind: (t.person(), t.group()) and t.shows("/access/principals?q=o", f"{k}:"),
                False,
                True,
            ),
        )
    ),
    Face(
        "chat.controls",
        _SETTINGS,
        lambda t: t.settings(system="Be rude."),
        {},
        {"system": "Be rude."},
        also=("chat.system_prompt",),
    ),
    Face("chat.system_prompt", _SETTINGS, lambda t: t.settings(system="Be rude."), {}, {"system": "Be rude."}),
    Face("chat.params", _SETTINGS, lambda t: t.settings(params={"seed": 1}), {}, {"params": {"seed": 1}}),
    Face("chat.stt", "PAGE /", lambda t: t.shows("/", 'id="dictate"'), False, True),
    Face("chat.controls", "PAGE /", lambda t: t.shows("/", "data-controls"), False, True),
    Face("chat.controls", "PAGE /c/{chat_id}/controls", lambda t: t.get(f"{t.chat()[0]}/controls"), 403, 200),
    Face("chat.controls", "PAGE /c/new/controls", lambda t: t.form("/c/new/controls", system="x"), 403, 200),
    Face("chat.system_prompt", _CONTROLS, lambda t: t.shows("/c/new/controls", 'name="system"'), False, True),
    Face("chat.params", _CONTROLS, lambda t: t.shows("/c/new/controls", 'name="temperature"'), False, True),
    Face("chat.temporary", "PAGE /", lambda t: t.shows("/", 'data-key="temporary"'), False, True),
    Face("chat.web_upload", "PAGE /c/pick/{kind}", lambda t: t.shows("/c/pick/knowledge", "#https://"), False, True),
    Face("chat.file_upload", "PAGE /c/files", lambda t: t.upload("/c/files"), 403, 200),
    Face("chat.file_upload", "POST /api/v1/files/", lambda t: t.upload("/api/v1/files/"), 403, 200),
    Face(
        "chat.file_upload",
        "POST /api/v1/retrieval/process/text",
        lambda t: t.json("/api/v1/retrieval/process/text", {"name": "a", "content": "How to."}).status_code,
        403,
        200,
    ),
    Face("chat.file_upload", "PAGE /", lambda t: t.shows("/", 'id="composer-files"'), False, True),
    Face(
        "chat.delete",
        "DELETE /api/v1/chats/{chat_id}",
        lambda t: t.client.delete(f"/api/v1/chats/{t.chat()[0].removeprefix('/c/')}").status_code,
        401,
        200,
    ),
    Face("chat.delete", "DELETE /api/v1/chats/", lambda t: t.client.delete("/api/v1/chats/").status_code, 401, 200),
    *(
        Face("chat.export", f"GET {path}", lambda t, p=path: t.get(p), 401, 200)
        for path in ("/api/v1/chats/all", "/api/v1/chats/all/archived")
    ),
    Face(
        "chat.import",
        "POST /api/v1/chats/import",
        lambda t: t.json("/api/v1/chats/import", {"chats": []}).status_code,
        403,
        200,
    ),
    Face("chat.import", "POST /api/v1/chats/new", lambda t: t.json(f"{_V1}/chats/new", t.sent()).status_code, 403, 200),
    Face("chat.import", "POST /api/v1/chats/{chat_id}", lambda t: t.send_again(t.sent()), 403, 200),
    Face("chat.edit", "POST /api/v1/chats/{chat_id}", lambda t: t.send_again(None), 401, 200),
    Face(
        "chat.edit", f"POST {_ONE}", lambda t: t.json(t.rest_message(), {"content": "Not that."}).status_code, 401, 200
    ),
    Face("chat.edit", f"POST {_ONE}/event", lambda t: t.tell_message(), 401, 200),
    Face("chat.delete_message", f"DELETE {_ONE}", lambda t: t.client.delete(t.rest_message()).status_code, 401, 200),
    Face("chat.controls", "PATCH /api/v1/chats/{chat_id}/params", lambda t: t.set_params(), 403, 200),
    *(
        Face(f"chat.{key}", f"{_PAGE}/{verb}", lambda t, v=verb, f=form: t.form(f"{t.chat()[2]}/{v}", **f), 403, code)
        for key, verb, form, code in (
            ("edit", "save", {"text": "Not that."}, 200),
            ("edit", "copy", {"text": "Not that."}, 200),
            ("delete_message", "delete", {}, 200),
            ("rate_response", "rate", {"rating": "1"}, 200),
            ("import", "fork", {}, 302),
        )
    ),
    Face("chat.delete_message", f"{_PAGE}/delete", lambda t: t.get(f"{t.chat()[2]}/delete"), 403, 200, why="asked"),
    *(
        Face(f"chat.{key}", f"{_PAGE}/menu", lambda t, m=mark: t.shows(f"{t.chat()[2]}/menu", m), False, True)
        for key, mark in (
            ("edit", '/edit"'),
            ("delete_message", '/delete"'),
            ("import", '/fork"'),
            ("tts", "data-speak"),
        )
    ),
    Face(
        "chat.regenerate_response",
        f"{_PAGE}/menu",
        lambda t: t.shows(f"{t.chat()[2]}/menu?again", '/regenerate"'),
        False,
        True,
    ),
    Face("chat.rate_response", "PAGE /c/{chat_id}", lambda t: t.shows(t.chat()[0], '/rate"'), False, True),
    Face(
        "chat.rate_response",
        f"POST {_V1}/evaluations/feedback",
        lambda t: t.json(f"{_V1}/evaluations/feedback", {"data": {"rating": 1}}).status_code,
        401,
        200,
    ),
    Face("chat.rate_response", f"POST {_V1}/evaluations/feedback/{{feedback_id}}", rate_again, 401, 200),
    Face("chat.import", "PAGE /c/{chat_id}/clone", lambda t: t.form(f"{t.chat()[0]}/clone"), 403, 302),
    Face("chat.import", "PAGE /", lambda t: t.shows("/", 'data-path="clone"'), False, True),
    *(
        Face(
            "chat.import",
            f"POST {_V1}/chats/{{chat_id}}/{verb}",
            lambda t, v=verb: t.json(f"{_V1}/chats/{t.chat()[0].removeprefix('/c/')}/{v}", {}).status_code,
            403,
            200,
        )
        for verb in ("clone", "fork")
    ),
    Face("chat.import", "PAGE /s/{share_id}/clone", lambda t: t.form(f"/s/{linked(t)}/clone"), 403, 302),
    Face(
        "chat.import",
        f"POST {_V1}/chats/{{share_id}}/clone/shared",
        lambda t: t.json(f"{_V1}/chats/{linked(t)}/clone/shared", {}).status_code,
        403,
        200,
    ),
    Face(
        "chat.params",
        "POST /api/v1/chats/new",
        lambda t: t.json(f"{_V1}/chats/new", {"chat": {"params": {"seed": 1}}}).json()["chat"]["params"],
        {},
        {"seed": 1},
    ),
    Face("chat.delete", "PAGE /c/{chat_id}/delete", lambda t: t.form(f"{t.chat()[0]}/delete"), 403, 302),
    Face("chat.delete", "PAGE /c/{chat_id}/delete", lambda t: t.get(f"{t.chat()[0]}/delete"), 403, 200, why="asked"),
    Face("chat.delete", "PAGE /c/remove-all", lambda t: t.form("/c/remove-all"), 403, 200),
    Face("chat.delete", "PAGE /c/remove-all", lambda t: t.get("/c/remove-all"), 403, 200, why="asked"),
    Face("chat.system_prompt", _OWN, lambda t: own_answers(t, system="Be rude."), {}, {"system": "Be rude."}),
    Face("chat.params", _OWN, lambda t: own_answers(t, custom="seed", seed="1"), {}, {"params": {"seed": 1}}),
    Face("chat.delete", "DELETE /api/v1/folders/{folder_id}", delete_folder, 403, 200, why="with a chat in it"),
    Face("chat.delete", "PAGE /", lambda t: t.shows("/", 'data-path="delete"'), False, True),
    Face("chat.delete", "PAGE /folders/{folder_id}/remove", remove_folder, 403, 200, why="with a chat in it"),
    Face("chat.export", "PAGE /", lambda t: t.shows("/", 'data-path="export/json"'), False, True),
    Face("chat.export", "PAGE /", lambda t: t.shows("/", 'href="/c/export"'), False, True, why="all of them"),
    Face("chat.export", "PAGE /c/export", lambda t: t.get("/c/export"), 403, 200),
    *(
        Face(
            "chat.export",
            "PAGE /c/{chat_id}/export/{form}",
            lambda t, f=form: t.get(f"{t.chat()[0]}/export/{f}"),
            403,
            200,
            why=form,
        )
        for form in ("json", "txt")
    ),
    Face("chat.export", "PAGE /c/{chat_id}/print", lambda t: t.get(f"{t.chat()[0]}/print"), 403, 200),
    Face("chat.export", "PAGE /folders/{folder_id}/export", lambda t: t.get(f"{folder_of(t)}/export"), 403, 200),
    Face("chat.import", "PAGE /", lambda t: t.shows("/", 'hx-get="/c/import"'), False, True, why="a file"),
    Face("chat.import", "PAGE /c/{chat_id}/fork", lambda t: t.form(f"{t.chat()[0]}/fork"), 403, 302),
    Face("chat.import", "PAGE /c/import", lambda t: t.get("/c/import"), 403, 200),
    Face("features.folders", "PAGE /", lambda t: t.shows("/", "/folders/new"), False, True),
    Face("features.folders", "PAGE /folders/new", lambda t: t.form("/folders/new", name=uuid.uuid4().hex), 403, 200),
    Face("features.folders", "PAGE /folders/{folder_id}", lambda t: t.get(folder_of(t)), 403, 200),
    *(
        Face(key, "PAGE /c/{chat_id}", lambda t, v=verb: t.shows(t.chat()[0], f"/{v}"), False, True)
        for key, verb in (
            ("chat.edit", 'edit"'),
            ("chat.regenerate_response", 'regenerate"'),
            ("chat.continue_response", 'continue"'),
        )
    ),
    Face(
        "chat.temporary_enforced",
        "PAGE /",
        lambda t: t.shows("/", "temporary chats only"),
        False,
        True,
    ),
    Face(
        "workspace.prompts_import",
        f"POST {_V1}/prompts/create",
        lambda t: t.json(f"{_V1}/prompts/create", {"command": "in", "name": "In", "content": "Sum."}).status_code,
        401,
        200,
        why="without its parent",
    ),
    Face(
        "features.api_keys",
        "POST /api/v1/auths/api_key",
        lambda t: t.json("/api/v1/auths/api_key", {}).status_code,
        403,
        200,
        settings=_KEYS_ON,
    ),
    Face("features.api_keys", "GET /api/v1/auths/api_key", read_key, 403, 200, settings=_KEYS_ON),
    Face("features.api_keys", "GET /api/v1/users/permissions", use_key, 403, 200, settings=_KEYS_ON, why="with a key"),
    Face(
        "features.api_keys",
        "PAGE /settings/keys",
        lambda t: t.form("/settings/keys", name="Report", days="30"),
        403,
        200,
        settings=_KEYS_ON,
    ),
    Face(
        "features.api_keys",
        "PAGE /settings",
        lambda t: t.shows("/settings", 'hx-post="/settings/keys"'),
        False,
        True,
        settings=_KEYS_ON,
    ),
    *(
        Face(
            f"features.{kind}s", _ACCESS, lambda t, k=kind: t.get(f"/access/{k}/{make_shared(k, t.alice).pk}"), 403, 200
        )
        for kind in ("note", "folder")
    ),
    Face(
        "features.direct_tool_servers",
        _SETTINGS,
        lambda t: t.settings(toolServers=[{"url": "http://a.example"}]),
        {},
        {"toolServers": [{"url": "http://a.example"}]},
        settings={"ui.enable_direct_integrations": True},
    ),
    Face(
        "features.webhooks",
        _SETTINGS,
        lambda t: t.settings(notifications={"sound": True, "webhook_url": "http://a.example"}),
        {"notifications": {"sound": True}},
        {"notifications": {"sound": True, "webhook_url": "http://a.example"}},
        settings={"ui.enable_user_webhooks": True},
    ),
    Face("settings.interface", _SETTINGS, lambda t: t.settings(widescreenMode=True), {}, {"widescreenMode": True}),
    Face("settings.interface", "PAGE /settings/theme", lambda t: t.form("/settings/theme", theme="dark"), 403, 204),
    Face("settings.interface", "PAGE /settings/keyboard", lambda t: t.form("/settings/keyboard", name="new"), 403, 200),
    Face("settings.interface", "PAGE /settings", lambda t: t.shows("/settings", "/settings/theme"), False, True),
]
