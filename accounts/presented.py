"""What somebody came in with, kept beside the person for as long as the request: for calls in their name."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Presented:
    """`method` is `jwt` or `api_key`; `provider_session` names the provider's tokens that belong to this browser."""

    method: str
    token: str = field(repr=False)
    provider_session: str = field(default="", repr=False)
    user_agent: str = ""
