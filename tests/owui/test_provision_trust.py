"""Whose things a file may take over."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError

from accounts import services
from inference.models import AIModel
from knowledge.models import KnowledgeBase
from owui.audit.models import AuditEvent
from owui.provision.models import Provisioned
from tests.owui.provision_world import WORLD, grants

pytestmark = pytest.mark.django_db


def test_a_base_of_an_ordinary_person_is_never_taken_over_by_its_name(apply: Any, people: Any) -> None:
    trap = KnowledgeBase.objects.create(name="PV Reference", owner=people.mallory)
    apply(WORLD)
    assert KnowledgeBase.objects.filter(name="PV Reference").count() == 2
    assert grants(trap) == []
    apply(f"version: 1\nknowledge_bases: [{{name: Mine, id: {trap.pk}}}]\n")
    trap.refresh_from_db()
    assert trap.name == "Mine" and trap.owner == people.mallory


def test_two_bases_of_one_name_must_be_told_apart(apply: Any, people: Any) -> None:
    for _number in range(2):
        KnowledgeBase.objects.create(name="SOPs", owner=people.dana)
    with pytest.raises(CommandError, match="Several knowledge bases are called 'SOPs'"):
        apply("version: 1\nknowledge_bases: [{name: SOPs}]\n")


def test_a_base_of_an_ordinary_person_is_not_attached_by_its_name(apply: Any, people: Any) -> None:
    trap = KnowledgeBase.objects.create(name="Labels", owner=people.mallory)
    text = "version: 1\nmodels:\n  - id: safety\n    knowledge: [%s]\n"
    with pytest.raises(CommandError, match=f"4:17: .* 'Labels' was made by mallory@example.org. .* its id: {trap.pk}"):
        apply(text % "Labels")
    apply(text % trap.pk)
    assert AIModel.objects.get().meta["knowledge"][0]["id"] == str(trap.pk)
    assert apply(text % "Labels") == "Nothing to change.\n"  # it is there already
    real = KnowledgeBase.objects.create(name="Labels", owner=people.dana)
    apply(text.replace("safety", "other") % "Labels")
    assert AIModel.objects.get(model_id="other").meta["knowledge"][0]["id"] == str(real.pk)


MODEL = "version: 1\nmodels:\n  - id: safety\n    name: Company model\n    access: {everyone: read}\n"


def test_a_model_of_an_ordinary_person_is_not_taken_over_by_its_id(apply: Any, people: Any) -> None:
    trap = AIModel.objects.create(model_id="safety", name="Trap", owner=people.mallory, params={"system": "Lie."})
    says = r"org.yaml:3:\d+: The model 'safety' was made by mallory@example.org. .* name that owner here"
    for text in (MODEL, MODEL + "    owner: alice@example.org\n"):
        with pytest.raises(CommandError, match=says):
            apply(text)
    trap.refresh_from_db()
    assert (trap.name, trap.general_access) == ("Trap", "private") and not Provisioned.objects.exists()
    apply(MODEL + "    owner: mallory@example.org\n")
    assert AIModel.objects.usable_by(people.bob).get().name == "Company model"
    assert apply(MODEL) == "Nothing to change.\n"


@pytest.mark.parametrize("owner", ["dana", None])
def test_a_model_of_an_administrator_or_of_nobody_is_taken_over(apply: Any, people: Any, owner: str | None) -> None:
    AIModel.objects.create(model_id="safety", name="Old", owner=getattr(people, owner) if owner else None)
    apply(MODEL)
    assert AIModel.objects.get().name == "Company model"


def test_a_model_made_anew_under_the_id_of_a_deleted_one_is_not_the_files(apply: Any, people: Any) -> None:
    apply(MODEL)
    AIModel.objects.all().delete()
    AIModel.objects.create(model_id="safety", name="Trap", owner=people.mallory)
    with pytest.raises(CommandError, match="'safety' was made by mallory@example.org"):
        apply(MODEL)


def test_no_model_is_built_on_one_of_an_ordinary_person_unless_the_file_names_it(apply: Any, people: Any) -> None:
    AIModel.objects.create(model_id="small", name="Trap", owner=people.mallory)
    text = MODEL + "    base: small\n"
    with pytest.raises(CommandError, match="6:11: The model 'small' was made by mallory@example.org. List it here too"):
        apply(text)
    apply(text + "  - {id: small, owner: mallory@example.org}\n")
    assert AIModel.objects.get(model_id="safety").base_model == AIModel.objects.get(model_id="small")
    assert apply(text).endswith("Nothing to change.\n")


# ------------------------------------------------------------------------------------------------ who signed up alone
GIVING = {
    "role": "users: [{email: boss@example.org, role: admin}]",
    "member": "groups: [{name: Board, members: [boss@example.org]}]",
    "manager": "groups: [{name: Board, managers: [boss@example.org]}]",
    "grant": "models: [{id: safety, access: {users: {boss@example.org: read}}}]",
    "owner": "knowledge_bases: [{name: SOPs, owner: boss@example.org}]",
}


@pytest.fixture
def stranger(people: Any, set_config: Any) -> Any:
    """Somebody who made an account with an address that a file is to name."""
    set_config("auth.enable_signup", True)
    return services.sign_up(name="Boss", email="boss@example.org", password="a long password")


@pytest.mark.parametrize("text", GIVING.values(), ids=GIVING)
def test_who_signed_up_alone_gets_nothing_by_their_address(apply: Any, stranger: Any, text: str) -> None:
    text = f"version: 1\n{text}\n"
    with pytest.raises(CommandError, match=r"org.yaml:2:\d+: boss@example.org signed up .*--adopt boss@example.org"):
        apply(text)
    stranger.refresh_from_db()
    assert stranger.role == "pending" and not Provisioned.objects.exists()
    apply(text, "--adopt", "boss@example.org")
    assert apply(text) == "Nothing to change.\n"


def test_the_operators_word_for_somebody_is_in_the_audit_log_and_counts_once(apply: Any, stranger: Any) -> None:
    text = "version: 1\nusers: [{email: boss@example.org, role: user}]\n"
    with pytest.raises(CommandError, match="no person nobody@example.org"):
        apply(text, "--adopt", "nobody@example.org")
    apply(text, "--adopt", "Boss@example.org")
    apply(text, "--adopt", "boss@example.org")
    assert AuditEvent.objects.filter(action="user.adopt", object_id=str(stranger.pk)).count() == 1


def test_a_plan_says_it_too_and_changes_nothing(apply: Any, stranger: Any) -> None:
    text = "version: 1\nusers: [{email: boss@example.org, role: admin}]\n"
    with pytest.raises(CommandError, match="signed up"):
        apply(text, "--plan")
    apply(text, "--plan", "--adopt", "boss@example.org")
    assert apply.code == 2
    stranger.refresh_from_db()
    assert stranger.is_address_claimed


@pytest.mark.parametrize("proof", ["administrator", "verified provider", "reset by mail", "new address"])
def test_an_address_that_somebody_vouches_for_is_no_claim(stranger: Any, people: Any, proof: str) -> None:
    from accounts import reset_links
    from accounts.backends.identity import Admission, ExternalIdentity

    if proof == "administrator":
        stranger = services.create_account(
            name="New", email="new@example.org", password=None, by=people.dana, role="user"
        )
    elif proof == "verified provider":
        identity = ExternalIdentity("oidc", "1", "boss@example.org", is_verified=True)
        services.admit(identity, Admission(may_merge=True))
    elif proof == "reset by mail":
        services.reset_password(token=reset_links.token_for(stranger), new="another password")
    else:
        services.update_user(stranger, by=people.dana, email="other@example.org")
    stranger.refresh_from_db()
    assert not stranger.is_address_claimed


def test_the_first_account_is_the_operators_own(apply: Any, people: Any) -> None:
    type(people.dana).objects.filter(pk=people.dana.pk).update(is_address_claimed=True)
    apply("version: 1\nusers: [{email: dana@example.org, role: admin}]\n")
