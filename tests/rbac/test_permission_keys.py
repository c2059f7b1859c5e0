"""Every permission key at every face: refused or left out without it, allowed with it. Generated from tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from owui.audit.models import AuditEvent
from owui.lib.aio import in_thread
from rbac.permissions import PERMISSIONS, nested
from tests.access import routes
from tests.access.rows import Row, all_rows
from tests.access.test_table import ask, make_world
from tests.chat.test_views import browser
from tests.conftest import token_for
from tests.factories.rbac import make_group, make_shared
from tests.rbac.key_faces import FACES
from tests.rbac.key_live import LIVE, LiveTries
from tests.rbac.key_tries import Face, Tries

KEYS = sorted(PERMISSIONS)
BY_KEY: dict[str, list[Face]] = {key: [face for face in (*FACES, *LIVE) if face.key == key] for key in KEYS}

#: keys that nothing in the product asks for yet. As soon as a route of `GOVERNED` is there, the key needs its faces.
NO_FACE = {
    "workspace.prompts_export": "no route gives prompts as a file",
    "workspace.tools_import": "clients import by making tools, for which the parent is needed and enough",
    "workspace.skills_import": "clients import by making skills, for which the parent is needed and enough",
    "sharing.public_calendars": "there are no calendars",
    "chat.valves": "no tool takes settings of a person's own",
    "chat.call": "there is no voice",
    "features.channels": "there are no channels",
    "features.encrypted_channels": "there are no channels",
    "features.automations": "there are no automations",
    "features.calendar": "there are no calendars",
}
_CHATS = r"/api/v1/chats"
#: the routes that a key governs wherever it is told: mounted, such a route must be tried under its key
GOVERNED = {
    "workspace.models": [r"POST /api/v1/models/create", r"PAGE /workspace/models"],
    "workspace.models_import": [r"POST /api/v1/models/import"],
    "workspace.models_export": [r"GET /api/v1/models/export"],
    "workspace.models_hidden": [r"GET /api/v1/models/(list|tags)", r"PAGE /workspace/models"],
    "workspace.knowledge": [r"POST /api/v1/knowledge/create", r"PAGE /workspace/knowledge/new"],
    "workspace.prompts": [r"POST /api/v1/prompts/create", r"PAGE /workspace/prompts/new"],
    "workspace.prompts_import": [r"POST /api/v1/prompts/(create|import)"],
    "workspace.prompts_export": [r"GET /api/v1/prompts/export"],
    "workspace.tools": [r"POST /api/v1/tools/create", r"POST /api/v1/tools/.*/valves/update", r"PAGE /workspace/tools"],
    "workspace.tools_import": [r"POST /api/v1/tools/(load|import).*"],
    "workspace.tools_export": [r"GET /api/v1/tools/export"],
    "workspace.skills": [r"POST /api/v1/skills/create", r"PAGE /workspace/skills/new"],
    "workspace.skills_import": [r"POST /api/v1/skills/import"],
    "workspace.skills_export": [r"GET /api/v1/skills/export"],
    **{
        f"sharing.{public}{name}": [rf"POST /api/v1/{name}/.*access/update", r"PAGE /access/\{resource_type\}/\{pk\}"]
        for name in ("models", "knowledge", "prompts", "tools", "skills", "notes", "folders")
        for public in ("", "public_")
    },
    "sharing.public_chats": [rf"POST {_CHATS}/.*/access/update"],
    "sharing.open_chats": [rf"POST {_CHATS}/.*/access/update"],
    "sharing.public_calendars": [r"\w+ /api/v1/calendars?"],
    "chat.share": [rf"POST {_CHATS}/\{{\w+\}}/share"],
    "chat.valves": [r"POST .*/valves/user/update"],
    "chat.file_upload": [r"POST /api/v1/files/", r"PAGE /c/files", r"POST /api/v1/retrieval/process/text"],
    "chat.web_upload": [r"PAGE /c/web", r"POST /api/v1/retrieval/process/(web|youtube)"],
    "chat.delete": [rf"DELETE {_CHATS}/(\{{\w+\}})?", r"PAGE /c/(\{chat_id\}/delete|remove-all)"],
    "chat.delete_message": [rf"DELETE {_CHATS}/.*messages.*", r"PAGE /c/.*/messages/.*/delete"],
    "chat.continue_response": [r"PAGE /c/.*/messages/.*/continue"],
    "chat.regenerate_response": [r"PAGE /c/.*/messages/.*/regenerate"],
    # What a client leaves out of a chat that it sends is kept, so no key for deleting governs that.
    "chat.edit": [r"PAGE /c/.*/messages/.*/(edit|save|copy|code)", rf"POST {_CHATS}/\{{\w+\}}(/messages/\{{\w+\}})?"],
    # What one said may be read and taken back without it.
    "chat.rate_response": [r"POST /api/v1/evaluations/feedback.*", r"PAGE /c/.*/rate"],
    "chat.export": [
        rf"GET {_CHATS}/(all|all/archived|stats/export.*)",
        r"POST /api/v1/utils/pdf",
        r"PAGE /c/.*(export|download).*",
    ],
    "chat.import": [
        rf"POST {_CHATS}/(import|new|\{{\w+\}})",
        rf"POST {_CHATS}/\{{\w+\}}/(clone|fork|clone/shared)",
        r"PAGE /(c|s)/.*(fork|clone)",
    ],
    "chat.stt": [r"POST .*/audio/transcriptions"],
    "chat.tts": [r"POST .*/audio/speech", r"PAGE /c/.*/menu"],
    "chat.call": [r"\w+ .*/(realtime|call)"],
    "chat.controls": [r"PAGE /c/(new|\{chat_id\})/controls"],
    "chat.multiple_models": [r"PAGE /c/new/messages"],
    "chat.temporary": [
        r"PAGE /c/temporary/messages",
        r"POST (/api|/api/v1|/v1|/openai|/ollama/v1)/chat/completions",
        r"POST (/openai|/ollama/v1)/completions",
        r"POST (/openai/responses|/ollama/api/(chat|generate))",
    ],
    "chat.temporary_enforced": [r"PAGE /c/(new/|\{chat_id\}/)messages"],
    "features.api_keys": [r"(POST|GET) /api/v1/auths/api_key", r"PAGE /settings/keys"],
    "features.channels": [r"\w+ /api/v1/channels.*"],
    "features.encrypted_channels": [r"\w+ /api/v1/channels.*"],
    "features.web_search": [r"POST /api/v1/retrieval/process/web/search"],
    "features.image_generation": [r"\w+ /api/v1/images.*"],
    "features.code_interpreter": [r"POST /api/v1/utils/code/execute"],
    "features.automations": [r"\w+ /api/v1/automations.*"],
    "features.calendar": [r"\w+ /api/v1/calendars?.*"],
    "settings.interface": [r"POST /api/v1/users/user/settings/update", r"PAGE /settings/(theme|keyboard)"],
}
#: features whose whole family of routes needs the key: tried with the rows of the access table, as the owner
FAMILIES = {
    "features.notes": ("/api/v1/notes", 401),
    "features.folders": ("/api/v1/folders", 403),
    "features.memories": ("/api/v1/memories", 403),
    "features.webhooks": ("/api/v1/notifications", 403),
}
FAMILY_ROWS = [
    (key, code, row) for key, (prefix, code) in FAMILIES.items() for row in all_rows() if row.path.startswith(prefix)
]


def flat(*keys: str) -> dict[str, bool]:
    """The keys and the parents above them."""
    found = {}
    for key in keys:
        while key:
            found[key], key = True, PERMISSIONS[key].parent
    return found


def worlds(faces: list[Face]) -> list[Any]:
    """The faces of one key that need the same world are tried in one."""
    found: dict[tuple[str, tuple[str, ...], str], list[Face]] = {}
    for face in faces:
        found.setdefault((face.key, face.also, str(face.settings)), []).append(face)
    return [pytest.param(group, id="+".join((key, *also))) for (key, also, _settings), group in found.items()]


def prepare(face: Face, set_config: Callable[..., None]) -> None:
    """Nobody has the key by default; what it stands on and what the face needs besides, everybody has."""
    parents = flat(PERMISSIONS[face.key].needs, *face.also)
    set_config("user.permissions", nested({**parents, face.key: False}))
    for setting, value in face.settings.items():
        set_config(setting, value)


def give(key: str, *people: Any) -> None:
    """By a group above the one they are in: keys are added up over the whole tree."""
    make_group(members=people, parent=make_group(permissions=nested({key: True})))


# ------------------------------------------------------------------------------------------------ the table is complete
def mounted() -> set[str]:
    return {f"{method} {path}" for method, path in routes.operations()} | {f"PAGE {path}" for path in routes.pages()}


def test_every_key_has_a_face_or_a_reason() -> None:
    families = {key for key, _code, _row in FAMILY_ROWS}
    faced = {key for key in KEYS if BY_KEY[key]} | families
    assert faced | set(NO_FACE) == set(KEYS)
    assert not faced & set(NO_FACE), "has a face by now: take it out of NO_FACE"
    assert set(GOVERNED) - set(KEYS) == {"sharing.public_folders"}, "which is no key: folders are never public"
    assert set(NO_FACE) <= set(GOVERNED), "say which routes would be its faces"


@pytest.mark.parametrize("key", sorted(set(GOVERNED) & set(KEYS)))
def test_every_route_of_a_key_is_tried(key: str) -> None:
    governed = {route for route in mounted() if any(re.fullmatch(pattern, route) for pattern in GOVERNED[key])}
    tried = {face.route for face in BY_KEY[key]}
    assert governed <= tried, "Add faces to tests/rbac/key_faces.py (key_chats.py, key_live.py) for these"


def test_faces_are_about_routes_that_exist() -> None:
    assert {face.route for face in (*FACES, *LIVE)} <= mounted()
    names = [str(face) for face in (*FACES, *LIVE)]
    assert len(names) == len(set(names)), "say in `why` what tells two faces of one route apart"


# ------------------------------------------------------------------------------------------------------- every face
@pytest.mark.django_db
@pytest.mark.parametrize("faces", worlds(FACES))
def test_faces(
    faces: list[Face], alice: Any, client_for: Callable[..., Client], set_config: Callable[..., None]
) -> None:
    prepare(faces[0], set_config)
    tries = Tries(alice, client_for(alice))
    got = {str(face): face.ask(tries) for face in faces}
    assert got == {str(face): face.without for face in faces}, "without the key"
    give(faces[0].key, alice)
    tries = Tries(type(alice).objects.get(pk=alice.pk), client_for(alice))
    got = {str(face): face.ask(tries) for face in faces}
    assert got == {str(face): face.allowed for face in faces}, "with the key"


@pytest.mark.django_db
@pytest.mark.parametrize(("key", "code", "row"), FAMILY_ROWS, ids=[f"{key}: {row}" for key, _code, row in FAMILY_ROWS])
def test_family(key: str, code: int, row: Row, set_config: Callable[..., None]) -> None:
    assert not row.live, "rows that await need a test with committed rows"
    set_config("user.permissions", nested({key: False}))
    world = make_world()
    assert ask(row, "owner", world) == code, "without the key"
    give(key, world.owner)
    assert ask(row, "owner", world) == row.codes["owner"], "with the key"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("faces", worlds(LIVE))
async def test_live_faces(
    faces: list[Face], process: Any, alice: Any, small: Any, server: Any, llama: Any, set_config: Callable[..., None]
) -> None:
    page = browser(await in_thread(token_for)(alice), htmx=False)
    tries = LiveTries(alice, page, (server, llama))
    await in_thread(prepare)(faces[0], set_config)
    got = {str(face): await face.ask(tries) for face in faces}
    assert got == {str(face): face.without for face in faces}, "without the key"
    await in_thread(give)(faces[0].key, alice)
    got = {str(face): await face.ask(tries) for face in faces}
    assert got == {str(face): face.allowed for face in faces}, "with the key"


# ---------------------------------------------------------------------------------------------------- what is special
@pytest.mark.django_db
def test_who_may_change_a_knowledge_base_uploads_into_it_without_the_key(
    alice: Any, client_for: Callable[..., Client], set_config: Callable[..., None]
) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    set_config("user.permissions", {"chat": {"file_upload": False}})
    base, foreign = make_shared("knowledge", alice), make_shared("knowledge", None)
    codes = []
    for number, kb in enumerate((base, foreign)):
        file = SimpleUploadedFile(f"{number}.txt", b"How to clean a mixer %d." % number, "text/plain")
        data = {"file": file, "metadata": f'{{"knowledge_id": "{kb.pk}"}}'}
        codes.append(client_for(alice).post("/api/v1/files/", data).status_code)
    assert codes == [200, 403]


@pytest.mark.django_db
def test_a_socket_ends_an_answer_with_the_controls_a_person_has(alice: Any, set_config: Callable[..., None]) -> None:
    from chat import rendering, selectors
    from tests.chat.helpers import ask as ask_in_chat
    from tests.chat.helpers import end

    started = ask_in_chat(alice)
    end(started)
    (message,) = selectors.load_branch(started.chat, reader=alice, only=started.message.pk).messages
    shown = {}
    for allowed in (True, False):
        keys = ("chat.regenerate_response", "chat.continue_response")
        set_config("user.permissions", nested(dict.fromkeys(keys, allowed)))
        person = type(alice).objects.get(pk=alice.pk)
        html = str(rendering.final_ops(rendering.message_view(message), rendering.can_of(person)))
        shown[allowed] = ["/regenerate" in html, "/continue" in html]
    assert shown == {True: [True, True], False: [False, False]}


@pytest.mark.django_db
def test_settings_that_may_not_be_set_stay_as_they_were(alice: Any, client_for: Any, set_config: Any) -> None:
    """Clients send the whole object back for every change: leaving a part out must not take it away."""
    kept = {"system": "Be brief.", "toolServers": [1], "widescreenMode": True, "notifications": {"webhook_url": "x"}}
    alice.settings = {"ui": kept, "other": 1}
    alice.save()
    keys = ("chat.system_prompt", "settings.interface", "features.direct_tool_servers", "features.webhooks")
    set_config("user.permissions", nested(dict.fromkeys(keys, False)))
    sent = {"ui": {"system": "Be rude.", "toolServers": [], "notifications": {"webhook_url": "y"}, "models": ["m"]}}
    answer = client_for(alice).post("/api/v1/users/user/settings/update", sent, content_type="application/json")
    assert answer.status_code == 200
    alice.refresh_from_db()
    assert alice.settings == {"ui": {**kept, "models": ["m"]}, "other": 1}
    assert not AuditEvent.objects.filter(action="user.settings").exists()


@pytest.mark.django_db
def test_a_switch_of_the_administrator_stands_above_the_key(dana: Any, client_for: Any, set_config: Any) -> None:
    """Neither a webhook nor a tool server of one's own while the feature is off, not even for administrators."""
    body = {"ui": {"toolServers": [1], "notifications": {"webhook_url": "x"}}}
    client_for(dana).post("/api/v1/users/user/settings/update", body, content_type="application/json")
    dana.refresh_from_db()
    assert dana.settings["ui"] == {"notifications": {}}
    set_config("ui.enable_notes", False)
    note = make_shared("note", dana)
    assert client_for(dana).get(f"/access/note/{note.pk}").status_code == 403


@pytest.mark.django_db
def test_settings_come_with_the_administrators_defaults(alice: Any, client_for: Any, set_config: Any) -> None:
    set_config("ui.default_interface_settings", {"widescreenMode": True, "chatBubble": True})
    client = client_for(alice)
    path = "/api/v1/users/user/settings"
    client.post(f"{path}/update", {"ui": {"chatBubble": False}, "own": {"a": 1}}, content_type="application/json")
    assert client.get(path).json() == {"ui": {"widescreenMode": True, "chatBubble": False}, "own": {"a": 1}}
    client.post(f"{path}/update", {"ui": {"system": "Be brief."}}, content_type="application/json")
    assert client.get(path).json()["own"] == {"a": 1}
    event = AuditEvent.objects.get(action="user.settings")
    assert event.detail == {"changed": ["system"]} and event.actor_id == alice.pk
    assert client.post(f"{path}/update", {"x": "y" * 1_100_000}, content_type="application/json").status_code == 413
