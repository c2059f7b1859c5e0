"""The controls of a chat, its models and temporary chats: one's own, and nobody else learns that they are there."""

from __future__ import annotations

from tests.access.table_accounts import page
from tests.access.table_chat import own_page

_CHAT = "/c/{chat_id}"
ROWS = [
    page("GET", "/c/new/controls"),
    page("POST", "/c/new/controls", data={"system": "Be brief."}),
    own_page("GET", f"{_CHAT}/controls"),
    own_page("POST", f"{_CHAT}/controls", data={"system": "Be brief."}),
    # Nothing is attached to it.
    page("POST", f"{_CHAT}/controls/remove", 404, data={"type": "file", "id": "none"}),
    page("POST", "/c/models/pin", data={"id": "none"}),
    page("POST", "/c/models/default", 204, data={"model": "none"}),
    # No model server runs here: nobody has a model.
    page("POST", "/c/temporary/messages", 404, data={"text": "x", "model": "none"}, live=True),
    page("POST", "/c/temporary/save", 400, data={"messages": "[]"}),
    # The message of the table is no answer of several models; who does not own it does not learn that.
    own_page("POST", f"{_CHAT}/messages/{{message_id}}/choose", 400),
]
