"""The field's settings objects of `/retrieval/config` and `/retrieval/embedding`, from and to our setting names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knowledge.config import RagConfig
from owui.config.registry import InvalidSetting
from owui.lib.errors import UserError
from owui.lib.masks import MASK, masked

_CONFIG = {
    "RAG_TEMPLATE": "template",
    "TOP_K": "top_k",
    "BYPASS_EMBEDDING_AND_RETRIEVAL": "bypass_embedding_and_retrieval",
    "RAG_FULL_CONTEXT": "full_context",
    "ENABLE_RAG_HYBRID_SEARCH": "enable_hybrid_search",
    "TOP_K_RERANKER": "top_k_reranker",
    "RELEVANCE_THRESHOLD": "relevance_threshold",
    "HYBRID_BM25_WEIGHT": "hybrid_bm25_weight",
    "RAG_RERANKING_ENGINE": "reranking_engine",
    "RAG_RERANKING_MODEL": "reranking_model",
    "RAG_RERANKING_BATCH_SIZE": "reranking_batch_size",
    "RAG_EXTERNAL_RERANKER_URL": "external_reranker_url",
    "RAG_EXTERNAL_RERANKER_API_KEY": "external_reranker_api_key",
    "RAG_EXTERNAL_RERANKER_TIMEOUT": "external_reranker_timeout",
    "TEXT_SPLITTER": "text_splitter",
    "CHUNK_SIZE": "chunk_size",
    "CHUNK_OVERLAP": "chunk_overlap",
    "CHUNK_MIN_SIZE_TARGET": "chunk_min_size_target",
    "ENABLE_MARKDOWN_HEADER_TEXT_SPLITTER": "enable_markdown_header_text_splitter",
    "FILE_MAX_SIZE": "file_max_size",
    "FILE_MAX_COUNT": "file_max_count",
    "FILE_IMAGE_COMPRESSION_WIDTH": "file_image_compression_width",
    "FILE_IMAGE_COMPRESSION_HEIGHT": "file_image_compression_height",
    "ALLOWED_FILE_EXTENSIONS": "allowed_file_extensions",
}
_EMBEDDING = {
    "RAG_EMBEDDING_ENGINE": "embedding_engine",
    "RAG_EMBEDDING_MODEL": "embedding_model",
    "RAG_EMBEDDING_BATCH_SIZE": "embedding_batch_size",
    "ENABLE_ASYNC_EMBEDDING": "enable_async_embedding",
    "RAG_EMBEDDING_CONCURRENT_REQUESTS": "embedding_concurrent_requests",
}
_SERVERS = {
    "openai_config": {"url": "openai_api_base_url", "key": "openai_api_key"},
    "ollama_config": {"url": "ollama_base_url", "key": "ollama_api_key"},
}
# Names of the field that stand for what this release does not have; sent back so that its clients find them.
_FIXED: dict[str, Any] = {
    "ENABLE_RAG_HYBRID_SEARCH_ENRICHED_TEXTS": True,
    "CONTENT_EXTRACTION_ENGINE": "",
    "PDF_EXTRACT_IMAGES": False,
    "PDF_LOADER_MODE": "page",
    "ENABLE_GOOGLE_DRIVE_INTEGRATION": False,
    "ENABLE_ONEDRIVE_INTEGRATION": False,
    "web": {"ENABLE_WEB_SEARCH": False, "WEB_SEARCH_ENGINE": ""},
}


_KEY = "RAG_EXTERNAL_RERANKER_API_KEY"
# "No limit" is null or an empty text with them, 0 with us.
_NO_LIMIT = ("FILE_MAX_SIZE", "FILE_MAX_COUNT", "FILE_IMAGE_COMPRESSION_WIDTH", "FILE_IMAGE_COMPRESSION_HEIGHT")


def config_json(config: RagConfig) -> dict[str, Any]:
    """The reranker's key is masked, like those of the embedding servers."""
    values = {theirs: getattr(config, ours) for theirs, ours in _CONFIG.items()}
    values |= masked({_KEY: values[_KEY]})
    return {"status": True, **_FIXED, **values} | {name: values[name] or None for name in _NO_LIMIT}


def embedding_json(config: RagConfig) -> dict[str, Any]:
    """The keys are masked: who may change where they are sent must not learn them."""
    servers = {
        name: masked({part: getattr(config, ours) for part, ours in fields.items()})
        for name, fields in _SERVERS.items()
    }
    return {"status": True, **{theirs: getattr(config, ours) for theirs, ours in _EMBEDDING.items()}, **servers}


def config_changes(form: Mapping[str, Any]) -> dict[str, Any]:
    """The settings to store; names we do not know are ignored, `null` means "as it was"."""
    given = {**form, **{name: form[name] or 0 for name in _NO_LIMIT if name in form}}
    if given.get(_KEY) == MASK:
        del given[_KEY]
    return _clean({ours: given[theirs] for theirs, ours in _CONFIG.items() if theirs in given})


def embedding_changes(form: Mapping[str, Any]) -> dict[str, Any]:
    changes = {ours: form[theirs] for theirs, ours in _EMBEDDING.items() if theirs in form}
    for name, fields in _SERVERS.items():
        given = form.get(name)
        if isinstance(given, Mapping):
            changes |= {ours: given[part] for part, ours in fields.items() if given.get(part, MASK) != MASK}
    return _clean(changes)


def _clean(changes: dict[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = {}
    for name, value in changes.items():
        if value is not None:
            try:
                cleaned[name] = RagConfig.settings[name].clean(value)
            except InvalidSetting as error:
                raise UserError(error.message, code="setting") from error
    return cleaned
