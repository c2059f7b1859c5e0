"""Folders: grants reach what is inside, denials too; the chats in a shared folder can be read and never written."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from chat.models import Chat, Folder
from owui.audit.models import AuditEvent
from rbac.grants import Grant
from rbac.services import set_grants
from tests.factories.accounts import a_system_admin
from tests.factories.rbac import make_shared

pytestmark = pytest.mark.django_db
PATH = "/api/v1/folders/"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40


@pytest.fixture
def tree(alice):
    """Three folders of alice's, one in the other, and one beside them."""
    top = make_shared("folder", alice, name="top")
    middle = make_shared("folder", alice, name="middle", parent=top)
    bottom = make_shared("folder", alice, name="bottom", parent=middle)
    make_shared("folder", alice, name="beside")
    return {"top": top, "middle": middle, "bottom": bottom}


def names(folders) -> set[str]:
    return set(folders.values_list("name", flat=True))


@pytest.mark.parametrize("permission", ["read", "write"])
def test_a_grant_reaches_everything_inside_and_nothing_above(tree, bob, share, permission):
    share(tree["middle"], bob, permission)
    assert names(Folder.objects.readable_by(bob)) == {"middle", "bottom"}
    assert names(Folder.objects.writable_by(bob)) == ({"middle", "bottom"} if permission == "write" else set())


def test_a_grant_to_a_group_reaches_inside_too(tree, carol, carols_group, mallory, share):
    share(tree["top"], carols_group, "write")
    assert names(Folder.objects.writable_by(carol)) == {"top", "middle", "bottom"}
    assert not Folder.objects.readable_by(mallory).exists()


def test_the_owner_of_a_folder_reaches_what_others_put_into_it(tree, alice, bob):
    make_shared("folder", bob, name="bobs", parent=tree["bottom"])
    assert "bobs" in names(Folder.objects.writable_by(alice))


def test_a_denial_holds_for_everything_inside(tree, bob, share, settings):
    settings.ENABLE_DENY_GRANTS = True
    share(tree["top"], bob, "read")
    share(tree["bottom"], bob, "read")
    grant = Grant("user", str(bob.pk), "read")
    set_grants(tree["middle"], [], by=a_system_admin(), denials=[grant])
    assert names(Folder.objects.readable_by(bob)) == {"top"}


def test_a_loop_of_parents_ends_the_walk(tree, bob, share):
    share(tree["top"], bob, "read")
    Folder.objects.filter(pk=tree["top"].pk).update(parent=tree["bottom"])
    assert names(Folder.objects.readable_by(bob)) == {"top", "middle", "bottom"}


def test_reading_folders_is_one_statement(tree, bob, share, django_assert_num_queries):
    share(tree["top"], bob, "read")
    with django_assert_num_queries(1):
        assert len(Folder.objects.readable_by(bob)) == 3


def test_readers_of_a_folder_read_its_chats_and_change_none(tree, alice, bob, mallory, share, api_for, client_for):
    share(tree["top"], bob, "write")
    inside = Chat.objects.create(owner=alice, title="Inside", folder=tree["bottom"])
    outside = Chat.objects.create(owner=alice, title="Outside")
    assert list(Chat.objects.readable_by(bob)) == [inside]
    assert not Chat.objects.writable_by(bob).exists() and not Chat.objects.readable_by(mallory).exists()
    assert api_for(bob).get(f"/api/v1/chats/{inside.pk}").json()["title"] == "Inside"
    assert api_for(bob).get(f"/api/v1/chats/{outside.pk}").status_code == 401
    assert client_for(bob).get(f"/c/{inside.pk}").status_code == 200
    assert api_for(bob).delete(f"/api/v1/chats/{inside.pk}").status_code == 404
    (shown,) = api_for(bob).get(f"{PATH}{tree['bottom'].pk}/shared/chats").json()
    assert (shown["title"], shown["user"]["name"]) == ("Inside", alice.name)


def test_readers_of_a_folder_do_not_read_the_settings_of_its_chats(tree, alice, bob, share, api_for):
    chat = Chat.objects.create(owner=alice, folder=tree["bottom"], params={"system": "Secret prompt"})
    share(tree["bottom"], bob, "read")
    assert api_for(bob).get(f"/api/v1/chats/{chat.pk}").json()["chat"]["params"] == {}
    assert api_for(alice).get(f"/api/v1/chats/{chat.pk}").json()["chat"]["params"] == {"system": "Secret prompt"}


def test_administrators_enter_folders_only_while_they_may_read_chats(tree, alice, dana, settings):
    Chat.objects.create(owner=alice, title="Inside", folder=tree["bottom"])
    assert Folder.objects.readable_by(dana).count() == 4 and Chat.objects.readable_by(dana).count() == 1
    settings.ENABLE_ADMIN_CHAT_ACCESS = False
    assert not Folder.objects.readable_by(dana).exists() and not Chat.objects.readable_by(dana).exists()
    chat = Chat.objects.get()
    set_grants(make_shared("shared_chat", alice, chat=chat), [], by=a_system_admin())
    from chat.models import SharedChat

    assert not SharedChat.objects.readable_by(dana).exists()


# --------------------------------------------------------------------------------------------------------------- REST
def test_a_folder_has_its_shape(api_for, alice):
    api = api_for(alice)
    made = api.post(PATH, {"name": "Signals", "data": {"system_prompt": "Be brief."}}).json()
    assert made["data"] == {"system_prompt": "Be brief."} and made["write_access"] is True
    assert made["items"] == {"chats": [], "files": []} and made["access_grants"] == []
    (line,) = api.get(PATH).json()
    keys = {"id", "name", "parent_id", "meta", "is_expanded", "unread_count", "created_at", "updated_at"}
    assert set(line) == keys
    path = f"{PATH}{made['id']}"
    assert api.post(f"{path}/update/expanded", {"is_expanded": True}).json()["is_expanded"] is True
    changed = api.post(f"{path}/update", {"name": "Cases", "data": {"files": []}}).json()
    assert changed["name"] == "Cases" and changed["data"] == {"system_prompt": "Be brief.", "files": []}
    assert api.delete(path).json() is True and api.get(path).status_code == 404


def test_a_picture_stands_behind_a_folder(api_for, client_for, alice, bob, share, tree):
    folder, page = tree["top"], client_for(alice, htmx=True)
    address = f"/folders/{folder.pk}"
    assert client_for(alice).get(f"{address}/background").status_code == 404
    assert "folder-backdrop" not in page.get(f"{address}?part=1").content.decode()

    def send(data: bytes, **more: str) -> int:
        file = SimpleUploadedFile("a.png", data, content_type="image/png")
        return page.post(f"{address}/settings", {"background": file, **more}).status_code

    assert send(b"<svg onload=alert(1)>") == 400 and send(PNG + b"0" * 500_000) == 413
    assert send(PNG, colour="teal") == 200
    folder.refresh_from_db()
    assert folder.meta["background_image_url"].startswith("data:image/png;base64,") and folder.meta["colour"] == "teal"
    assert f'src="{address}/background?at=' in client_for(alice).get(address).content.decode()
    shown = client_for(alice).get(f"{address}/background")
    assert (shown.content, shown["Content-Type"]) == (PNG, "image/png")
    assert "sandbox" in shown["Content-Security-Policy"] and shown["X-Content-Type-Options"] == "nosniff"
    assert client_for(bob).get(f"{address}/background").status_code == 404
    share(folder, bob)
    assert client_for(bob).get(f"{address}/background").status_code == 200
    # The other fields of the form leave it alone; it goes on request.
    assert page.post(f"{address}/settings", {"sign": "QA"}).status_code == 200
    folder.refresh_from_db()
    assert folder.meta["background_image_url"] and folder.meta["icon"] == "QA"
    assert "no_background" in page.get(f"{address}/settings").content.decode()
    page.post(f"{address}/settings", {"no_background": "1"})
    assert client_for(alice).get(f"{address}/background").status_code == 404


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://example.org/track.png", 400),
        ("/api/v1/files/1/content", 400),
        ("data:image/svg+xml;base64,PHN2Zy8+", 400),
        ("data:image/png;base64,PHN2Zy8+", 400),
        ("data:image/png;base64," + "A" * 500_000, 413),
        (None, 200),
    ],
)
def test_programs_put_only_pictures_behind_folders(api_for, alice, tree, url, status):
    api, body = api_for(alice), {"meta": {"background_image_url": url}}
    assert api.post(f"{PATH}{tree['top'].pk}/update", body).status_code == status
    assert api.post(PATH, {"name": "new", **body}).status_code == status


def test_what_stands_there_otherwise_leads_nobody_anywhere(client_for, alice, tree):
    page, folder = client_for(alice), tree["top"]
    for url in ("https://example.org/track.png", "javascript:alert(1)", 7, ["x"]):
        Folder.objects.filter(pk=folder.pk).update(meta={"background_image_url": url})
        assert "folder-backdrop" not in page.get(f"/folders/{folder.pk}").content.decode()
        assert page.get(f"/folders/{folder.pk}/background").status_code == 404


def test_names_are_unique_in_their_place(api_for, alice, bob, tree):
    api = api_for(alice)
    assert api.post(PATH, {"name": " TOP "}).status_code == 400
    assert api.post(PATH, {"name": "top", "parent_id": str(tree["top"].pk)}).status_code == 200
    assert api.post(PATH, {"name": "  "}).status_code == 400
    assert api_for(bob).post(PATH, {"name": "top"}).status_code == 200
    assert api.post(PATH, {"name": "x", "parent_id": "nonsense"}).status_code == 404


def test_a_folder_cannot_be_inside_itself(api_for, alice, tree):
    path = f"{PATH}{tree['top'].pk}/update/parent"
    for inner in ("top", "middle", "bottom"):
        assert api_for(alice).post(path, {"parent_id": str(tree[inner].pk)}).status_code == 400
    moved = api_for(alice).post(f"{PATH}{tree['bottom'].pk}/update/parent", {"parent_id": None})
    assert moved.json()["parent_id"] is None


def test_nobody_puts_a_folder_where_they_may_not_write(api_for, bob, tree, share):
    share(tree["top"], bob, "read")
    assert api_for(bob).post(PATH, {"name": "x", "parent_id": str(tree["top"].pk)}).status_code == 404
    share(tree["middle"], bob, "write")
    assert api_for(bob).post(PATH, {"name": "x", "parent_id": str(tree["middle"].pk)}).status_code == 200


def test_shared_folders_are_listed_apart(api_for, alice, bob, dana, tree, share):
    share(tree["middle"], bob, "read")
    found = api_for(bob).get(f"{PATH}shared").json()
    assert [(f["name"], f["write_access"], f["user"]["name"]) for f in found] == [
        ("bottom", False, alice.name),
        ("middle", False, alice.name),
    ]
    assert api_for(bob).get(PATH).json() == []
    assert api_for(dana).get(f"{PATH}shared").json() == [], "what an administrator could see is not shared with him"


def test_sharing_a_folder_needs_the_permission_and_is_never_public(api_for, alice, bob, dana, tree, set_config):
    path = f"{PATH}{tree['top'].pk}/access/update"
    one = {"access_grants": [{"principal_type": "user", "principal_id": str(bob.pk), "permission": "read"}]}
    public = {"access_grants": [{"principal_type": "user", "principal_id": "*", "permission": "read"}]}
    assert api_for(alice).post(path, one).status_code == 403
    set_config("user.permissions", {"sharing": {"folders": True}})
    assert api_for(alice).post(path, one).json()["access_grants"] == one["access_grants"]
    for person in (alice, dana):
        assert api_for(person).post(path, public).status_code == 403


def test_deleting_a_folder_takes_ones_own_chats_and_leaves_those_of_others(api_for, alice, bob, tree, share):
    share(tree["top"], bob, "write")
    mine = Chat.objects.create(owner=alice, folder=tree["bottom"])
    theirs = Chat.objects.create(owner=bob, folder=tree["bottom"])
    assert api_for(alice).delete(f"{PATH}{tree['top'].pk}").json() is True
    assert names(Folder.objects.all()) == {"beside"}
    assert not Chat.objects.filter(pk=mine.pk).exists()
    theirs.refresh_from_db()
    assert theirs.folder is None
    assert AuditEvent.objects.get(action="folder.deleted").detail == {"folders": 3, "chats": [str(mine.pk)]}


def test_without_the_permission_no_chat_is_deleted_with_its_folder(api_for, alice, tree, set_config):
    set_config("user.permissions", {"chat": {"delete": False}})
    chat = Chat.objects.create(owner=alice, folder=tree["bottom"])
    path = f"{PATH}{tree['top'].pk}"
    assert api_for(alice).delete(path).status_code == 403
    assert Folder.objects.count() == 4
    assert api_for(alice).delete(f"{path}?delete_contents=false").json() is True
    chat.refresh_from_db()
    assert chat.folder is None


def test_switched_off_or_not_permitted_is_403(api_for, alice, set_config):
    set_config("user.permissions", {"features": {"folders": False}})
    assert api_for(alice).get(PATH).status_code == 403
    set_config("user.permissions", {"features": {"folders": True}})
    set_config("ui.enable_folders", False)
    assert api_for(alice).post(PATH, {"name": "x"}).status_code == 403
