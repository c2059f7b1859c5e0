"""Where an address leads, without asking anybody; and files of git."""

from __future__ import annotations

from pathlib import Path

import pytest

from owui.security.addresses import Reach, reach, shown
from owui.security.files import is_in_git


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://localhost:11434", Reach.LOCAL),
        ("http://127.0.0.1:8000/v1", Reach.LOCAL),
        ("http://[::1]:8000", Reach.LOCAL),
        ("/run/postgresql", Reach.LOCAL),
        ("unix:///run/redis.sock", Reach.LOCAL),
        ("redis://:secret@10.1.2.3:6379/0", Reach.PRIVATE),
        ("https://192.168.1.5", Reach.PRIVATE),
        ("http://100.64.0.9", Reach.PRIVATE),
        ("http://[fd00::12]:8000", Reach.PRIVATE),
        ("http://[fe80::1%25eth0]", Reach.PRIVATE),
        ("http://vllm:8000/v1", Reach.PRIVATE),
        ("https://vllm.internal./v1", Reach.PRIVATE),
        ("http://vllm.ai.svc.cluster.local", Reach.PRIVATE),
        ("db.home.arpa", Reach.PRIVATE),
        ("https://8.8.8.8/v1", Reach.PUBLIC),
        ("http://[::ffff:8.8.8.8]", Reach.PUBLIC),
        ("https://[2606:4700::1111]", Reach.PUBLIC),
        ("https://api.openai.com/v1", Reach.PUBLIC),
        ("https://MYHOUSE.openai.azure.com", Reach.PUBLIC),
        ("https://llm.example.org/v1", Reach.UNCERTAIN),
        ("https://notopenai.com", Reach.UNCERTAIN),
        ("https://localhost.example.org", Reach.UNCERTAIN),
        ("http://134744072/", Reach.UNCERTAIN),
        ("http://0x08080808/", Reach.UNCERTAIN),
        ("http://[broken", Reach.UNCERTAIN),
    ],
)
def test_an_address_is_placed(url: str, where: Reach) -> None:
    assert reach(url) is where


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://user:pw@host.example:8443/path?key=x#y", "https://host.example:8443"),
        ("http://[fd00::12]:8000/v1", "http://[fd00::12]:8000"),
        ("http://host:port/", "?"),
    ],
)
def test_only_scheme_host_and_port_are_shown(url: str, text: str) -> None:
    assert shown(url) == text


def test_an_index_that_cannot_be_read_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1")
    assert is_in_git(path) is False
    (tmp_path / ".git").mkdir()
    assert is_in_git(path) is False, "a repository without an index tracks nothing"
    (tmp_path / ".git" / "index").write_bytes(b"DIRC" + (4).to_bytes(4, "big") + bytes(100))
    assert is_in_git(path) is None, "version 4 compresses its paths"
