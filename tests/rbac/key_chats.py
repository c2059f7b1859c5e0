"""The faces of keys about chats, their messages and their folders, for `key_faces.py`."""

from __future__ import annotations

import uuid
from typing import Any

from tests.factories.rbac import make_shared
from tests.rbac.key_tries import Face, Tries, delete_folder, folder_of, remove_folder

_V1 = "/api/v1"
_SETTINGS = "POST /api/v1/users/user/settings/update"
_CONTROLS = "PAGE /c/new/controls"
_ONE = "/api/v1/chats/{chat_id}/messages/{message_id}"
_PAGE = "PAGE /c/{chat_id}/messages/{message_id}"
_OWN = "PAGE /settings/answers"


def rate_again(t: Tries) -> int:
    """One's own rating, given while one might."""
    from chat.models import Feedback

    row = Feedback.objects.create(user=t.alice, data={"rating": 1})
    return int(t.json(f"/api/v1/evaluations/feedback/{row.pk}", {"data": {"rating": -1}}).status_code)


def rated(t: Tries) -> tuple[str, str]:
    """The page's and the programs' address of a rating of one's own."""
    from chat.models import Feedback, Message

    page = t.chat()[2]
    message = Message.objects.get(pk=page.rpartition("/")[2])
    row = Feedback.objects.create(user=t.alice, chat=message.chat, message=message, data={"rating": 1})
    return page, f"{_V1}/evaluations/feedback/{row.pk}"


def own_answers(t: Tries, **form: str) -> dict[str, Any]:
    """What is stored of the prompt and the parameters that are sent; without either key nothing is."""
    t.form("/settings/answers", **form)
    stored = t.client.get("/api/v1/users/user/settings").json()["ui"]
    return {name: stored[name] for name in ("system", "params") if stored.get(name)}


def linked(t: Tries) -> Any:
    """A shared chat of alice's."""
    return make_shared("shared_chat", t.alice).pk


CHATS = [
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
            # Allowed, the service looks for the block, which this answer has not.
            ("edit", "code", {"number": "0", "former": "a", "code": "b"}, 409),
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
    Face("chat.delete", f"{_PAGE}/unrate", lambda t: t.form(f"{rated(t)[0]}/unrate"), 403, 200),
    Face("chat.delete", f"{_PAGE}/rate", lambda t: t.shows(f"{rated(t)[0]}/rate", '/unrate"'), False, True),
    Face(
        "chat.delete",
        f"DELETE {_V1}/evaluations/feedback/{{feedback_id}}",
        lambda t: t.client.delete(rated(t)[1]).status_code,
        401,
        200,
    ),
    Face(
        "chat.delete",
        f"DELETE {_V1}/evaluations/feedbacks",
        lambda t: t.client.delete(f"{_V1}/evaluations/feedbacks").status_code,
        401,
        200,
    ),
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
]
