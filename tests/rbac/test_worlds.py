"""Random small companies: every face gives the same answer as a plain model of the rules.

In each world: `readable_by` and `writable_by`, the preview with its paths, `has_perm`, the filter of retrieval, what a
socket may attach to, the history, and the models that may be used. In every fiftieth world (every tenth of a short run)
also over HTTP: REST listings, pages of the workspace, and the preview's route and page.

`OWUI_WORLDS=10000 pytest -n 2 tests/rbac/test_worlds.py` runs ten thousand of them, in four parts.
"""

from __future__ import annotations

import os
import uuid
import zlib
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.test import Client, override_settings
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.models import User
from chat.models import Chat, Message, Turn
from chat.selectors import attachable_turn
from inference.catalogue import models_now
from inference.live import Lists, LiveModel
from knowledge.models import Chunk, Document
from knowledge.retrieval.scope import readable_chunks
from knowledge.spaces import activate_space
from rbac.history import reachable_at
from rbac.models import Group, Membership
from rbac.previews import SECTIONS, Preview, sections
from rbac.services import rebuild_ancestry
from rbac.services.grants import permission_ids
from rbac.sharing import Access, NewMember, resource_types
from tests.conftest import Api, token_for
from tests.factories.accounts import UserFactory

WORLDS = int(os.environ.get("OWUI_WORLDS", "40"))
PARTS = max(1, WORLDS // 2500)
#: one world in so many is also tried over HTTP
HTTP_EVERY = 50 if WORLDS > 1000 else 10
TYPES = sorted(resource_types())
CONNECTIONS = ("tool_server", "terminal_server")
PEOPLE, GROUPS, KINDS, OBJECTS = 4, 4, 3, 2
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
FLAGS = ("bypass", "chat_access", "every_model", "every_passage")
CLIENT_IDS = ("model_id", "tool_id", "skill_id", "server_id")


@st.composite
def worlds(draw):
    """Roles, a forest of groups, memberships, objects of three types with grants that end and denials."""
    number = st.integers
    principals = st.one_of(
        st.tuples(st.just("user"), number(0, PEOPLE - 1)), st.tuples(st.just("group"), number(0, GROUPS - 1))
    )
    rows = st.tuples(
        number(0, KINDS - 1),
        number(0, OBJECTS - 1),
        principals,
        st.sampled_from(["read", "write"]),
        st.sampled_from([False, False, True]),
    )
    ends = st.sampled_from([None, None, PAST, FUTURE])
    owners = st.one_of(st.none(), number(0, PEOPLE - 1))
    access = st.sampled_from([Access.PRIVATE, Access.PRIVATE, Access.READ, Access.WRITE, Access.ANYONE])
    roles = st.sampled_from(["user", "user", "user", "admin", "pending", "off"])
    return SimpleNamespace(
        kinds=draw(st.lists(st.sampled_from(TYPES), min_size=KINDS, max_size=KINDS, unique=True)),
        roles=draw(st.lists(roles, min_size=PEOPLE, max_size=PEOPLE)),
        # A parent always has a lower number, so there are no loops.
        parents=[draw(st.one_of(st.none(), number(0, n - 1))) if n else None for n in range(GROUPS)],
        members=draw(st.sets(st.tuples(number(0, PEOPLE - 1), number(0, GROUPS - 1)), max_size=5)),
        owners=draw(st.lists(owners, min_size=KINDS * OBJECTS, max_size=KINDS * OBJECTS)),
        access=draw(st.lists(access, min_size=KINDS * OBJECTS, max_size=KINDS * OBJECTS)),
        rows=draw(st.dictionaries(rows, ends, max_size=14)),
        is_nested=draw(st.booleans()),
        turn=draw(number(0, PEOPLE - 1)),
        flags={flag: draw(st.booleans()) for flag in FLAGS},
    )


# ----------------------------------------------------------------------------------- the rules once more, no database
def is_verified(world, person) -> bool:
    return person is not None and world.roles[person] in ("user", "admin")


def bypasses(world, person, kind, write) -> bool:
    is_admin = person is not None and world.roles[person] == "admin"
    if kind in CONNECTIONS:
        return is_admin
    if kind == "model" and world.flags["every_model"] and not write:
        return True
    if kind in ("folder", "shared_chat") and not world.flags["chat_access"]:
        return False
    return is_admin and world.flags["bypass"]


def groups_of(world, person) -> set[int]:
    found: set[int] = set()
    for group in {g for p, g in world.members if p == person}:
        step: int | None = group
        while step is not None:
            found.add(step)
            step = world.parents[step]
    return found


def rows_on(world, place, number, groups, person, is_denied) -> set[str]:
    """The permissions that rows in force give (or deny) on one object."""
    return {
        permission
        for (at, one, (kind, principal), permission, denied), ends in world.rows.items()
        if (at, one, denied) == (place, number, is_denied)
        and ends != PAST
        and (principal == person if kind == "user" else principal in groups)
    }


def above(world, place, number) -> list[int]:
    """The object, and the folder it lies in."""
    return [1, 0] if world.kinds[place] == "folder" and world.is_nested and number == 1 else [number]


def expected(world, place, number, person, write, groups=None) -> bool:
    kind = world.kinds[place]
    at = place * OBJECTS + number
    if groups is None:
        if not is_verified(world, person):
            return not write and world.access[at] == Access.ANYONE and kind == "shared_chat"
        if bypasses(world, person, kind, write):
            return True
        groups = groups_of(world, person)
    elif kind == "model" and world.flags["every_model"] and not write:
        return True
    if write and kind in CONNECTIONS:
        return False
    needed, general = {"read", "write"}, {Access.READ, Access.WRITE, Access.ANYONE}
    if write:
        needed, general = {"write"}, {Access.WRITE}
    barring = {"read", "write"} if write else {"read"}
    chain = above(world, place, number)
    owns = person is not None and any(world.owners[place * OBJECTS + one] == person for one in chain)
    allowed = (
        owns
        or world.access[at] in general
        or any(rows_on(world, place, one, groups, person, False) & needed for one in chain)
    )
    return allowed and not any(rows_on(world, place, one, groups, person, True) & barring for one in chain)


# ------------------------------------------------------------------------------------------------- the world in tables
class Made:
    """A world in the database, in few statements: ten thousand of them are made."""

    def __init__(self, world, space) -> None:
        self.world = world
        self.people = User.objects.bulk_create(
            User(
                name=f"Person {n}",
                email=f"{uuid.uuid4()}@example.org",
                role="user" if role == "off" else role,
                is_active=role != "off",
            )
            for n, role in enumerate(world.roles)
        )
        self.groups = [Group(name=f"group {n} {uuid.uuid4()}") for n in range(GROUPS)]
        for group, parent in zip(self.groups, world.parents, strict=True):
            group.parent = None if parent is None else self.groups[parent]
        Group.objects.bulk_create(self.groups)
        rebuild_ancestry()
        Membership.objects.bulk_create(Membership(user=self.people[p], group=self.groups[g]) for p, g in world.members)
        self.models = [resource_types()[kind] for kind in world.kinds]
        self.things = [self._objects(place, kind) for place, kind in enumerate(world.kinds)]
        self._grants()
        if "knowledge" in world.kinds:
            self._chunks(space)
        self.turns = self._turns() if "folder" in world.kinds else []

    def _objects(self, place, kind):
        model = self.models[place]
        names = {field.name for field in model._meta.get_fields()}
        things = []
        for number in range(OBJECTS):
            at = place * OBJECTS + number
            owner = self.world.owners[at]
            text = f"{kind}-{number}-{uuid.uuid4().hex}"
            values = {name: text for name in ("name", "title", "command", *CLIENT_IDS) if name in names}
            things.append(
                model(
                    owner=None if owner is None else self.people[owner], general_access=self.world.access[at], **values
                )
            )
        if kind == "folder" and self.world.is_nested:
            things[1].parent = things[0]
        if kind == "model":
            things[1].base_model = things[0]
        if kind == "shared_chat":
            for thing in things:
                thing.chat = Chat(owner=self.people[0])
            Chat.objects.bulk_create(thing.chat for thing in things)
        return model.objects.bulk_create(things)

    def _grants(self) -> None:
        tables: dict = {}
        for (place, number, (kind, principal), permission, is_denied), ends in self.world.rows.items():
            model = self.models[place]
            table = model.user_grant_model() if kind == "user" else model.group_grant_model()
            who = self.people if kind == "user" else self.groups
            row = table(
                **{kind: who[principal]},
                content_object=self.things[place][number],
                permission_id=PERMISSION_IDS[model][permission],
                is_denied=is_denied,
                expires_at=ends,
            )
            tables.setdefault(table, []).append(row)
        for table, rows in tables.items():
            table.objects.bulk_create(rows)

    def _chunks(self, space) -> None:
        document = Document.objects.create(owner=None, filename="a.txt", state="live")
        bases = self.things[self.world.kinds.index("knowledge")]
        Chunk.objects.bulk_create(
            Chunk(document=document, knowledge_base=kb, space=space, position=0, text="x", embedding=[0.1] * 4)
            for kb in bases
        )

    def _turns(self):
        """A running answer in a stranger's chat in each folder."""
        stranger = User.objects.create(name="Stranger", email=f"{uuid.uuid4()}@example.org", role="user")
        folders = self.things[self.world.kinds.index("folder")]
        chats = Chat.objects.bulk_create(Chat(owner=stranger, folder=folder) for folder in folders)
        messages = Message.objects.bulk_create(Message(chat=chat, author="assistant") for chat in chats)
        return Turn.objects.bulk_create(
            Turn(chat=chat, message=message, user=stranger) for chat, message in zip(chats, messages, strict=True)
        )

    def reached(self, place, person, write, groups=None) -> set[uuid.UUID]:
        return {
            thing.pk
            for number, thing in enumerate(self.things[place])
            if expected(self.world, place, number, person, write, groups)
        }


PERMISSION_IDS: dict = {}


@pytest.fixture
def stage(db):
    """What all worlds share: an administrator who looks at previews, and a space for vectors."""
    for model in resource_types().values():
        PERMISSION_IDS.setdefault(model, permission_ids(model))
    viewer = UserFactory(role="admin", name="Dana Reyes", email="dana@example.org")
    return SimpleNamespace(viewer=viewer, space=activate_space(engine="openai", model="worlds", dimensions=4))


@pytest.mark.parametrize("part", range(PARTS))
@settings(
    max_examples=WORLDS // PARTS,
    deadline=None,
    # A failing world is printed as it is: it is small, and making it smaller takes minutes.
    phases=(Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(world=worlds())
def test_every_face_agrees_with_the_rules(stage, part, world):
    flags = {
        "BYPASS_ADMIN_ACCESS_CONTROL": world.flags["bypass"],
        "ENABLE_ADMIN_CHAT_ACCESS": world.flags["chat_access"],
        "BYPASS_MODEL_ACCESS_CONTROL": world.flags["every_model"],
        "BYPASS_RETRIEVAL_ACCESS_CONTROL": world.flags["every_passage"],
    }
    with override_settings(**flags), transaction.atomic():
        made = Made(world, stage.space)
        for place in range(KINDS):
            check_sets(made, place, stage.viewer)
        check_group(made, stage.viewer)
        if "knowledge" in world.kinds:
            check_retrieval(made, stage.space)
        if "folder" in world.kinds:
            check_socket(made)
        if "model" in world.kinds:
            check_models_in_use(made)
        if zlib.crc32(repr(world).encode()) % HTTP_EVERY == 0:
            check_http(made, stage.viewer)
        transaction.set_rollback(True)


def check_sets(made, place, viewer) -> None:
    """Querysets for everybody; previews, the history and `has_perm` for one person a type, whose turn it is."""
    model, world = made.models[place], made.world
    app, name = model._meta.app_label, model._meta.model_name
    for number, user in [*enumerate(made.people), (None, AnonymousUser())]:
        read, written = (made.reached(place, number, write) for write in (False, True))
        assert set(model.objects.readable_by(user).values_list("pk", flat=True)) == read, (place, number)
        assert set(model.objects.writable_by(user).values_list("pk", flat=True)) == written, (place, number)
        if number is None or number != (place + world.turn) % PEOPLE:
            continue
        entries = Preview(user, viewer).explain(model, made.things[place])
        assert {entry.pk for entry in entries if entry.reads} == read
        assert {entry.pk for entry in entries if entry.writes} == written
        for entry in entries:
            check_paths(entry, world.kinds[place])
        if world.kinds[place] != "folder":  # the history does not walk folders
            moment = timezone.now() + timedelta(seconds=1)
            assert reachable_at(user.pk, model.resource_type, moment) == read
            assert reachable_at(user.pk, model.resource_type, moment, write=True) == written
        thing = made.things[place][0]
        assert user.has_perm(f"{app}.view_{name}", thing) == (thing.pk in read)
        assert user.has_perm(f"{app}.change_{name}", thing) == (thing.pk in written)


def check_paths(entry, kind) -> None:
    """What is shown as the reason is one: the paths and denials alone give the same answer as the queryset."""
    given_, barred = {p.permission for p in entry.paths}, {d.permission for d in entry.denials}
    assert entry.reads == (bool(given_) and "read" not in barred)
    if kind not in CONNECTIONS or entry.writes:
        assert entry.writes == ("write" in given_ and not barred)
    if kind != "folder":
        assert all(path.kind != "above" for path in (*entry.paths, *entry.denials))


def check_group(made, viewer) -> None:
    """A group's preview is what a member has who has nothing else."""
    for number, group in list(enumerate(made.groups))[made.world.turn :][:1]:
        counted = set()
        step: int | None = number
        while step is not None:
            counted.add(step)
            step = made.world.parents[step]
        place = made.world.turn % KINDS
        preview = Preview(NewMember(group.pk), viewer)
        entries = preview.explain(made.models[place], made.things[place])
        assert {e.pk for e in entries if e.reads} == made.reached(place, None, False, counted)
        assert {e.pk for e in entries if e.writes} == made.reached(place, None, True, counted)
        assert {g.pk for g in preview.groups} == {made.groups[n].pk for n in counted}


def check_retrieval(made, space) -> None:
    place = made.world.kinds.index("knowledge")
    for number, user in enumerate(made.people):
        found = {
            pk
            for branch in readable_chunks(user, space)
            for pk in branch.values_list("knowledge_base_id", flat=True)
            if pk
        }
        wanted = made.reached(place, number, False)
        if made.world.flags["every_passage"] and is_verified(made.world, number):
            wanted = {kb.pk for kb in made.things[place]}
        assert found == wanted
        named = readable_chunks(user, space, [kb.pk for kb in made.things[place]])
        assert {pk for branch in named for pk in branch.values_list("knowledge_base_id", flat=True)} == wanted


def check_socket(made) -> None:
    """What a socket asks before it shows a running answer, for the chat of a stranger in each folder."""
    place = made.world.kinds.index("folder")
    for number, user in enumerate(made.people):
        sees_all = made.world.roles[number] == "admin" and made.world.flags["chat_access"]
        for folder, turn in zip(made.things[place], made.turns, strict=True):
            wanted = is_verified(made.world, number) and (sees_all or folder.pk in made.reached(place, number, False))
            assert (attachable_turn(user, turn.pk) is not None) == wanted


def check_models_in_use(made) -> None:
    """The second model is a preset of the first: it needs both. The servers offer the first, and one nobody knows."""
    place = made.world.kinds.index("model")
    base, preset = made.things[place]
    ids = [base.model_id, "not-registered"]

    async def offered(setup, *, refresh=False):
        return Lists(setup, {i: LiveModel(i, i, i, "openai", "openai", {}, ()) for i in ids}, {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inference.catalogue.current", offered)
        for number, user in enumerate(made.people):
            if not is_verified(made.world, number):
                continue
            read = made.reached(place, number, False)
            wanted = {base.model_id} if base.pk in read else set()
            wanted |= {preset.model_id} if {base.pk, preset.pk} <= read else set()
            if made.world.roles[number] == "admin" or made.world.flags["every_model"]:
                wanted.add("not-registered")
            assert {model.id for model in models_now(user)} == wanted


#: listings of REST that show everything one may read, with what says which
LISTINGS = {
    "knowledge": "/api/v1/knowledge/",
    "prompt": "/api/v1/prompts/",
    "tool": "/api/v1/tools/list",
    "skill": "/api/v1/skills/",
    "note": "/api/v1/notes/",
}


def check_http(made, viewer) -> None:
    number = next((n for n in range(PEOPLE) if is_verified(made.world, n)), None)
    if number is None:
        return
    user = made.people[number]
    api, looking = Api(token_for(user)), Api(token_for(viewer))
    browser = Client(headers={"sec-fetch-site": "same-origin"})
    browser.cookies["token"] = token_for(user)
    preview = looking.get(f"/api/v1/users/{user.pk}/preview").json()
    names = {model.resource_type: name for name, model in sections().items()}
    for place, kind in enumerate(made.world.kinds):
        keys = {str(t.pk): t.pk for t in made.things[place]}
        keys |= {getattr(t, i): t.pk for t in made.things[place] for i in CLIENT_IDS if hasattr(t, i)}
        read = made.reached(place, number, False)
        shown = preview[names[kind]]
        assert {keys[item["id"]] for item in shown["items"]} == read and shown["total"] == len(read)
        if kind in LISTINGS:
            body = api.get(LISTINGS[kind]).json()
            listed = body["items"] if isinstance(body, dict) else body
            assert {keys[item["id"]] for item in listed} == read
        elif kind == "model":
            listed = api.get("/api/v1/models/list").json()["items"]
            assert {keys[item["id"]] for item in listed} == read & {made.things[place][1].pk}
        elif kind == "folder":
            mine = {keys[item["id"]] for item in api.get("/api/v1/folders/").json()}
            others = {keys[item["id"]] for item in api.get("/api/v1/folders/shared").json()}
            assert mine | others <= read
            if made.world.roles[number] != "admin":
                in_the_open = {t.pk for t in made.things[place] if t.general_access != Access.PRIVATE}
                assert read - in_the_open <= mine | others
        if kind == "knowledge":
            page = browser.get("/workspace/knowledge/").content.decode()
            assert {t.pk for t in made.things[place] if t.name in page} == read
        if kind == "tool_server":
            ids = {item["id"].rpartition(":")[2] for item in api.get("/api/v1/tools/").json()}
            assert {t.pk for t in made.things[place] if t.server_id in ids} == read


def test_every_type_has_a_section():
    assert set(SECTIONS) == set(TYPES)
