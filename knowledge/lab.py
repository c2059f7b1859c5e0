"""The retrieval lab of the administration: a question with every stage's candidates, and settings compared on questions
whose right documents are known. Searches with the administrator's own rights; nothing is stored but the audit line."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from inference.providers.errors import ProviderError
from knowledge.config import RagConfig
from knowledge.embedding import embed_queries
from knowledge.evaluation import Measured, documents_of, measured
from knowledge.models import Document, KnowledgeBase
from knowledge.retrieval.search import Candidate, Options, Stages, search, search_stages
from owui.audit.record import batched, record
from owui.lib.errors import UserError

#: candidates of each stage that are shown, passages that are asked for to measure, judged questions of one run
SHOWN, DEPTH, MOST_JUDGED = 20, 200, 500


class LabForm(forms.Form):
    """What to ask, where, and with which settings."""

    question = forms.CharField(label=gettext_lazy("Question"), max_length=4000, required=False)
    base = forms.ModelChoiceField(
        KnowledgeBase.objects.none(),
        label=gettext_lazy("Knowledge base"),
        required=False,
        empty_label=gettext_lazy("All that I may read"),
    )
    weight = forms.FloatField(label=gettext_lazy("Weight of words"), min_value=0, max_value=1)
    other_weight = forms.FloatField(label=gettext_lazy("Compare with weight"), min_value=0, max_value=1, required=False)
    threshold = forms.FloatField(label=gettext_lazy("Least likeness"), min_value=0, max_value=1)
    judged = forms.CharField(
        label=gettext_lazy("Judged questions"),
        help_text=gettext_lazy(
            "One a line: the question, a tab, the name of the right document. As from a spreadsheet."
        ),
        widget=forms.Textarea(attrs={"rows": 4}),
        max_length=200_000,
        required=False,
    )

    def clean_judged(self) -> list[tuple[str, str]]:
        pairs = []
        for number, line in enumerate(self.cleaned_data["judged"].splitlines(), start=1):
            question, tab, name = line.partition("\t")
            if not line.strip():
                continue
            if not tab or not question.strip() or not name.strip():
                raise forms.ValidationError(
                    _("Line %(number)s needs a question, a tab and the name of a document.") % {"number": number}
                )
            pairs.append((question.strip(), name.strip()))
        if len(pairs) > MOST_JUDGED:
            raise forms.ValidationError(_("At most %(count)s questions at once.") % {"count": MOST_JUDGED})
        return pairs

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if not self.errors and not values.get("question") and not values.get("judged"):
            raise forms.ValidationError(_("Ask a question, or give questions with their right documents."))
        return values


@dataclass(frozen=True, slots=True)
class Column:
    """One list of the page."""

    title: str
    candidates: Sequence[tuple[int, Candidate, float | None]]


@require_http_methods(["GET", "HEAD", "POST"])
def lab(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    if not (user.is_active and getattr(user, "role", "") == "admin"):
        raise PermissionDenied
    config = RagConfig.load()
    first = {"weight": config.hybrid_bm25_weight, "threshold": config.relevance_threshold}
    form = LabForm(request.POST if request.method == "POST" else None, initial=first)
    bases: Any = KnowledgeBase.objects.readable_by(user)
    form.fields["base"].queryset = bases.order_by("name")  # type: ignore[attr-defined]
    context: dict[str, Any] = {**admin.site.each_context(request), "title": _("Retrieval lab"), "form": form}
    if form.is_bound and form.is_valid():
        try:
            context |= _results(user, form.cleaned_data, config)
        except (ProviderError, UserError) as error:
            form.add_error(None, error.message)
    return TemplateResponse(request, "admin/retrieval_lab.html", context)


def _results(user: Any, values: dict[str, Any], config: RagConfig) -> dict[str, Any]:
    scope: dict[str, Any] = {"knowledge_base_ids": [values["base"].pk] if values["base"] else None}
    detail = {"knowledge_base": str(values["base"].pk) if values["base"] else None, "judged": len(values["judged"])}
    with transaction.atomic():
        record("retrieval.tried", by=user, object_type="retrieval", detail=detail)
    found: dict[str, Any] = {}
    weights = [values["weight"], *([] if values["other_weight"] is None else [values["other_weight"]])]
    if values["question"]:
        vector = async_to_sync(embed_queries)(config, [values["question"]], user=user)[0]
        runs = [
            search_stages(
                user, values["question"], vector, config=config, options=_options(weight, values["threshold"]), **scope
            )
            for weight in weights
        ]
        found = {"columns": _columns(runs, weights), "way": runs[0].way}
    if values["judged"]:
        found["measured"] = _measure(user, values, weights, config, scope)
    return found


def _options(weight: float, threshold: float) -> Options:
    return Options(k=DEPTH, k_reranker=DEPTH, hybrid=True, weight=weight, threshold=threshold)


def _columns(runs: Sequence[Stages], weights: Sequence[float]) -> list[Column]:
    # Each half of a run with weight 0 or 1 is empty; the other run may have it.
    vector = max((run.vector for run in runs), key=len)
    words = max((run.words for run in runs), key=len)
    columns = [
        Column(_("Vectors: likeness"), _numbered(vector, [c.hit.score for c in vector])),
        Column(_("Words: BM25"), _numbered(words, [c.word_score for c in words])),
    ]
    for run, weight in zip(runs, weights, strict=True):
        title = _("Both, weight of words %(weight)s: points") % {"weight": weight}
        columns.append(Column(title, _numbered(run.fused, [c.points for c in run.fused])))
    return columns


def _numbered(
    candidates: Sequence[Candidate], scores: Sequence[float | None]
) -> list[tuple[int, Candidate, float | None]]:
    return list(zip(range(1, SHOWN + 1), candidates, scores, strict=False))


def _measure(
    user: Any, values: dict[str, Any], weights: Sequence[float], config: RagConfig, scope: dict[str, Any]
) -> dict[str, Any]:
    """nDCG@10 and recall@100 by weight, and the names that no readable document has."""
    names = {name for _question, name in values["judged"]}
    documents: Any = Document.objects.readable_by(user)
    if values["base"]:
        documents = documents.filter(links__knowledge_base=values["base"])
    ids: dict[str, list[uuid.UUID]] = {}
    for pk, name in documents.filter(filename__in=names).values_list("pk", "filename").distinct():
        ids.setdefault(name, []).append(pk)
    right: dict[str, dict[str, int]] = {}
    for question, name in values["judged"]:
        right.setdefault(question, {}).update({str(pk): 1 for pk in ids.get(name, ())})
    right = {question: grades for question, grades in right.items() if grades}
    vectors: list[list[float]] = []
    for some in batched(right, 16):
        vectors += async_to_sync(embed_queries)(config, some, user=user)
    rows: list[tuple[float, Measured]] = []
    for weight in weights if right else ():
        found = {}
        for question, vector in zip(right, vectors, strict=True):
            hits = search(
                user, [question], [vector], config=config, options=_options(weight, values["threshold"]), **scope
            )
            found[question] = [str(pk) for pk in documents_of([hit.document_id for hit in hits])]
        rows.append((weight, measured(found, right)))
    return {"rows": rows, "unknown": sorted(names - set(ids))}


app_name = "retrieval"
urlpatterns = [path("", admin.site.admin_view(lab), name="lab")]
