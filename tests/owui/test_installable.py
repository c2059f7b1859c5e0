"""The site as an application of a phone: its name, its pictures, and the one page that needs no server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

pytestmark = pytest.mark.django_db


def test_a_phone_can_install_it(client: Client) -> None:
    page = client.get("/offline").content.decode()
    address = re.search(r'<link rel="manifest" href="([^"]+)"', page)
    assert address is not None
    response = client.get(address[1])
    said = response.json()
    assert response["Content-Type"] == "application/manifest+json"
    assert said["name"] and said["start_url"] == said["scope"] == "/" and said["display"] == "standalone"
    sizes = {(icon["sizes"], icon["purpose"]) for icon in said["icons"]}
    assert sizes == {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")}
    for icon in said["icons"]:
        with open(finders.find(icon["src"].removeprefix("/static/")), "rb") as file:
            head = file.read(24)
        width, height = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
        assert head[:8] == b"\x89PNG\r\n\x1a\n" and f"{width}x{height}" == icon["sizes"]


def png(side: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + side.to_bytes(4, "big") * 2 + b"\0" * 20


def test_the_organisation_s_own_pictures_stand_in_the_place_of_ours(
    client: Client, boot: Any, tmp_path: Path, client_for: Any, alice: Any
) -> None:
    files = {"logo.png": png(600), "favicon.png": png(32), "web-app-manifest-192x192.png": png(192)}
    files |= {"favicon.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "apple-touch-icon.png": b"no picture"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "secret.txt").write_text("not a picture")
    boot(static_dir=str(tmp_path))
    icons = client.get("/manifest.json").json()["icons"]
    assert [(icon["src"], icon["sizes"]) for icon in icons] == [
        ("/brand/web-app-manifest-192x192.png", "192x192"),
        ("/brand/logo.png", "600x600"),
    ]
    for icon in icons:
        shown = client.get(icon["src"])
        assert shown.content == files[icon["src"].removeprefix("/brand/")] and shown["Content-Type"] == "image/png"
    assert "sandbox" in client.get("/brand/favicon.svg")["Content-Security-Policy"]
    for name in ("secret.txt", "apple-touch-icon.png", "web-app-manifest-512x512.png", "..%2fsecret.txt"):
        assert client.get(f"/brand/{name}").status_code == 404
    assert "/brand/logo.png" in client.get("/service-worker.js").content.decode(), "the offline page has it too"
    for page in (client.get("/auth"), client_for(alice).get("/")):
        html = page.content.decode()
        assert 'rel="icon" href="/brand/favicon.svg"' in html and 'class="logo own" src="/brand/logo.png"' in html
        assert re.search(r'rel="apple-touch-icon"\s+href="/brand/web-app-manifest-192x192.png"', html)


def test_the_worker_keeps_the_offline_page_and_nothing_of_a_person(client: Client, alice, client_for) -> None:
    response = client.get("/service-worker.js")
    worker = response.content.decode()
    assert response["Content-Type"].startswith("text/javascript") and response["Cache-Control"] == "no-cache"
    assert 'PAGE = "/offline"' in worker and worker.count("cache.addAll") == 1 and "cache.put" not in worker
    # Everything that the page needs is kept with it, and it is the same for everybody.
    page = client.get("/offline").content.decode()
    for address in re.findall(r'<(?:link rel="stylesheet"|script)[^>]*?(?:href|src)="(/static/[^"]+)"', page):
        assert address.replace("-", "\\u002D") in worker or address in worker, address
    assert alice.email not in client_for(alice).get("/offline").content.decode()
    assert client_for(alice).get("/service-worker.js").content.decode() == worker


def test_a_page_that_is_not_found_speaks_to_people(client_for: Any, alice: Any) -> None:
    """The field's text for programs ("… looking for :/") is no sentence for a page."""
    client = client_for(alice)
    for where, headers in (("/nothing/", {}), ("/workspace/knowledge/00000000-0000-0000-0000-000000000000", {})):
        answer = client.get(where, headers=headers)
        assert answer.status_code == 404
        assert "it may not be shared with you" in answer.content.decode()
    toast = client.get("/workspace/knowledge/00000000-0000-0000-0000-000000000000", headers={"HX-Request": "true"})
    assert toast.status_code == 404 and "it may not be shared with you" in toast.content.decode()
