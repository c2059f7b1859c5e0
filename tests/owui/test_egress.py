"""No call reaches a cloud's metadata service, however its address is written; servers in the house are reached."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from owui.lib import http, outside
from owui.lib.egress import is_forbidden
from tests.fakes.model_server import FakeModelServer

THEIRS = [
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "[fd00:ec2::254]", "[fd20:ce::254]",
    "[::ffff:169.254.169.254]", "[2002:a9fe:a9fe::1]", "[64:ff9b::a9fe:a9fe]", "metadata.google.internal",
    "Metadata.Google.Internal.", "metadata",
]  # fmt: skip
ODD = ["2852039166", "0xa9fea9fe", "169.254.43518", "0251.0376.0251.0376"]


HOUSE = ["127.0.0.1", "10.0.0.1", "192.168.1.9", "[::1]", "[fd12::1]", "ollama", "metadata.lab.example"]


@pytest.mark.parametrize("host", HOUSE)
def test_addresses_in_the_house_are_not_forbidden(host: str) -> None:
    assert not is_forbidden(host)


@pytest.mark.parametrize("host", THEIRS)
async def test_the_shared_client_asks_no_metadata_service(host: str) -> None:
    with pytest.raises(httpx.UnsupportedProtocol) as refused:
        await http.client().get(f"http://{host}/latest/meta-data/", timeout=2)
    assert http.fault_of(refused.value) is http.Fault.ADDRESS
    with pytest.raises(outside.Unreachable):
        await outside.fetch(f"http://{host}/", types=["text/plain"], largest=10, private_hosts=[host.strip("[]")])
    await http.close_client()


@pytest.mark.parametrize("host", [*ODD, "innocent.example"])
async def test_neither_an_odd_spelling_nor_a_name_leads_there(host: str, monkeypatch: Any) -> None:
    real = socket.getaddrinfo

    def resolve(name: Any, *arguments: Any, **more: Any) -> Any:
        return real("169.254.169.254" if name == "innocent.example" else name, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises((httpx.HTTPError, httpx.InvalidURL)) as refused:
        await http.client().get(f"http://{host}/", timeout=2)
    if host == "innocent.example":
        assert "never asked" in f"{refused.value} {refused.value.__cause__}"
    await http.close_client()


async def test_a_model_server_on_this_machine_is_asked() -> None:
    with FakeModelServer() as server:
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            assert (await http.client().get(f"{url}/api/version")).status_code == 200
    await http.close_client()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/openai/verify", {"url": "http://169.254.169.254/latest", "key": ""}, 502),
        ("/ollama/verify", {"url": "http://metadata.google.internal", "key": ""}, 502),
        ("/api/v1/configs/tool_servers/verify", {"url": "http://169.254.169.254", "path": "latest"}, 400),
        ("/api/v1/configs/terminal_servers/verify", {"url": "http://[fd00:ec2::254]"}, 400),
    ],
)
def test_administrators_cannot_try_one_out_either(api_for: Any, dana: Any, path: str, body: Any, status: int) -> None:
    assert api_for(dana).post(path, body).status_code == status
