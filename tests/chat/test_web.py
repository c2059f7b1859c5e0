"""Web pages that are attached, and files as they go to the model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from knowledge.models import Document
from knowledge.web import _filename, check_host
from owui.lib.aio import in_thread
from owui.lib.errors import UserError
from tests.chat.helpers import ask
from tests.chat.test_views import browser
from tests.conftest import token_for
from tests.factories.knowledge import make_document

live = pytest.mark.django_db(transaction=True)
PAGE = b"<!doctype html><html><title>Cleaning &amp; drying</title><body><h1>Mixers</h1><p>With water.</p></body></html>"


@pytest.fixture
def site() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path == "/led-on" else 200)
            self.send_header("location", "/page")
            self.send_header("content-type", "image/png" if self.path == "/picture" else "text/html; charset=utf-8")
            self.send_header("content-length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@live
async def test_a_page_becomes_a_document_of_ones_own(
    process: Any, alice: Any, mallory: Any, site: str, set_config: Callable[..., None]
) -> None:
    page = browser(await in_thread(token_for)(alice))
    inside = await page.post("/c/web", {"url": f"{site}/page"})
    assert inside.status_code == 400 and "not lie inside this network" in inside.content.decode()
    assert not await in_thread(Document.objects.exists)()
    await in_thread(set_config)("rag.enable_local_web_fetch", True)
    for address in ("/led-on", "/picture"):
        assert (await page.post("/c/web", {"url": site + address})).status_code == 400
    found = await page.post("/c/web", {"url": f" {site}/page "})
    document = await in_thread(Document.objects.get)()
    assert document.filename == "Cleaning & drying.html" and document.owner_id == alice.pk
    assert document.meta["data"] == {"source": f"{site}/page"}
    html = found.content.decode()
    assert found.status_code == 200 and f'name="file" value="{document.pk}"' in html and "Cleaning &amp; drying" in html
    assert (await page.get(f"/c/files/{document.pk}")).status_code == 200
    other = browser(await in_thread(token_for)(mallory))
    assert (await other.get(f"/c/files/{document.pk}")).status_code == 404
    await in_thread(set_config)("rag.web_fetch_filter_list", ["example.org"])
    shut = await page.post("/c/web", {"url": f"{site}/page"})
    assert shut.status_code == 400 and "does not allow" in shut.content.decode()
    for nothing in ("", "ftp://a.example/x", "javascript:alert(1)", "https://", "http://[", "https://youtu.be/x"):
        assert (await page.post("/c/web", {"url": nothing})).status_code == 400


def test_hosts_are_allowed_and_shut_out_with_what_is_below_them() -> None:
    check_host("a.example.org", [])
    check_host("a.example.org", ["example.org", "!b.example.org"])
    for host in ("b.example.org", "c.b.example.org", "badexample.org"):
        with pytest.raises(UserError):
            check_host(host, ["example.org", "!b.example.org"])


def test_a_page_is_named_by_its_title_or_address() -> None:
    assert _filename("https://a.example/x/report.pdf", b"%PDF", "application/pdf") == "report.pdf"
    assert _filename("https://a.example/", b"<title> a/b\n\x00c </title>", "text/html") == "a b c.html"
    assert _filename("https://a.example/", b"plain", "text/plain") == "a.example.txt"


@pytest.mark.django_db
def test_an_address_is_offered_to_who_may_attach_it(client_for, alice, set_config):
    client = client_for(alice)
    offered = client.get("/c/pick/knowledge", {"q": 'https://a.example/"><script>'}).content.decode()
    assert 'data-web="https://a.example/&quot;&gt;&lt;script&gt;"' in offered
    assert "#https://" in client.get("/c/pick/knowledge").content.decode()
    set_config("user.permissions", {"chat": {"web_upload": False}})
    assert "You may not attach web pages" in client.get("/c/pick/knowledge?q=https://a.example").content.decode()
    assert "#https://" not in client.get("/c/pick/knowledge").content.decode()


@pytest.mark.django_db
def test_a_file_goes_whole_where_that_is_wished(client_for, alice):
    document = make_document(alice)
    started = ask(alice, file_ids=[str(document.pk)], whole_ids=[str(document.pk)])
    assert [(i["type"], i["context"]) for i in started.items] == [("file", "full")]
    assert "context" not in ask(alice, file_ids=[str(document.pk)]).items[0]
    html = client_for(alice).get(f"/c/{started.chat.pk}").content.decode()
    assert f"/c/files/{document.pk}" in html and "Whole" in html
