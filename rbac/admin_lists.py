"""Lists of the administration that stay quick at ten thousand people: what a page shows is read for the page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from rbac.models import Group
from rbac.sentences import access_sentences

#: how many groups a filter names; more are reached by the list of groups
FILTERED = 50


def counted(rows: QuerySet[Any], by: str, what: str) -> Any:
    """For `annotate`: how many different `what` there are of each object's `rows`, counted for the shown page only."""
    counts = rows.order_by().filter(**{by: OuterRef("pk")}).values(by).annotate(n=Count(what, distinct=True))
    return Coalesce(Subquery(counts.values("n")), 0)


class SentencesList(ChangeList):
    """Reads the access of the page's objects in two statements; `SharedAdmin.access` shows it."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: Any = list(self.result_list)
        sentences = access_sentences(rows)
        for row in rows:
            row.access_in_words = sentences[row.pk]
        self.result_list = rows


class GroupFilter(admin.SimpleListFilter):
    """By direct group: the first groups by name, and the chosen one. A thousand would be a page of their own."""

    title = _("group")
    parameter_name = "direct_groups__id__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        groups = Group.objects.order_by("name").values_list("pk", "name")
        shown = {str(pk): name for pk, name in groups[:FILTERED]}
        chosen = self.value()
        if chosen and chosen not in shown:
            shown |= {str(pk): name for pk, name in groups if str(pk) == chosen}
        return sorted(shown.items(), key=lambda group: group[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = dict(self.lookup_choices).get(self.value() or "")
        return queryset.filter(direct_groups=self.value()).distinct() if chosen else queryset


class Named(forms.Widget):
    """Somebody's name, and the id with it. A field for choosing would look each of them up again."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        return format_html('<input type="hidden" name="{}" value="{}">{}', name, value, self.label)


class Kept(forms.Field):
    """The principal of a grant that is there: not to be exchanged for another one, whatever is sent."""

    def __init__(self, principal: Any, **kwargs: Any) -> None:
        super().__init__(widget=Named(str(principal)), **kwargs)
        self.principal = principal

    def clean(self, value: Any) -> Any:
        return self.principal

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False
