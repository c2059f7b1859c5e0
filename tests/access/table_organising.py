"""One's own chats in order: whoever cannot write a chat has none of it here; readers may copy what they read."""

from __future__ import annotations

from typing import Any

from chat.models import Chat
from tests.access.rows import Row, World, thing
from tests.access.table_accounts import admins, verified
from tests.factories.rbac import make_shared


@thing("read_chat_id")
def _read_chat(world: World) -> Any:
    folder = world.share(make_shared("folder", world.owner, name="Read"))
    return Chat.objects.create(owner=world.owner, title="Signals", folder=folder).pk


_C = "/api/v1/chats"
_READ = {"out": 401, "pending": 401, "outsider": 404, "reader": 200, "writer": 200, "owner": 200, "admin": 200}
_NOT_MINE = {"out": 401, "pending": 401, "outsider": 404, "reader": 404, "writer": 404, "admin": 404}


def own(method: str, path: str, **extra: Any) -> Row:
    return Row(method, f"{_C}/{{chat_id}}/{path}", owner=200, **_NOT_MINE, **extra)


def lists(path: str, method: str = "GET", **extra: Any) -> Row:
    return verified(method, f"{_C}/{path}", **extra)


ROWS = [
    lists("pinned"),
    lists("search?text=a"),
    lists("read", "POST", json={"chat_ids": []}),
    own("POST", "unread"),
    Row("PATCH", f"{_C}/{{chat_id}}/params", json={"temperature": 0.5}, owner=200, **_NOT_MINE),
    Row("POST", "/api/v1/folders/{folder_id}/read", **_READ),
    lists("archived"),
    lists("archived/count"),
    *(Row("GET", f"{_C}/folder/{{folder_id}}{end}", **_READ) for end in ("", "/list")),
    admins("GET", f"{_C}/list/user/{{user_id}}"),
    lists("all"),
    lists("all/archived"),
    admins("GET", f"{_C}/all/db"),
    lists("import", "POST", json={"chats": []}),
    lists("all/tags"),
    lists("tags", "POST", json={"name": "a"}),
    own("GET", "tags"),
    own("POST", "tags", json={"name": "a"}),
    own("DELETE", "tags", json={"name": "a"}),
    own("DELETE", "tags/all"),
    lists("", "DELETE"),
    lists("archive/all", "POST"),
    lists("unarchive/all", "POST"),
    own("GET", "pinned"),
    own("POST", "pin"),
    own("POST", "archive"),
    own("POST", "folder", json={"folder_id": None}),
    *(
        Row(
            "POST",
            f"{_C}/{{chat_id}}/{verb}",
            fill={"chat_id": "read_chat_id"},
            json={},
            **_READ,
        )
        for verb in ("clone", "fork")
    ),
]


@thing("share_id")
def _link(world: World) -> Any:
    chat = Chat.objects.create(owner=world.owner, title="Shared")
    return world.share(make_shared("shared_chat", world.owner, chat=chat, title="Shared")).pk


@thing("linked_chat_id")
def _linked_chat(world: World) -> Any:
    chat = Chat.objects.create(owner=world.owner, title="Linked")
    make_shared("shared_chat", world.owner, chat=chat, title="Linked")
    return chat.pk


_LINK = {"out": 401, "pending": 401, "outsider": 401, "reader": 200, "writer": 200, "owner": 200, "admin": 200}
_LINK_PAGE = {"out": 302, "pending": 404, "outsider": 404, "reader": 200, "writer": 200, "owner": 200, "admin": 200}
_COPY = {"out": 302, "pending": 302, "outsider": 404, "reader": 302, "writer": 302, "owner": 302, "admin": 302}
_OWN_PAGE = {"out": 302, "pending": 302, "outsider": 404, "reader": 404, "writer": 404, "owner": 200, "admin": 404}
_WRITE = {"out": 401, "pending": 401, "outsider": 404, "reader": 404, "writer": 200, "owner": 200, "admin": 200}
ROWS += [
    lists("shared"),
    lists("share/all", "DELETE"),
    own("POST", "share"),
    own("DELETE", "share", fill={"chat_id": "linked_chat_id"}),
    Row("GET", f"{_C}/share/{{share_id}}", **_LINK),
    Row("GET", f"{_C}/shared/{{share_id}}/access", **_WRITE),
    Row("POST", f"{_C}/shared/{{share_id}}/access/update", json={"access_grants": []}, **_WRITE),
    Row("POST", f"{_C}/{{share_id}}/clone/shared", **_READ),
    Row("GET", "/s/{share_id}", **_LINK_PAGE),
    Row("POST", "/s/{share_id}/clone", **_COPY),
    Row("GET", "/c/{chat_id}/share", **_OWN_PAGE),
    Row("POST", "/c/{chat_id}/share", **_OWN_PAGE),
    Row("POST", "/c/{chat_id}/unshare", fill={"chat_id": "linked_chat_id"}, **_OWN_PAGE),
    Row("POST", "/c/{chat_id}/archive", **_OWN_PAGE),
    Row(
        "POST",
        "/c/{chat_id}/clone",
        fill={"chat_id": "read_chat_id"},
        **_COPY,
    ),
]


@thing("form")
def _form(world: World) -> Any:
    return "txt"


# The pages of the same: the sidebar, its dialogs, folders.
def page(method: str, path: str, code: int = 200, **extra: Any) -> Row:
    return Row(method, path, out=302, pending=302, user=code, **extra)


_PAGE_READ = {"out": 302, "pending": 302, "outsider": 404, "reader": 200, "writer": 200, "owner": 200, "admin": 200}
_PAGE_WRITE = {"out": 302, "pending": 302, "outsider": 404, "reader": 403, "writer": 200, "owner": 200, "admin": 200}
_PAGE_SAVED = _PAGE_WRITE | {"writer": 302, "owner": 302, "admin": 302}
_F = "/folders/{folder_id}"
ROWS += [
    page("GET", "/c/find"),
    page("GET", "/c/found"),
    page("GET", "/c/archived"),
    page("GET", "/c/archived/all"),
    page("POST", "/c/archived/all"),
    page("POST", "/c/archived/none"),
    Row("GET", "/playground", out=302, pending=302, user=404, admin=200),
    page("GET", "/c/remove-all"),
    page("POST", "/c/remove-all"),
    page("POST", "/settings/answers", data={"system": "Be brief."}),
    page("GET", "/settings/links"),
    page("POST", "/settings/links"),
    page("GET", "/settings/files"),
    page("POST", "/settings/files/remove", 404, why="with a file: tests/chat/test_own_settings.py"),
    page("GET", "/c/export"),
    page("GET", "/c/import"),
    page("POST", "/c/import", 400, why="without a file; with one: tests/chat/test_sidebar.py"),
    Row("POST", "/c/{chat_id}/unarchive", **_OWN_PAGE),
    Row("POST", "/c/{chat_id}/read", **(_OWN_PAGE | {"owner": 204})),
    Row("POST", "/c/{chat_id}/unread", **_OWN_PAGE),
    Row("GET", "/c/{chat_id}/print", **_OWN_PAGE),
    # Nothing was said in it and no model answers: the dialog says so.
    Row("POST", "/c/{chat_id}/suggest-title", live=True, **(_OWN_PAGE | {"owner": 422})),
    Row("POST", "/folders/{folder_id}/read", **_PAGE_READ),
    Row("GET", "/folders/{folder_id}/export", **_PAGE_READ),
    Row("GET", "/c/{chat_id}/tags", **_OWN_PAGE),
    Row("POST", "/c/{chat_id}/tags", data={"name": "a"}, **_OWN_PAGE),
    Row("GET", "/c/{chat_id}/move", **_OWN_PAGE),
    Row("POST", "/c/{chat_id}/move", data={"folder": ""}, **_OWN_PAGE),
    Row("GET", "/c/{chat_id}/export/{form}", **_OWN_PAGE),
    page("GET", "/folders/new"),
    page("POST", "/folders/new", data={"name": "New"}),
    Row("GET", _F, **_PAGE_READ),
    Row("GET", f"{_F}/background", **_PAGE_READ),
    *(Row("GET", f"{_F}/{verb}", **_PAGE_WRITE) for verb in ("new", "rename", "move", "remove", "settings")),
    Row("POST", f"{_F}/new", data={"name": "Inner"}, **_PAGE_WRITE),
    Row("POST", f"{_F}/rename", data={"name": "Other"}, **_PAGE_WRITE),
    Row("POST", f"{_F}/toggle", **_PAGE_WRITE),
    Row("POST", f"{_F}/move", data={"parent": ""}, **(_PAGE_WRITE | {"writer": 403})),
    Row("POST", f"{_F}/remove", **_PAGE_WRITE),
    Row("POST", f"{_F}/settings", data={"system_prompt": "Be brief."}, **_PAGE_SAVED),
]
