"""Making a conversation fit into what a model can read: the oldest turns go first, and the person is told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat.engine import tokens
from chat.engine.events import Status
from inference.limits import ContextLimit
from inference.providers.errors import ProviderError
from owui.lib.languages import number

Message = dict[str, Any]
ACTION = "context_trimmed"
#: tokens of a conversation that no model is too small for
SHORT = 700
#: room left for the answer where nobody said how long it may be
ANSWER = 2048
#: a number smaller than this is no context length
LEAST = 128
# How servers say that a prompt is too long: llama.cpp, vLLM and OpenAI, vLLM, SGLang, LiteLLM. At the beginning only:
# some errors repeat what was sent, and nobody's question may teach a limit to everybody.
_REFUSALS = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        r"(?:the )?request(?: \((?P<needed>\d+) tokens\))? exceeds the available context size "
        r"\((?P<limit>\d+) tokens\)",
        r"(?:'max_tokens' or 'max_completion_tokens' is too large: \d+\. )?(?:this|the) model's maximum context length "
        r"is (?P<limit>\d+) tokens(?:\D{1,60}(?P<needed>\d+) (?:input )?tokens)?",
        r"maximum context length is (?P<limit>\d+) tokens(?P<needed>)",
        r"the (?:decoder )?prompt \((?:total )?length (?P<needed>\d+)\) is longer than the maximum model length of "
        r"(?P<limit>\d+)",
        r"the input \((?P<needed>\d+) tokens\) is longer than the model's context length \((?P<limit>\d+) tokens\)",
        r"prompt is too long: (?P<needed>\d+) tokens > (?P<limit>\d+) maximum",
    )
)


class DoesNotFit(Exception):
    """Not even the last question fits; the text is for people."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The messages to send, how many were left out, and the guess of their tokens before correction."""

    messages: list[Message]
    left_out: int
    guessed: float


def budget_of(limit: int, params: Mapping[str, Any]) -> int:
    """Tokens that may be read, when those of the answer have their place."""
    wanted = next(
        (v for n in ("max_tokens", "max_completion_tokens", "num_predict") if isinstance(v := params.get(n), int)), 0
    )
    answer = wanted if wanted > 0 else min(ANSWER, limit // 4)
    return limit - min(answer, limit // 2)


def guess(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> float:
    return sum(map(tokens.of_message, messages)) + tokens.of_tools(tools)


def fit(
    messages: Sequence[Message],
    budget: int,
    *,
    correction: float = 1.0,
    tools: Sequence[Mapping[str, Any]] = (),
    has_passages: bool = False,
) -> Fitted:
    """System messages and the last turns that fit. A turn is a question with all that follows it, so that calls of
    tools and their results stay together.

    :raises DoesNotFit: when the last turn alone is too long
    """
    rest = [message for message in messages if message.get("role") != "system"]
    fixed = guess([message for message in messages if message.get("role") == "system"], tools)
    turns = _turns(rest)
    kept: list[list[Message]] = []
    total = fixed
    for turn in reversed(turns):
        size = guess(turn)
        if kept and (total + size) * correction > budget:
            break
        kept.append(turn)
        total += size
    if total * correction > budget:
        raise DoesNotFit(too_long(round(total * correction), budget, has_passages=has_passages))
    gone = {id(message) for turn in turns[: len(turns) - len(kept)] for message in turn}
    left_out = sum(1 for message in rest if id(message) in gone and message.get("role") in ("user", "assistant"))
    return Fitted([message for message in messages if id(message) not in gone], left_out, total)


def _turns(messages: Sequence[Message]) -> list[list[Message]]:
    turns: list[list[Message]] = []
    for message in messages:
        if message.get("role") == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def told(left_out: int) -> Status:
    """What the person reads above the answer."""
    text = ngettext(
        "The first message of this chat no longer fits into the model's memory and was left out.",
        "The first %(count)s messages of this chat no longer fit into the model's memory and were left out.",
        left_out,
    )
    return Status(ACTION, text % {"count": left_out}, True, extra={"count": left_out})


def too_long(have: int, budget: int, *, has_passages: bool = False) -> str:
    """Why nothing was sent to the model."""
    if has_passages:
        text = _(
            "Your question and what your documents hold about it are too long for this model: about %(have)s tokens, "
            "and it can read %(limit)s. Attach less, or choose a model with a larger context."
        )
    else:
        text = _(
            "Your question is too long for this model: about %(have)s tokens, and it can read %(limit)s. Shorten it, "
            "put the text into a document and attach it, or choose a model with a larger context."
        )
    return text % {"have": number(have), "limit": number(budget)}


def limit_in(error: ProviderError) -> tuple[int, int] | None:
    """The context length in a server's own words, and the tokens it counted (0 where it does not say); None when the
    words are about something else."""
    limit, needed = error.body.get("n_ctx"), error.body.get("n_prompt_tokens")
    if isinstance(limit, int) and isinstance(needed, int) and limit >= LEAST:
        return limit, needed  # llama.cpp
    if error.status == 429:
        return None
    refusal = str(getattr(error, "upstream", "")).replace(",", "")
    for pattern in _REFUSALS:
        found = pattern.match(refusal)
        if found is not None and int(found["limit"]) >= LEAST:
            return int(found["limit"]), int(found["needed"] or 0)
    return None


class Window:
    """One turn's messages on their way into a model's context."""

    def __init__(
        self,
        messages: list[Message],
        *,
        limit: ContextLimit | None,
        key: tokens.Key,
        params: Mapping[str, Any],
        tools: Sequence[Mapping[str, Any]] = (),
        has_passages: bool = False,
    ) -> None:
        self._messages, self._limit, self._key, self._params, self._tools = messages, limit, key, params, tools
        self._has_passages = has_passages
        self._sent = Fitted(messages, 0, guess(messages, tools))

    async def fit(self) -> Fitted:
        """What to send. Short conversations fit everywhere: no server is asked for them.

        :raises DoesNotFit: when the last turn alone is too long
        """
        if self._limit is None or (self._sent.guessed < SHORT and not self._params.get("num_ctx")):
            return self._sent
        limit = await self._limit.ask()
        if limit is not None:
            self._sent = fit(
                self._messages,
                budget_of(limit, self._params),
                correction=tokens.correction(self._key),
                tools=self._tools,
                has_passages=self._has_passages,
            )
        return self._sent

    def counted(self, prompt_tokens: int) -> None:
        """Takes in what the server counted."""
        if not tokens.has_images(self._sent.messages):
            tokens.learn(self._key, self._sent.guessed, prompt_tokens)

    async def after(self, error: ProviderError) -> Fitted | None:
        """What to send instead, after a server found the prompt too long; None when nothing can be left out."""
        told = limit_in(error)
        if self._limit is None or told is None:
            return None
        limit, needed = told
        self._limit.remember(limit)
        tokens.learn(self._key, self._sent.guessed, needed or round(limit * 1.05), exact=True)
        before = len(self._sent.messages)
        try:
            fitted = await self.fit()
        except DoesNotFit:
            return None
        return fitted if len(fitted.messages) < before else None
