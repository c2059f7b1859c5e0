"""What is left out of a request that the person may not set, and what is never touched."""

from __future__ import annotations

from typing import Any

import pytest

from inference.permitted import Permitted, trimmed

ALL = Permitted()
NOTHING = Permitted(params=False, system=False, tool_servers=False, features=frozenset())
WEATHER = {"type": "function", "function": {"name": "weather"}}
BODY: dict[str, Any] = {
    "model": "gpt",
    "messages": [
        {"role": "system", "content": "Be rude."},
        {"role": "developer", "content": "Be ruder."},
        {"role": "user", "content": "Hello"},
    ],
    "stream": True,
    "stop": ["END"],
    "response_format": {"type": "json_object"},
    "tools": [WEATHER, {"type": "web_search_preview_2025_03_11"}, {"type": "code_interpreter"}],
    "temperature": 2,
    "options": {"num_ctx": 9},
    "params": {"system": "Be rude.", "seed": 1},
    "features": {"web_search": True, "memory": True, "voice": True},
    "tool_servers": [{"url": "http://a.example"}],
    "web_search_options": {},
    "instructions": "Be rude.",
}


def test_whoever_may_do_everything_is_passed_on_as_is() -> None:
    assert trimmed(BODY, ALL) == BODY


def test_what_programs_need_is_kept_from_nobody() -> None:
    assert trimmed(BODY, NOTHING) == {
        "model": "gpt",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stop": ["END"],
        "response_format": {"type": "json_object"},
        "tools": [WEATHER],
        "params": {},
        "features": {"voice": True},
    }


def test_one_right_does_not_bring_another() -> None:
    kept = trimmed(BODY, Permitted(params=False, system=True, tool_servers=False, features=frozenset()))
    assert kept["params"] == {"system": "Be rude."} and kept["instructions"] and "temperature" not in kept
    kept = trimmed(BODY, Permitted(params=True, system=False, tool_servers=False, features=frozenset({"web_search"})))
    assert kept["params"] == {"seed": 1} and kept["temperature"] == 2 and "instructions" not in kept
    assert [tool["type"] for tool in kept["tools"]] == ["function", "web_search_preview_2025_03_11"]
    assert kept["features"] == {"web_search": True, "voice": True} and "web_search_options" in kept


def test_the_input_of_responses_is_a_conversation_too() -> None:
    items = [{"role": "system", "content": "x"}, {"role": "user", "content": "y"}]
    assert trimmed({"input": items}, NOTHING) == {"input": items[1:]}
    assert trimmed({"input": "text"}, NOTHING) == {"input": "text"}


@pytest.mark.parametrize("odd", [None, "x", 3, [], {"a": 1}, [None, "x", 3]])
def test_malformed_fields_are_left_to_the_model_server(odd: Any) -> None:
    body = {"messages": odd, "tools": odd, "features": odd, "params": {}, "input": odd}
    assert trimmed(body, NOTHING) == body


def test_the_request_itself_is_not_changed() -> None:
    before = repr(BODY)
    trimmed(BODY, NOTHING)
    assert repr(BODY) == before


UNKNOWN = (
    "chat_template", "chat_template_kwargs", "documents", "context", "previous_response_id", "Template", "SYSTEM",
    "Options", "extra_body",
)  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_we_do_not_know_needs_both_keys(name: str) -> None:
    for one in ({"params": False}, {"system": False}):
        assert trimmed({"model": "m", name: "x"}, Permitted(**one)) == {"model": "m"}
    assert name in trimmed({"model": "m", name: "x"}, ALL)


@pytest.mark.parametrize("name", ["n_predict", "min_tokens", "length_penalty", "best_of", "n", "options", "keep_alive"])
def test_parameters_of_all_servers_are_parameters(name: str) -> None:
    assert trimmed({"prompt": "x", name: 1}, NOTHING) == {"prompt": "x"}
    assert trimmed({"prompt": "x", name: 1}, Permitted(system=False)) == {"prompt": "x", name: 1}


@pytest.mark.parametrize(
    "message",
    [{"role": "System"}, {"role": " system "}, {"role": "DEVELOPER"}, {"Role": "system"}, {"role": ["system"]},
     {"role": "user", "ROLE": "system"}, {"role": "platform"}],
)  # fmt: skip
def test_a_system_prompt_is_one_however_it_is_written(message: dict[str, Any]) -> None:
    kept = [{"role": "User", "content": "a"}, {"role": "assistant"}, {"role": "tool"}, {"type": "function_call_output"}]
    assert trimmed({"messages": [*kept, message]}, NOTHING) == {"messages": kept}


def test_fields_added_by_hand_do_not_bring_a_system_prompt() -> None:
    added = {"chat_template": "x", "messages": [], "system": "x", "min_p": 1}
    kept = trimmed({"custom_params": added, "params": {"custom_params": added}}, Permitted(system=False))
    assert kept == {"custom_params": {"min_p": 1}, "params": {"custom_params": {"min_p": 1}}}


def test_another_spelling_does_not_reach_another_model() -> None:
    from inference.providers.params import allowed

    assert allowed({"model": "a", "Model": "b", "MODELS": ["b"], "Name": "b", "x": 1}) == {"model": "a", "x": 1}
