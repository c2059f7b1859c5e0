"""Random worlds of people, bases and documents: no path of retrieval gives out a chunk that a person may not read, and
each gives all that they may.

`OWUI_WORLDS=1000 pytest -n 2 tests/knowledge/test_search_worlds.py` tries a thousand of them.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from knowledge import services
from knowledge.chat import retrieve_for_chat, still_readable
from knowledge.config import RagConfig
from knowledge.models import Document, EmbeddingSpace, KnowledgeBase, KnowledgeBaseGroupGrant, KnowledgeBaseUserGrant
from knowledge.retrieval.search import Options, search, search_stages
from knowledge.retrieval.tending import build_graph, merge_words
from rbac.models import Group, Membership
from rbac.services import rebuild_ancestry
from rbac.services.grants import permission_ids
from rbac.sharing import Access
from tests.factories.accounts import UserFactory
from tests.factories.knowledge import make_base, make_document
from tests.fakes.model_server import embedding

WORLDS = int(os.environ.get("OWUI_WORLDS", "8"))
QUESTION = "Which mixer is cleaned?"
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
WAYS = ("exact", "coarse", "graph")

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("rag", "sent")]


class World:
    """Four people, three groups (one in another), five bases with grants that end and denials, and documents
    in none to three bases. Each document says its number."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = random.Random(seed)
        roles = ["user", "user", "user", rng.choice(["user", "admin", "pending"])]
        self.people = [UserFactory(name=f"P{n}", email=f"p{n}@example.org", role=r) for n, r in enumerate(roles)]
        self.groups = [Group.objects.create(name=f"G{n}") for n in range(3)]
        Group.objects.filter(pk=self.groups[1].pk).update(parent=self.groups[0])
        rebuild_ancestry()
        for person in self.people:
            for group in rng.sample(self.groups, rng.randrange(2)):
                Membership.objects.create(user=person, group=group)
        access = [Access.PRIVATE, Access.PRIVATE, Access.PRIVATE, Access.READ, Access.WRITE]
        self.bases = [
            make_base(rng.choice([None, *self.people]), f"B{n}", general_access=rng.choice(access)) for n in range(5)
        ]
        self.grant()
        self.documents: list[Document] = []
        for number in range(12):
            bases = rng.sample(self.bases, rng.choice([0, 1, 1, 1, 2, 3]))
            owner = rng.choice([None, *self.people])
            texts = [f"The mixer of document {number} is cleaned, page {page}." for page in range(rng.randrange(1, 3))]
            self.documents.append(make_document(owner, texts, bases=bases, filename=f"d{number}.txt"))

    def grant(self) -> None:
        """Random rows; half of them of groups."""
        permissions = list(permission_ids(KnowledgeBase).values())
        for _ in range(self.rng.randrange(9)):
            row = {
                "content_object": self.rng.choice(self.bases),
                "permission_id": self.rng.choice(permissions),
                "is_denied": self.rng.random() < 0.3,
            }
            ends = {"expires_at": self.rng.choice([None, None, PAST, FUTURE])}
            if self.rng.random() < 0.5:
                KnowledgeBaseGroupGrant.objects.get_or_create(group=self.rng.choice(self.groups), **row, defaults=ends)
            else:
                KnowledgeBaseUserGrant.objects.get_or_create(user=self.rng.choice(self.people), **row, defaults=ends)

    def change(self) -> None:
        """Links come and go, documents are replaced and deleted, grants are added."""
        for document in self.rng.sample(self.documents, 4):
            match self.rng.choice(["unlink", "link", "delete"]):
                case "unlink":
                    if link := document.links.first():
                        services.unlink(document, link.knowledge_base, by=UserFactory(role="admin"))
                case "link":
                    services.link(document, self.rng.choice(self.bases), by=UserFactory(role="admin"))
                case "delete":
                    document.delete()
                    self.documents.remove(document)
        self.grant()
        merge_words()


def numbers(texts: Any) -> set[int]:
    return {int(number) for number in re.findall(r"of document (\d+) is", "\n".join(texts))}


def expected(world: World, person: Any, base: KnowledgeBase | None = None) -> set[int]:
    """By the choke-point alone: what the person may read, in one base or everywhere."""
    bases = KnowledgeBase.objects.readable_by(person)
    if base is not None:
        found = Document.objects.filter(links__knowledge_base__in=bases.filter(pk=base.pk))
    else:
        everywhere = Document.objects.filter(links__knowledge_base__in=bases).values("pk")
        homeless = Document.objects.filter(owner_id=person.pk, links=None).values("pk")
        found = Document.objects.readable_by(person).filter(pk__in=everywhere.union(homeless))
    return {int(name[1:-4]) for name in found.values_list("filename", flat=True)}


@pytest.mark.parametrize("seed", range(WORLDS))
def test_no_path_leads_to_a_chunk_that_the_person_may_not_read(seed: int, api_for: Callable[..., Any]) -> None:
    world = World(seed)
    for _round in range(2):
        build_graph(EmbeddingSpace.objects.get())
        for person in world.people:
            everything(world, person)
            by_name(world, person, api_for(person) if person.role != "pending" else None)
            in_a_chat(world, person)
        world.change()


def everything(world: World, person: Any) -> None:
    wanted = expected(world, person) if person.role != "pending" else set()
    config, vector = RagConfig.load(), embedding(QUESTION)
    for weight in (0.0, 0.5, 1.0):
        options = Options(k=200, k_reranker=200, hybrid=True, weight=weight)
        hits = search(person, [QUESTION], [vector], config=config, options=options)
        assert numbers(hit.text for hit in hits) == wanted, weight
        for way in WAYS:
            stages = search_stages(person, QUESTION, vector, config=config, options=options, way=way)
            for stage in (stages.fused, stages.vector if weight < 1 else [], stages.words if weight else []):
                assert not stage or numbers(candidate.hit.text for candidate in stage) == wanted, (weight, way)


def by_name(world: World, person: Any, api: Any) -> None:
    config, vector = RagConfig.load(), embedding(QUESTION)
    options = Options(k=200, k_reranker=200, hybrid=True)
    for base in world.bases:
        wanted = expected(world, person, base)
        hits = search(person, [QUESTION], [vector], config=config, options=options, knowledge_base_ids=[base.pk])
        assert numbers(hit.text for hit in hits) == wanted
        if api is not None:
            names = [str(base.pk)]
            one = api.post("/api/v1/retrieval/query/doc", {"collection_name": names[0], "query": QUESTION, "k": 200})
            many = api.post(
                "/api/v1/retrieval/query/collection", {"collection_names": names, "query": QUESTION, "k": 200}
            )
            is_readable = KnowledgeBase.objects.readable_by(person).filter(pk=base.pk).exists()
            assert one.status_code == many.status_code == (200 if is_readable else 403)
            assert numbers([one.content.decode()]) == numbers([many.content.decode()]) == wanted
    mine = Document.objects.readable_by(person)
    for document in world.documents:
        wanted = {int(document.filename[1:-4])} if mine.filter(pk=document.pk).exists() else set()
        hits = search(person, [QUESTION], [vector], config=config, options=options, document_ids=[document.pk])
        assert numbers(hit.text for hit in hits) == wanted
        if api is not None:
            form = {"collection_name": f"file-{document.pk}", "query": QUESTION, "k": 50}
            answer = api.post("/api/v1/retrieval/query/doc", form)
            assert answer.status_code == (200 if wanted else 403)
            assert numbers([answer.content.decode()]) == wanted
            for path in (f"/api/v1/files/{document.pk}", f"/api/v1/files/{document.pk}/data/content"):
                assert numbers([api.get(path).content.decode()]) == wanted


def in_a_chat(world: World, person: Any) -> None:
    """Attached items, found by search and whole; and which of them an answer under way may go on using."""
    items = [{"type": "collection", "id": str(base.pk)} for base in world.bases]
    items += [{"type": "file", "id": str(document.pk)} for document in world.documents]
    wanted = {number for base in world.bases for number in expected(world, person, base)}
    wanted |= {int(name[1:-4]) for name in Document.objects.readable_by(person).values_list("filename", flat=True)}
    for whole in ({}, {"context": "full"}):
        found = async_to_sync(retrieve_for_chat)(person, [item | whole for item in items], [QUESTION])
        assert numbers([found.context]) == numbers(citation["text"] for citation in found.citations)
        assert numbers([found.context]) == numbers(text for source in found.sources for text in source["document"])
        assert numbers([found.context]) <= wanted
        if whole:
            assert numbers([found.context]) == wanted
    readable = {
        ("collection", str(pk)) for pk in KnowledgeBase.objects.readable_by(person).values_list("pk", flat=True)
    }
    readable |= {("file", str(pk)) for pk in Document.objects.readable_by(person).values_list("pk", flat=True)}
    assert still_readable(person, items) == readable
