"""Moving a folder lets other people in and out, so it is for its owner and asks what sharing asks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from chat.models import Chat, Folder
from owui.audit.models import AuditEvent
from rbac.grants import Grant
from rbac.services import set_grants
from tests.factories.accounts import a_system_admin
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db
PATH = "/api/v1/folders/"
MAY_SHARE = {"sharing": {"folders": True}, "access_grants": {"allow_users": True}}


@pytest.fixture
def move(api_for):
    """`move(alice, folder, below)`: what the client hears, as a status code."""

    def ask(who, folder, below) -> int:
        sent = {"parent_id": str(below.pk) if below else None}
        return int(api_for(who).post(f"{PATH}{folder.pk}/update/parent", sent).status_code)

    return ask


@pytest.fixture
def deny(settings):
    """`deny(folder, bob)` keeps somebody out."""
    settings.ENABLE_DENY_GRANTS = True

    def keep_out(folder, who, **more) -> None:
        grant = Grant("user", str(who.pk), "read", **more)
        set_grants(folder, [], by=a_system_admin(), denials=[grant])

    return keep_out


def reads(who, folder) -> bool:
    return bool(Folder.objects.readable_by(who).filter(pk=folder.pk).exists())


def test_a_writer_cannot_take_a_folder_into_a_place_of_his_own(alice, mallory, bob, share, move, set_config, api_for):
    set_config("user.permissions", MAY_SHARE)
    secret, mine = make_shared("folder", alice), make_shared("folder", mallory)
    chat = Chat.objects.create(owner=alice, folder=secret)
    share(mine, bob, "read")
    share(secret, mallory, "write")
    assert move(mallory, secret, mine) == 403
    assert move(mallory, secret, make_shared("folder", mallory, parent=secret)) == 403
    set_grants(secret, [], by=alice)
    assert not reads(bob, secret) and not Folder.objects.writable_by(mallory).filter(pk=secret.pk).exists()
    assert api_for(mallory).get(f"/api/v1/chats/{chat.pk}").status_code == 401


def test_nor_can_the_owner_of_the_place_it_is_in(alice, bob, move):
    top, other = make_shared("folder", alice), make_shared("folder", alice)
    bobs = make_shared("folder", bob, parent=top)
    assert move(alice, bobs, other) == 403
    assert move(bob, bobs, None) == 200


def test_a_place_that_others_read_asks_for_the_right_to_share(alice, bob, carol, share, move, set_config):
    shared, mine = make_shared("folder", alice), make_shared("folder", alice)
    share(shared, bob, "read")
    assert move(alice, mine, shared) == 403 and not reads(bob, mine)
    set_config("user.permissions", MAY_SHARE)
    assert move(alice, mine, shared) == 200 and reads(bob, mine)
    told = AuditEvent.objects.get(action="folder.moved").detail
    assert (told["before"], told["after"], told["lifted"]) == (None, str(shared.pk), [])
    assert told["added"] == [{"principal_type": "user", "principal_id": str(bob.pk), "permission": "read"}]


def test_so_does_the_place_of_somebody_else(alice, bob, share, move, set_config):
    bobs, mine = make_shared("folder", bob), make_shared("folder", alice)
    share(bobs, alice, "write")
    assert move(alice, mine, bobs) == 403
    set_config("user.permissions", MAY_SHARE)
    assert move(alice, mine, bobs) == 200


def test_and_the_right_to_share_with_each_of_its_groups(alice, carols_group, share, move, set_config, dana):
    from rbac.services import update_group

    set_config("user.permissions", MAY_SHARE | {"access_grants": {"allow_users": True, "allow_groups": True}})
    shared, mine = make_shared("folder", alice), make_shared("folder", alice)
    share(shared, carols_group, "read")
    update_group(carols_group, by=dana, data={"config": {"share": False}})
    assert move(alice, mine, shared) == 403
    update_group(carols_group, by=dana, data={"config": {"share": True}})
    assert move(alice, mine, shared) == 200


def test_what_lets_nobody_new_in_needs_no_permission(alice, bob, share, move):
    first, second = make_shared("folder", alice), make_shared("folder", alice)
    private, mine = make_shared("folder", alice), make_shared("folder", alice)
    share(first, bob, "write")
    share(second, bob, "read")
    assert move(alice, mine, private) == 200
    Folder.objects.filter(pk=mine.pk).update(parent=first)
    assert move(alice, mine, second) == 200, "less than before"
    assert move(alice, mine, first) == 403, "bob would write what he reads"
    assert move(alice, mine, None) == 200


def test_a_grant_that_lasts_longer_lets_in_for_longer(alice, bob, share, move):
    brief, lasting, mine = (make_shared("folder", alice) for _number in range(3))
    soon = timezone.now() + timedelta(hours=1)
    set_grants(brief, [Grant("user", str(bob.pk), "read", soon)], by=a_system_admin())
    share(lasting, bob, "read")
    Folder.objects.filter(pk=mine.pk).update(parent=brief)
    assert move(alice, mine, lasting) == 403
    Folder.objects.filter(pk=mine.pk).update(parent=lasting)
    assert move(alice, mine, brief) == 200


def test_a_denial_is_not_left_behind_by_a_move(alice, bob, dana, deny, share, move):
    top = make_shared("folder", alice)
    inner = make_shared("folder", alice, parent=top)
    share(inner, bob, "read")
    deny(top, bob)
    assert not reads(bob, inner)
    assert move(alice, inner, None) == 403 and move(alice, inner, make_shared("folder", alice)) == 403
    assert move(dana, inner, None) == 200 and reads(bob, inner)
    (lifted,) = AuditEvent.objects.get(action="folder.moved").detail["lifted"]
    assert lifted["principal_id"] == str(bob.pk)


def test_a_denial_that_holds_at_the_new_place_too_lets_it_go_there(alice, bob, deny, move):
    first, second, brief = (make_shared("folder", alice) for _number in range(3))
    inner = make_shared("folder", alice, parent=first)
    for place in (first, second):
        deny(place, bob)
    deny(brief, bob, expires_at=timezone.now() + timedelta(hours=1))
    assert move(alice, inner, brief) == 403
    assert move(alice, inner, second) == 200


def test_an_administrator_moves_only_while_he_may_enter(alice, dana, move, settings):
    folder, place = make_shared("folder", alice), make_shared("folder", alice)
    assert move(dana, folder, place) == 200
    settings.BYPASS_ADMIN_ACCESS_CONTROL = False
    assert move(dana, folder, None) == 404


def test_a_move_is_announced(alice, move, django_capture_on_commit_callbacks, announced):
    folder, place = make_shared("folder", alice), make_shared("folder", alice)
    with django_capture_on_commit_callbacks(execute=True):
        assert move(alice, folder, place) == 200
    assert ("folder", str(folder.pk)) in announced


def test_nobody_deletes_with_a_folder_what_he_is_kept_out_of(alice, bob, deny, share, api_for):
    top = make_shared("folder", alice)
    inner = make_shared("folder", alice, parent=top)
    chat = Chat.objects.create(owner=alice, folder=inner)
    share(top, bob, "write")
    deny(inner, bob)
    assert api_for(bob).delete(f"{PATH}{top.pk}").status_code == 403
    assert Folder.objects.count() == 2
    set_grants(inner, [], by=a_system_admin(), denials=[])
    assert api_for(bob).delete(f"{PATH}{top.pk}").status_code == 200
    chat.refresh_from_db()
    assert chat.folder is None, "the chats of others stay"
