"""What is sent to the model."""

from __future__ import annotations

from chat.engine.prompt import build_messages, last_question, system_prompt

HISTORY = [
    {"role": "user", "content": "First?"},
    {"role": "assistant", "content": "Answer."},
    {"role": "user", "content": "Second?"},
]


def test_the_models_prompt_wins_over_the_chats_and_that_over_the_persons() -> None:
    assert system_prompt(model="M", chat="C", user="U") == "M"
    assert system_prompt(chat="C", user="U") == "C"
    assert system_prompt(user="U") == "U"
    assert system_prompt() == ""


def test_a_folders_prompt_goes_in_front() -> None:
    assert system_prompt(folder="F", model="M") == "F\n\nM"


def test_context_stands_with_the_last_question() -> None:
    messages = build_messages(HISTORY, system="S", context="CTX")
    assert messages[0] == {"role": "system", "content": "S"}
    assert messages[-1]["content"] == "CTX\n\nSecond?"
    assert messages[1]["content"] == "First?"
    assert HISTORY[-1]["content"] == "Second?", "the history itself is left alone"


def test_context_in_the_system_message_when_asked() -> None:
    messages = build_messages(HISTORY, system="S", context="CTX", context_in_system=True)
    assert messages[0] == {"role": "system", "content": "S\n\nCTX"}
    assert messages[-1] == HISTORY[-1]


def test_a_callers_system_message_stays_behind_ours() -> None:
    messages = build_messages([{"role": "system", "content": "theirs"}, *HISTORY], system="ours")
    assert messages[0] == {"role": "system", "content": "ours\n\ntheirs"}
    assert len(messages) == 4


def test_parts_are_understood() -> None:
    parts = [
        {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "x"}}]}
    ]
    assert last_question(parts) == "See"
    assert build_messages(parts, context="CTX")[0]["content"][0] == {"type": "text", "text": "CTX"}
