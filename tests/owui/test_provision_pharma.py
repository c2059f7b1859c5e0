"""`deploy/examples/pharma.yaml`: who reaches what, group by group, is exactly this table."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command

from inference.models import AIModel
from knowledge.models import KnowledgeBase
from rbac.models import Group
from rbac.permissions import PERMISSIONS, effective_permissions, is_true
from tests.factories.accounts import UserFactory
from tests.fakes.model_server import FakeModelServer

PHARMA = Path(__file__).resolve().parents[2] / "deploy/examples/pharma.yaml"
SMALL, LARGE, CODE, PV, WRITER = "llama3.1:8b", "llama3.3:70b", "qwen2.5-coder:32b", "pv-assistant", "regulatory-writer"
SOPS, GUIDES = "Company SOPs", "Regulatory Guidelines"
UPLOAD, WEB = "chat.file_upload", "features.web_search"
#: written out by hand, not taken from the file: bases to read, bases to write, models, permissions besides everybody's
MATRIX: dict[str, tuple[set[str], set[str], set[str], set[str]]] = {
    "Biostatistics": (
        {SOPS, "Clinical Protocols", GUIDES},
        {"Statistical Methods"},
        {SMALL, LARGE, CODE},
        {UPLOAD, WEB, "chat.export", "features.code_interpreter"},
    ),
    "Clinical Development": (
        {SOPS, "Statistical Methods", GUIDES},
        {"Clinical Protocols", "Clinical Operations"},
        {SMALL, LARGE},
        {UPLOAD, WEB, "chat.export"},
    ),
    "Manufacturing/CMC": ({SOPS, GUIDES}, {"CMC Documentation"}, {SMALL, LARGE}, {UPLOAD, "chat.export"}),
    "Medical Affairs": (
        {SOPS, "Clinical Protocols", "PV Reference"},
        {"Medical Information"},
        {SMALL, LARGE},
        {UPLOAD, WEB, "chat.export"},
    ),
    "Pharmacovigilance": (
        {SOPS, "Medical Information", GUIDES},
        {"PV Reference", "Safety Case Procedures"},
        {SMALL, LARGE, PV},
        set(),
    ),
    "R&D/Discovery": (
        {SOPS},
        {"Discovery Research"},
        {SMALL, LARGE, CODE},
        {UPLOAD, WEB, "chat.export", "features.code_interpreter", "workspace.prompts", "features.api_keys"},
    ),
    "Regulatory Affairs": (
        {"Clinical Protocols", "CMC Documentation", "PV Reference"},
        {SOPS, GUIDES, "Submission Dossiers"},
        {SMALL, LARGE, WRITER},
        {UPLOAD, WEB, "chat.export"},
    ),
    "Support Staff": ({SOPS}, set(), {SMALL}, set()),
}
GATED = (
    "chat.delete",
    "chat.temporary",
    "chat.web_upload",
    "chat.share",
    "sharing.knowledge",
    "sharing.public_knowledge",
)


def apply(*flags: str) -> str:
    out = io.StringIO()
    call_command("apply", str(PHARMA), *flags, stdout=out)
    return out.getvalue()


@pytest.fixture
def staff(people: SimpleNamespace) -> dict[str, Any]:
    """The company, and one person in each group."""
    apply()
    members = {}
    for group in Group.objects.all():
        members[group.name] = UserFactory()
        group.memberships.create(user=members[group.name])
    return members


@pytest.mark.django_db
def test_eight_groups_eleven_bases_and_nothing_to_change_the_second_time(staff: dict[str, Any]) -> None:
    assert set(Group.objects.values_list("name", flat=True)) == set(MATRIX)
    bases = set(KnowledgeBase.objects.values_list("name", flat=True))
    assert len(bases) == 11 and bases == set.union(*(reads | writes for reads, writes, _m, _p in MATRIX.values()))
    assert set(AIModel.objects.values_list("model_id", flat=True)) == set.union(*(row[2] for row in MATRIX.values()))
    assert apply().endswith("Nothing to change.\n")


@pytest.mark.django_db
def test_an_export_of_the_company_changes_nothing(staff: dict[str, Any], tmp_path: Path) -> None:
    path, out = tmp_path / "export.yaml", io.StringIO()
    call_command("export", "--out", str(path), stdout=io.StringIO())
    call_command("apply", str(path), "--plan", "--prune", stdout=out)
    assert out.getvalue().endswith("Nothing to change.\n")


@pytest.mark.django_db
@pytest.mark.parametrize("group", MATRIX)
def test_each_group_reaches_exactly_its_bases_models_and_features(staff: dict[str, Any], group: str) -> None:
    person = staff[group]
    reads, writes, models, permissions = MATRIX[group]
    assert set(KnowledgeBase.objects.readable_by(person).values_list("name", flat=True)) == reads | writes
    assert set(KnowledgeBase.objects.writable_by(person).values_list("name", flat=True)) == writes
    assert set(AIModel.objects.usable_by(person).values_list("model_id", flat=True)) == models
    assert not AIModel.objects.writable_by(person).exists()
    own, common = effective_permissions(person), effective_permissions(UserFactory())
    assert {k for k in PERMISSIONS if is_true(own, k) and not is_true(common, k)} == permissions
    assert not [key for key in GATED if is_true(own, key)]


@pytest.mark.django_db
def test_who_is_in_no_group_reaches_nothing(staff: dict[str, Any]) -> None:
    stranger = UserFactory()
    assert not KnowledgeBase.objects.readable_by(stranger).exists()
    assert not AIModel.objects.readable_by(stranger).exists()
    assert not [key for key in (UPLOAD, WEB, *GATED) if is_true(effective_permissions(stranger), key)]


@pytest.fixture
def servers(set_config: Any) -> Iterator[None]:
    """Model servers that offer the company's base models and one that nobody registered."""
    from inference import live

    live.forget()
    with FakeModelServer(models=[SMALL, LARGE, CODE, "unregistered"]) as server:
        set_config("openai.api_base_urls", [server.openai_url])
        set_config("openai.api_keys", [])
        set_config("ollama.base_urls", [])
        yield
    live.forget()


@pytest.mark.django_db(transaction=True)
def test_rest_answers_with_the_same_matrix(
    staff: dict[str, Any], servers: None, api_for: Any, settings: Any, tmp_path: Path
) -> None:
    for group, (reads, writes, models, permissions) in MATRIX.items():
        api = api_for(staff[group])
        bases = api.get("/api/v1/knowledge/").json()
        listed = bases if isinstance(bases, list) else bases["items"]
        assert {kb["name"] for kb in listed} == reads | writes, group
        assert {model["id"] for model in api.get("/api/models").json()["data"]} == models, group
        own = api.get("/api/v1/users/permissions").json()
        assert own["features"]["web_search"] is (WEB in permissions), group
        for kb in KnowledgeBase.objects.exclude(name__in=reads | writes):
            assert api.get(f"/api/v1/knowledge/{kb.pk}").status_code == 401, (group, kb.name)
        upload = SimpleUploadedFile("case.txt", b"A case.", content_type="text/plain")
        answer = api.post("/api/v1/files/?process=false", {"file": upload}, multipart=True)
        assert (answer.status_code == 403) is (UPLOAD not in permissions), (group, answer.content)
