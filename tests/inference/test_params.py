"""The product's parameters on their way to both kinds of servers."""

from __future__ import annotations

from typing import Any

import pytest

from inference.providers import ollama, openai
from inference.providers.base import ChatRequest, ConnectionInfo
from inference.providers.params import cleaned

MESSAGES = [{"role": "user", "content": "Hi"}]


def to_openai(params: dict[str, Any], *, provider: str = "", **more: Any) -> dict[str, Any]:
    connection = ConnectionInfo("openai", "http://x/v1", config={"provider": provider})
    return openai.chat_body(connection, ChatRequest("m", MESSAGES, cleaned(params), **more))


def to_ollama(params: dict[str, Any], **more: Any) -> dict[str, Any]:
    return ollama.chat_body(ConnectionInfo("ollama", "http://x"), ChatRequest("m", MESSAGES, cleaned(params), **more))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"temperature": "0.7", "max_tokens": "200"}, {"temperature": 0.7, "max_tokens": 200}),
        ({"temperature": "", "seed": None}, {}),
        ({"stop": "END,\\n\\n"}, {"stop": ["END", "\n\n"]}),
        ({"stop": ["a,b", "ü\\t"]}, {"stop": ["a,b", "ü\t"]}),
        ({"logit_bias": "5432:100, 413:-200"}, {"logit_bias": {"5432": 100.0, "413": -100.0}}),
        ({"logit_bias": '{"7": 1}'}, {"logit_bias": {"7": 1}}),
        ({"logit_bias": "nonsense"}, {"logit_bias": "nonsense"}),
        ({"keep_alive": "-1"}, {"keep_alive": -1}),
        ({"keep_alive": "10m"}, {"keep_alive": "10m"}),
        ({"think": "true"}, {"think": True}),
        ({"think": "high"}, {"think": "high"}),
        ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
    ],
)
def test_text_of_forms_becomes_what_servers_take(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert cleaned(given) == wanted


def test_openai_gets_its_own_fields_only() -> None:
    body = to_openai({
        "temperature": 0.5, "top_k": 40, "max_tokens": 9, "stop": "X", "logit_bias": "1:2", "num_ctx": 4096,
        "keep_alive": "5m", "reasoning_effort": "high", "custom_params": {"my_field": "[1, 2]", "model": "other"},
    })  # fmt: skip
    assert {"temperature": 0.5, "top_k": 40, "max_tokens": 9, "stop": ["X"], "logit_bias": {"1": 2.0}}.items() <= (
        body.items()
    )
    assert (body["reasoning_effort"], body["my_field"], body["model"]) == ("high", [1, 2], "m")
    assert not {"num_ctx", "keep_alive", "custom_params", "think"} & set(body)


def test_ollama_gets_options_and_top_fields() -> None:
    body = to_ollama({
        "temperature": 0.5, "mirostat": "1", "max_tokens": 9, "stop": "X", "num_ctx": "4096", "use_mmap": "false",
        "keep_alive": "5m", "format": "json", "custom_params": {"num_thread": "4"},
    })  # fmt: skip
    assert body["options"] == {
        "temperature": 0.5, "mirostat": 1, "num_predict": 9, "stop": ["X"], "num_ctx": 4096, "use_mmap": False,
        "num_thread": 4,
    }  # fmt: skip
    assert (body["keep_alive"], body["format"]) == ("5m", "json")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"think": True}, True),
        ({"think": False, "reasoning_effort": "high"}, False),
        ({"reasoning_effort": "high"}, "high"),
        ({"reasoning_effort": "none"}, False),
    ],
)
def test_ollama_is_told_how_hard_to_think(given: dict[str, Any], wanted: Any) -> None:
    assert to_ollama(given)["think"] is wanted or to_ollama(given)["think"] == wanted


def test_openai_servers_are_told_whether_to_think_where_they_understand_it() -> None:
    assert to_openai({"think": False}, provider="vllm")["chat_template_kwargs"] == {"enable_thinking": False}
    assert to_openai({"think": False}, provider="llama.cpp")["chat_template_kwargs"] == {"enable_thinking": False}
    assert "chat_template_kwargs" not in to_openai({"think": False})
    assert to_openai({"think": "low"})["reasoning_effort"] == "low"


def test_vllm_has_a_word_of_its_own_for_repetition() -> None:
    assert to_openai({"repeat_penalty": 1.1}, provider="vllm")["repetition_penalty"] == 1.1
    assert to_openai({"repeat_penalty": 1.1})["repeat_penalty"] == 1.1


def test_ollama_understands_openais_way_to_ask_for_json() -> None:
    assert to_ollama({"response_format": {"type": "json_object"}})["format"] == "json"
    schema = {"type": "object"}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert to_ollama({"response_format": wanted})["format"] == schema


def test_an_answer_in_one_piece_is_asked_for_as_such() -> None:
    body = to_openai({}, stream=False)
    assert body["stream"] is False
    assert "stream_options" not in body
    assert to_ollama({}, stream=False)["stream"] is False


def test_tokens_are_counted_unless_the_server_is_not_to_be_asked() -> None:
    assert to_openai({})["stream_options"] == {"include_usage": True}
    assert "stream_options" not in to_openai({}, count=False)
