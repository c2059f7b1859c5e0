"""Connections as they are configured now: which servers there are, and how the models of each are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from inference.config import AnswerConfig, CatalogueConfig, OllamaConfig, OpenAIConfig
from inference.providers.base import ConnectionInfo

MIN_TTL = 1


@dataclass(frozen=True, slots=True)
class Connection:
    """One server. `index` is its place in the list of its kind, the field's `urlIdx`."""

    kind: str
    index: int
    info: ConnectionInfo
    prefix: str
    tags: tuple[dict[str, Any], ...]
    connection_type: str

    def shown_id(self, upstream_id: str) -> str:
        """The id people see: `prefix.id` where the connection has a prefix."""
        return f"{self.prefix}.{upstream_id}" if self.prefix else upstream_id


@dataclass(frozen=True, slots=True)
class Setup:
    """All settings that decide about connections, as they were at one moment."""

    openai: OpenAIConfig
    ollama: OllamaConfig
    ttl: int
    is_kept: bool
    answer_chars: int = 0

    def connections(self) -> list[Connection]:
        """The servers in use, OpenAI-compatible ones first."""
        found: list[Connection] = []
        if self.openai.enable:
            found += (c for i in range(len(self.openai.api_base_urls)) if (c := self.connection("openai", i)))
        if self.ollama.enable:
            found += (c for i in range(len(self.ollama.base_urls)) if (c := self.connection("ollama", i)))
        return found

    def connection(self, kind: str, index: int) -> Connection | None:
        """One server by its place; None when there is none, or it is switched off."""
        urls = self.openai.api_base_urls if kind == "openai" else self.ollama.base_urls
        if not 0 <= index < len(urls) or not urls[index].strip():
            return None
        url = urls[index].strip().rstrip("/")
        configs = self.openai.api_configs if kind == "openai" else self.ollama.api_configs
        options = options_for(configs, index, url)
        if options.get("enable") is False:
            return None
        keys = self.openai.api_keys if kind == "openai" else ()
        key = keys[index] if index < len(keys) else str(options.get("key") or "")
        if _is_hopeless(url, key, options):
            return None
        return Connection(
            kind=kind,
            index=index,
            info=connection_info(kind, url, key, options, answer_chars=self.answer_chars),
            prefix=str(options.get("prefix_id") or ""),
            tags=_tags(options.get("tags")),
            connection_type=str(options.get("connection_type") or ("external" if kind == "openai" else "local")),
        )


def load_setup() -> Setup:
    """The settings of now. Sync; async code hops."""
    catalogue = CatalogueConfig.load()
    return Setup(
        OpenAIConfig.load(),
        OllamaConfig.load(),
        max(MIN_TTL, catalogue.cache_ttl),
        catalogue.base_models_cache,
        AnswerConfig.load().max_chars,
    )


def connection_info(
    kind: str, url: str, key: str, options: Mapping[str, Any], *, answer_chars: int = 0
) -> ConnectionInfo:
    """What a provider needs to reach a server."""
    boot = settings.BOOT
    headers = options.get("headers")
    clean = {**options, "headers": headers if isinstance(headers, dict) else {}}
    return ConnectionInfo(
        kind=kind,
        base_url=url,
        api_key=key.strip(),
        config=clean,
        idle_timeout=boot.aiohttp_client_stream_idle_timeout,
        total_timeout=boot.aiohttp_client_timeout,
        answer_chars=answer_chars,
    )


def options_for(configs: Mapping[str, Any], index: int, url: str) -> dict[str, Any]:
    """The options of one connection: by its place, else by its address (older clients)."""
    for name in (str(index), url, f"{url}/"):
        options = configs.get(name)
        if isinstance(options, dict):
            return options
    return {}


def _is_hopeless(url: str, key: str, options: Mapping[str, Any]) -> bool:
    """OpenAI's own address without a key is only the field's default: a node without a way out must not try it."""
    if urlsplit(url).hostname != "api.openai.com" or key.strip():
        return False
    return not options.get("headers")


def _tags(value: Any) -> tuple[dict[str, Any], ...]:
    tags: Sequence[Any] = value if isinstance(value, list) else ()
    return tuple(tag if isinstance(tag, dict) else {"name": str(tag)} for tag in tags)
