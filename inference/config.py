"""Stored settings of this app: which model servers there are."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from owui import env
from owui.config.registry import Section, setting


def _urls(many: str, *singles: str, default: str) -> list[str]:
    """The `;` list, else the single address, else the field's default. An empty text counts as unset."""
    if text := env.raw(many):
        return [u.strip().rstrip("/") for u in text.split(";") if u.strip()]
    for name in singles:
        if text := env.raw(name):
            url = text.strip().rstrip("/")
            return [url.removesuffix("/api") if name == "OLLAMA_API_BASE_URL" else url]
    return [default]


class OpenAIConfig(Section, prefix="openai"):
    """OpenAI-compatible servers: vLLM, llama.cpp and the like."""

    enable: bool = setting(True, env="ENABLE_OPENAI_API", label=_("Use OpenAI-compatible servers"), stored=True)
    api_base_urls: list[str] = setting(
        ["https://api.openai.com/v1"],
        env="OPENAI_API_BASE_URLS",
        separator=";",
        seed=lambda: _urls("OPENAI_API_BASE_URLS", "OPENAI_API_BASE_URL", default="https://api.openai.com/v1"),
        label=_("Addresses"),
        help=_("One address a line; keys belong to the address in the same place."),
        stored=True,
    )
    api_keys: list[str] = setting(
        [],
        env="OPENAI_API_KEYS",
        separator=";",
        seed=lambda: (env.raw("OPENAI_API_KEYS") or env.raw("OPENAI_API_KEY") or "").split(";"),
        label=_("Keys"),
        secret=True,
        belongs_to="api_base_urls",
        stored=True,
    )
    # Secret: headers hold credentials, and the audit log keeps what it is told for good.
    api_configs: dict[str, Any] = setting(
        {},
        env="OPENAI_API_CONFIGS",
        label=_("Options per address"),
        help=_("By index or address, as JSON: enable, prefix_id, model_ids, tags, headers, auth_type, provider."),
        secret=True,
        belongs_to="api_base_urls",
        stored=True,
    )


class OllamaConfig(Section, prefix="ollama"):
    """Ollama servers."""

    enable: bool = setting(True, env="ENABLE_OLLAMA_API", label=_("Use Ollama servers"), stored=True)
    base_urls: list[str] = setting(
        ["http://localhost:11434"],
        env="OLLAMA_BASE_URLS",
        separator=";",
        seed=lambda: _urls(
            "OLLAMA_BASE_URLS", "OLLAMA_BASE_URL", "OLLAMA_API_BASE_URL", default="http://localhost:11434"
        ),
        label=_("Addresses"),
        stored=True,
    )
    api_configs: dict[str, Any] = setting(
        {},
        env="OLLAMA_API_CONFIGS",
        label=_("Options per address"),
        help=_("By index or address, as JSON: enable, key, prefix_id, model_ids, tags, headers, auth_type."),
        secret=True,
        belongs_to="base_urls",
        stored=True,
    )


class CatalogueConfig(Section, prefix="models", label=_("Lists of models")):
    """How long the lists of the servers are trusted."""

    cache_ttl: int = setting(
        1,
        env="MODELS_CACHE_TTL",
        label=_("Seconds between two looks at the servers"),
        help=_("An older list is still given at once, and a new one asked for meanwhile."),
        minimum=0,
    )
    base_models_cache: bool = setting(
        False,
        env="ENABLE_BASE_MODELS_CACHE",
        label=_("Keep the lists until somebody asks for new ones"),
        help=_("For servers that are slow to list their models."),
    )


class AnswerConfig(Section, prefix="answers", label=_("Answers of models")):
    """How much one answer may be. How long it may take: AIOHTTP_CLIENT_TIMEOUT."""

    max_chars: int = setting(
        1_000_000,
        env="CHAT_MAX_ANSWER_CHARS",
        label=_("Longest answer"),
        help=_("Characters, thoughts included, after which a model that does not end by itself is ended; 0: no limit."),
        stored=True,
        minimum=0,
    )


class ToolServerConfig(Section, prefix="tool_server", label=_("Tool servers")):
    """Tool servers that the environment brings. What is connected now are rows: `inference.tool_servers`."""

    connections: list[dict[str, Any]] = setting(
        [],
        env="TOOL_SERVER_CONNECTIONS",
        label=_("Tool servers in the environment"),
        help=_("JSON list; taken over at the first start, or at each start with ENABLE_PERSISTENT_CONFIG=False."),
        secret=True,
        stored=False,
    )
    is_taken: bool = setting(
        False,
        label=_("The list is taken over"),
        help=_("Off: the list in the environment replaces the connected tool servers at the next start."),
    )


class TerminalServerConfig(Section, prefix="terminal_server", label=_("Terminals")):
    """Terminals that the environment brings."""

    connections: list[dict[str, Any]] = setting(
        [],
        env="TERMINAL_SERVER_CONNECTIONS",
        label=_("Terminals in the environment"),
        help=_("JSON list; taken over at the first start, or at each start with ENABLE_PERSISTENT_CONFIG=False."),
        secret=True,
        stored=False,
    )
    default_access: str = setting(
        "admin",
        env="TERMINAL_DEFAULT_ACCESS",
        label=_("Who may use terminals of the environment"),
        help=_("all or admin; counts for entries that say nothing about access."),
        stored=False,
    )
    is_taken: bool = setting(
        False,
        label=_("The list is taken over"),
        help=_("Off: the list in the environment replaces the connected terminals at the next start."),
    )
