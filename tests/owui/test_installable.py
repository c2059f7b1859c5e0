"""The site as an application of a phone: its name, its pictures, and the one page that needs no server."""

from __future__ import annotations

import re

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
