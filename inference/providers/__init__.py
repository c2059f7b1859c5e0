"""Talking to inference servers: wire formats in, plain events out. Knows no Django."""

from inference.providers.base import Provider
from inference.providers.ollama import OllamaProvider
from inference.providers.openai import OpenAIProvider

_PROVIDERS: dict[str, Provider] = {"openai": OpenAIProvider(), "ollama": OllamaProvider()}


def get_provider(kind: str) -> Provider:
    """Give the provider for a connection's kind, `openai` or `ollama`; raises `ValueError` for any other."""
    try:
        return _PROVIDERS[kind]
    except KeyError:
        raise ValueError(f"There is no provider for connections of kind {kind!r}.") from None
