"""Stored settings of this app: how documents are read, split, embedded and found."""

from __future__ import annotations

from typing import Literal

from django.utils.translation import gettext_lazy as _

from owui.config.registry import Section, setting


class RagConfig(Section, prefix="rag", label=_("Documents")):
    """Documents and retrieval. Chunking and embedding settings hold for new documents; older ones need a reindex."""

    embedding_engine: Literal["", "openai", "ollama"] = setting(
        "",
        env="RAG_EMBEDDING_ENGINE",
        label=_("Embedding engine"),
        help=_("Which kind of server turns text into vectors. Empty: none, documents cannot be searched."),
    )
    embedding_model: str = setting(
        "sentence-transformers/all-MiniLM-L6-v2",
        env="RAG_EMBEDDING_MODEL",
        label=_("Embedding model"),
        help=_("After a change run a reindex: vectors of two models cannot be compared."),
    )
    embedding_batch_size: int = setting(
        1,
        env="RAG_EMBEDDING_BATCH_SIZE",
        aliases=("RAG_EMBEDDING_OPENAI_BATCH_SIZE",),
        label=_("Texts per embedding request"),
        minimum=1,
        maximum=2048,
    )
    enable_async_embedding: bool = setting(
        True, env="ENABLE_ASYNC_EMBEDDING", label=_("Send embedding requests side by side")
    )
    embedding_concurrent_requests: int = setting(
        0,
        env="RAG_EMBEDDING_CONCURRENT_REQUESTS",
        label=_("Embedding requests at once"),
        help=_("0: four for each document."),
        minimum=0,
        maximum=256,
    )
    embedding_timeout: int = setting(
        300,
        env="RAG_EMBEDDING_TIMEOUT",
        label=_("Seconds one embedding request may take"),
        minimum=1,
    )
    embedding_query_prefix: str = setting("", env="RAG_EMBEDDING_QUERY_PREFIX", label=_("Put before a question"))
    embedding_content_prefix: str = setting("", env="RAG_EMBEDDING_CONTENT_PREFIX", label=_("Put before a text"))
    openai_api_base_url: str = setting(
        "https://api.openai.com/v1",
        env="RAG_OPENAI_API_BASE_URL",
        aliases=("OPENAI_API_BASE_URL",),
        label=_("Address of the OpenAI-compatible embedding server"),
    )
    openai_api_key: str = setting(
        "",
        env="RAG_OPENAI_API_KEY",
        aliases=("OPENAI_API_KEY",),
        label=_("Its key"),
        secret=True,
        belongs_to="openai_api_base_url",
    )
    ollama_base_url: str = setting(
        "http://localhost:11434",
        env="RAG_OLLAMA_BASE_URL",
        aliases=("OLLAMA_BASE_URL",),
        label=_("Address of the Ollama embedding server"),
    )
    ollama_api_key: str = setting(
        "", env="RAG_OLLAMA_API_KEY", label=_("Its key"), secret=True, belongs_to="ollama_base_url"
    )

    top_k: int = setting(
        3,
        env="RAG_TOP_K",
        label=_("Results kept"),
        help=_("How many chunks an answer may use."),
        minimum=1,
        maximum=200,
    )
    top_k_reranker: int = setting(
        3, env="RAG_TOP_K_RERANKER", label=_("Results kept by hybrid search"), minimum=1, maximum=200
    )
    relevance_threshold: float = setting(
        0.0,
        env="RAG_RELEVANCE_THRESHOLD",
        label=_("Least relevance"),
        help=_("From 0 (off) to 1; used by hybrid search."),
        minimum=0,
        maximum=1,
    )
    reranking_engine: Literal["", "external"] = setting(
        "",
        env="RAG_RERANKING_ENGINE",
        label=_("Reranking"),
        help=_("A server that reads question and passage together puts what hybrid search found in a better order."),
    )
    reranking_model: str = setting("", env="RAG_RERANKING_MODEL", label=_("Reranking model"))
    reranking_batch_size: int = setting(
        32, env="RAG_RERANKING_BATCH_SIZE", label=_("Passages per reranking request"), minimum=1, maximum=2048
    )
    external_reranker_url: str = setting(
        "",
        env="RAG_EXTERNAL_RERANKER_URL",
        label=_("Address of the reranker"),
        help=_("Whole, such as http://reranker:8080/v1/rerank (llama.cpp, vLLM, TEI, Jina, Cohere)."),
    )
    external_reranker_api_key: str = setting(
        "", env="RAG_EXTERNAL_RERANKER_API_KEY", label=_("Its key"), secret=True, belongs_to="external_reranker_url"
    )
    external_reranker_timeout: int = setting(
        30, env="RAG_EXTERNAL_RERANKER_TIMEOUT", label=_("Seconds a reranking may take"), minimum=1, maximum=600
    )
    enable_hybrid_search: bool = setting(
        False,
        env="ENABLE_RAG_HYBRID_SEARCH",
        label=_("Hybrid search"),
        help=_("Also search by words: finds exact codes and names that vectors miss."),
    )
    hybrid_bm25_weight: float = setting(
        0.5,
        env="RAG_HYBRID_BM25_WEIGHT",
        label=_("Weight of words in hybrid search"),
        help=_("0: vectors only; 1: words only."),
    )
    full_context: bool = setting(
        False,
        env="RAG_FULL_CONTEXT",
        label=_("Always give whole documents"),
        help=_("No search; needs a long context."),
    )
    bypass_embedding_and_retrieval: bool = setting(
        False,
        env="BYPASS_EMBEDDING_AND_RETRIEVAL",
        label=_("No embedding"),
        help=_("Documents are only read, and given to the model as a whole."),
    )
    template: str = setting(
        "",
        env="RAG_TEMPLATE",
        label=_("Text around the sources"),
        help=_("{{CONTEXT}} stands for the sources, {{QUERY}} for the question. Empty: the built-in text."),
        multiline=True,
    )

    enable_passage_screening: bool = setting(
        True,
        env="ENABLE_PASSAGE_SCREENING",
        label=_("Hold back passages that give the model orders"),
        help=_("They are neither searched nor given to a model until an administrator releases them."),
    )
    text_splitter: Literal["", "character", "token"] = setting("", env="RAG_TEXT_SPLITTER", label=_("Split by"))
    tiktoken_encoding_name: str = setting("cl100k_base", env="TIKTOKEN_ENCODING_NAME", label=_("Token encoding"))
    chunk_size: int = setting(1000, env="CHUNK_SIZE", label=_("Chunk size"), minimum=1)
    chunk_overlap: int = setting(100, env="CHUNK_OVERLAP", label=_("Chunk overlap"), minimum=0)
    chunk_min_size_target: int = setting(
        0, env="CHUNK_MIN_SIZE_TARGET", label=_("Join sections shorter than"), help=_("0: never."), minimum=0
    )
    enable_markdown_header_text_splitter: bool = setting(
        True, env="ENABLE_MARKDOWN_HEADER_TEXT_SPLITTER", label=_("Split at headings first")
    )

    file_max_size: int = setting(
        0, env="RAG_FILE_MAX_SIZE", label=_("Largest file in MB"), help=_("0: no limit."), minimum=0
    )
    file_max_count: int = setting(
        0, env="RAG_FILE_MAX_COUNT", label=_("Most files in one message"), help=_("0: no limit."), minimum=0
    )
    file_image_compression_width: int = setting(
        0,
        env="FILE_IMAGE_COMPRESSION_WIDTH",
        label=_("Widest picture in a message"),
        help=_("Pixels; the browser makes larger ones smaller before it sends them. 0: no limit."),
        minimum=0,
    )
    file_image_compression_height: int = setting(
        0,
        env="FILE_IMAGE_COMPRESSION_HEIGHT",
        label=_("Highest picture in a message"),
        help=_("Pixels, as for the width. 0: no limit."),
        minimum=0,
    )
    enable_local_web_fetch: bool = setting(
        False,
        env="ENABLE_LOCAL_WEB_FETCH",
        aliases=("ENABLE_RAG_LOCAL_WEB_FETCH",),
        label=_("Fetch web pages inside this network"),
        help=_("People could then attach what this server reaches and they do not."),
    )
    web_fetch_filter_list: list[str] = setting(
        [],
        env="WEB_FETCH_FILTER_LIST",
        separator=",",
        label=_("Hosts of web pages"),
        help=_("“!name” shuts one out; where there are plain names only these are allowed."),
    )
    allowed_file_extensions: list[str] = setting(
        [],
        env="RAG_ALLOWED_FILE_EXTENSIONS",
        label=_("Allowed file endings"),
        help=_("Such as pdf, docx; empty: all."),
    )
    enable_knowledge_file_retention: bool = setting(
        False,
        env="ENABLE_KNOWLEDGE_FILE_RETENTION",
        label=_("Keep a file that is removed from a knowledge base"),
        stored=False,
    )
