"""An owner, beside what is theirs, as readers see them: whole to administrators, public to everybody else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db
_V1 = "/api/v1"
LISTS = {
    "note": f"{_V1}/notes/",
    "prompt": f"{_V1}/prompts/",
    "folder": f"{_V1}/folders/shared",
    "knowledge": f"{_V1}/knowledge/",
    "model": f"{_V1}/models/list",
    "tool": f"{_V1}/tools/",
    "skill": f"{_V1}/skills/",
}
ONE = {
    "note": f"{_V1}/notes/{{0.pk}}",
    "prompt": f"{_V1}/prompts/id/{{0.pk}}",
    "knowledge": f"{_V1}/knowledge/{{0.pk}}",
    "model": f"{_V1}/models/model?id={{0.model_id}}",
    "tool": f"{_V1}/tools/id/{{0.tool_id}}",
    "skill": f"{_V1}/skills/id/{{0.skill_id}}",
}
PUBLIC = {"id", "name", "profile_image_url"}


def owner_in(answer: Any) -> set[str]:
    body = answer.json()
    rows = body.get("items", [body]) if isinstance(body, dict) else body
    (row,) = rows
    return set(row["user"])


@pytest.mark.parametrize("kind", LISTS)
def test_readers_see_the_email_of_an_owner_only_where_they_may_share_with_people(
    kind: str, alice: Any, bob: Any, dana: Any, share: Any, api_for: Any, set_config: Any
) -> None:
    more = {"base_model": make_shared("model", None)} if kind == "model" else {}
    thing = make_shared(kind, alice, **more)
    share(thing, bob, "read")
    paths = [LISTS[kind], *([ONE[kind].format(thing)] if kind in ONE else [])]
    for path in paths:
        set_config("user.permissions", {"access_grants": {"allow_users": False}})
        assert owner_in(api_for(bob).get(path)) == PUBLIC
        set_config("user.permissions", {"access_grants": {"allow_users": True}})
        assert owner_in(api_for(bob).get(path)) == PUBLIC | {"email"}
        if kind != "folder":  # what an administrator could see is not shared with him
            assert owner_in(api_for(dana).get(path)) == PUBLIC | {"email", "role"}
            set_config("user.permissions", {"access_grants": {"allow_users": False}})
            assert owner_in(api_for(alice).get(path)) == PUBLIC | {"email"}, "one's own"


def test_so_with_the_people_whose_chats_lie_in_a_folder(
    alice: Any, bob: Any, share: Any, api_for: Any, set_config: Any
) -> None:
    from chat.models import Chat

    set_config("user.permissions", {"access_grants": {"allow_users": False}})
    folder = make_shared("folder", alice)
    Chat.objects.create(owner=alice, folder=folder)
    share(folder, bob, "read")
    assert owner_in(api_for(bob).get(f"{LISTS['folder'].removesuffix('shared')}{folder.pk}/shared/chats")) == PUBLIC
