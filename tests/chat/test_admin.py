"""Governance of chats without their words."""

from __future__ import annotations

import pytest

from chat.models import Chat, Message

pytestmark = pytest.mark.django_db


def test_neither_page_nor_filter_tells_a_title(client_for, dana, alice):
    chat = Chat.objects.create(owner=alice, title="Lay-offs in March")
    Message.objects.create(chat=chat, author="user", content="Who is on the list?")
    client, path = client_for(dana), "/admin/chat/chat/"
    for page in (
        path,
        f"{path}{chat.pk}/change/",
        f"{path}{chat.pk}/history/",
        f"/admin/accounts/user/{alice.pk}/delete/",
    ):
        answer = client.get(page)
        assert answer.status_code == 200, page
        assert b"March" not in answer.content and b"on the list" not in answer.content, page
    for lookup in ("title__startswith=L", "messages__content__contains=list", "params__x=1"):
        assert client.get(f"{path}?{lookup}").status_code == 400, lookup
    assert client.get(f"{path}?archived__exact=0").status_code == 200
