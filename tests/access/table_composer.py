"""What the composer offers while one types: each person's own view; texts of prompts by the right to read them."""

from __future__ import annotations

from tests.access.rows import Row, World, thing
from tests.access.table_accounts import page
from tests.access.table_chat import own_page


@thing("prompt_kind")
def _kind(world: World) -> str:
    return "prompt"


ROWS = [
    page("GET", "/c/pick/{kind}?q=sum", fill={"kind": "prompt_kind"}),
    Row(
        "GET",
        "/c/pick/{kind}/{pk}",
        fill={"kind": "prompt_kind", "pk": "prompt_id"},
        out=302,
        pending=302,
        outsider=404,
        reader=200,
        writer=200,
        owner=200,
    ),
    # No model server runs here.
    page("GET", "/c/sees?model=none", 404, live=True),
    page("GET", "/c/suggestions?model=none"),
    page("POST", "/c/web", 400, data={"url": "nothing"}, live=True),
    Row(
        "GET",
        "/c/files/{document_id}",
        fill={"document_id": "file_id"},
        out=302,
        pending=302,
        outsider=404,
        reader=200,
        writer=200,
        owner=200,
    ),
    # Two messages are too few to summarise.
    own_page("POST", "/c/{chat_id}/compact", 400, live=True),
    own_page("POST", "/c/{chat_id}/fork", 302),
    own_page("GET", "/c/{chat_id}/status", live=True),
    own_page("POST", "/c/{chat_id}/messages/{message_id}/whole"),
    own_page("GET", "/c/{chat_id}/messages/{message_id}/pictures/{number}", 404),
]
