"""Security checks of documents: where their text is sent to become vectors."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from knowledge.config import RagConfig
from owui.security.addresses import Reach, reach, shown
from owui.security.registry import Finding, check, fail, not_applicable, ok, warn


@check(
    "6.11.b",
    _("Documents are embedded in the house"),
    repair=_("Point the embedding engine to a server of your own; documents need a reindex then."),
    names=("RAG_EMBEDDING_ENGINE", "RAG_OPENAI_API_BASE_URL", "RAG_OLLAMA_BASE_URL"),
    key="rag.embedding_engine",
)
def embedding_server() -> Finding:
    rag = RagConfig.load()
    if not rag.embedding_engine:
        return not_applicable(_("No embedding engine is chosen."))
    url = rag.openai_api_base_url if rag.embedding_engine == "openai" else rag.ollama_base_url
    values = {"host": shown(url)}
    where = reach(url)
    if where is Reach.PUBLIC:
        return fail(_("The text of all documents leaves the house to %(host)s.") % values)
    if where is Reach.UNCERTAIN:
        return warn(_("Only your DNS can tell where %(host)s is.") % values)
    return ok(_("Documents are embedded at %(host)s.") % values)
