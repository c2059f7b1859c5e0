"""From stored settings to connections: pure, no database."""

from __future__ import annotations

from typing import Any

import pytest

from inference.config import OllamaConfig, OpenAIConfig
from inference.connections import Setup


def setup(**values: Any) -> Setup:
    openai = {"enable": True, "api_base_urls": [], "api_keys": [], "api_configs": {}} | values.pop("openai", {})
    ollama = {"enable": True, "base_urls": [], "api_configs": {}} | values.pop("ollama", {})
    return Setup(OpenAIConfig(**openai), OllamaConfig(**ollama), 1, False)


def test_keys_belong_to_the_address_in_the_same_place() -> None:
    found = setup(openai={"api_base_urls": ["http://a/v1", "http://b/v1/", "http://c/v1"], "api_keys": ["", "kb"]})
    assert [(c.info.base_url, c.info.api_key, c.index) for c in found.connections()] == [
        ("http://a/v1", "", 0),
        ("http://b/v1", "kb", 1),
        ("http://c/v1", "", 2),
    ]


@pytest.mark.parametrize("name", ["0", "http://a/v1", "http://a/v1/"])
def test_options_are_found_by_place_or_address(name: str) -> None:
    options = {"prefix_id": "vllm", "tags": [{"name": "gpu"}], "connection_type": "local", "headers": {"x-team": "1"}}
    (found,) = setup(openai={"api_base_urls": ["http://a/v1"], "api_configs": {name: options}}).connections()
    assert (found.prefix, found.tags, found.connection_type) == ("vllm", ({"name": "gpu"},), "local")
    assert found.shown_id("m") == "vllm.m"
    assert found.info.config["headers"] == {"x-team": "1"}


def test_disabled_connection_is_left_out_and_the_others_keep_their_place() -> None:
    found = setup(openai={"api_base_urls": ["http://a/v1", "http://b/v1"], "api_configs": {"0": {"enable": False}}})
    assert [c.index for c in found.connections()] == [1]


def test_openai_itself_is_not_asked_without_a_key() -> None:
    urls = ["https://api.openai.com/v1"]
    assert setup(openai={"api_base_urls": urls, "api_keys": [""]}).connections() == []
    assert len(setup(openai={"api_base_urls": urls, "api_keys": ["sk-1"]}).connections()) == 1


def test_switched_off_kind_has_no_connections() -> None:
    found = setup(openai={"enable": False, "api_base_urls": ["http://a/v1"]}, ollama={"base_urls": ["http://o"]})
    assert [c.kind for c in found.connections()] == ["ollama"]


def test_ollama_takes_its_key_from_the_options() -> None:
    (found,) = setup(ollama={"base_urls": ["http://o"], "api_configs": {"0": {"key": "ko"}}}).connections()
    assert (found.info.api_key, found.connection_type) == ("ko", "local")


@pytest.mark.parametrize("options", [None, [], "text", {"headers": "x", "tags": "y"}, {"tags": ["gpu"]}])
def test_options_of_a_wrong_shape_do_no_harm(options: Any) -> None:
    (found,) = setup(openai={"api_base_urls": ["http://a/v1"], "api_configs": {"0": options}}).connections()
    assert found.info.config.get("headers") == {}
