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
from tests.rbac.key_chats import CHATS
from tests.rbac.key_tries import (
    SOURCE,
    Face,
    Tries,
    change_source,
    created_with,
    dialog,
    everyone,
    list_has_hidden,
    read_key,
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
_LINK_ACCESS = "POST /api/v1/chats/shared/{share_id}/access/update"


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
    *CHATS,
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
