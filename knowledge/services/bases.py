"""Knowledge bases: create, change, empty, delete."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from inference.models import AIModel
from knowledge.config import RagConfig
from knowledge.keeping import reason_to_keep
from knowledge.models import Document, KnowledgeBase
from knowledge.services.documents import delete_document
from knowledge.services.links import unlink
from owui.audit.record import record
from owui.lib.errors import UserError
from rbac.grants import Grant
from rbac.history import acting
from rbac.permissions import require
from rbac.services import announce, set_grants
from rbac.sharing import Person


def _clean_name(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise UserError(_("A knowledge base needs a name."))
    if len(name) > 255:
        raise UserError(_("The name is too long: use at most 255 characters."))
    return name


@transaction.atomic
def create_base(
    *, name: str, by: Person, description: str = "", meta: dict[str, Any] | None = None, grants: Iterable[Grant] = ()
) -> KnowledgeBase:
    """A new base owned by the person. Audiences that the person may not share with are left out, as in the field.

    :raises Refused: 401 without `workspace.knowledge`
    """
    require(by, "workspace.knowledge", status=401)
    acting(by)
    kb = KnowledgeBase.objects.create(
        name=_clean_name(name), description=description.strip(), meta=meta or {}, owner_id=by.id
    )
    record("knowledge.create", by=by, obj=kb, object_type="knowledge", detail={"name": kb.name})
    if grants := list(grants):
        set_grants(kb, grants, by=by, strict=False)
    return kb


@transaction.atomic
def update_base(
    kb: KnowledgeBase, *, by: Person, grants: Iterable[Grant] | None = None, **changes: Any
) -> KnowledgeBase:
    """Changes name, description or meta; `grants` are replaced when given."""
    acting(by)
    if "name" in changes:
        changes["name"] = _clean_name(changes["name"])
    before = {field: getattr(kb, field) for field in changes}
    for field, value in changes.items():
        setattr(kb, field, value)
    kb.save(update_fields=[*changes, "updated_at"])
    if before != changes:
        detail = {"before": before, "after": changes}
        record("knowledge.update", by=by, obj=kb, object_type="knowledge", detail=detail)
    if grants is not None:
        set_grants(kb, grants, by=by, strict=False)
    return kb


@transaction.atomic
def remove_document(document: Document, kb: KnowledgeBase, *, by: Person, delete_file: bool | None = None) -> None:
    """Takes a document out of a base. The file goes too when the person may change it and no other base has it.

    :param delete_file: None leaves it to ENABLE_KNOWLEDGE_FILE_RETENTION
    """
    if delete_file is None:
        delete_file = not RagConfig.load().enable_knowledge_file_retention
    may_delete = Document.objects.writable_by(by).filter(pk=document.pk).exists()
    unlink(document, kb, by=by)
    if delete_file and may_delete and not document.links.exists() and not reason_to_keep(document, by):
        delete_document(document, by=by)


@transaction.atomic
def reset_base(kb: KnowledgeBase, *, by: Person) -> None:
    """Takes every document out of the base; the documents stay with their owners."""
    documents = _lock_documents(kb)
    for document in documents:
        unlink(document, kb, by=by, audited=False)
    detail = {"documents": [str(d.pk) for d in documents]}
    record("knowledge.reset", by=by, obj=kb, object_type="knowledge", detail=detail)


@transaction.atomic
def delete_base(kb: KnowledgeBase, *, by: Person, delete_documents: bool = False) -> None:
    """Deletes the base with its grants and links, and its name from every model that used it.

    :param delete_documents: also those documents that are in no other base and that the person may change
    """
    acting(by)
    documents = _lock_documents(kb)
    detail = {"name": kb.name, "documents": [str(d.pk) for d in documents]}
    record("knowledge.delete", by=by, obj=kb, object_type="knowledge", detail=detail)
    own = set(Document.objects.writable_by(by).filter(links__knowledge_base=kb).values_list("pk", flat=True))
    for document in documents:
        unlink(document, kb, by=by, audited=False)
        is_free = delete_documents and document.pk in own and not document.links.exists()
        if is_free and not reason_to_keep(document, by):
            delete_document(document, by=by)
    for model in AIModel.objects.filter(meta__knowledge__contains=[{"id": str(kb.pk)}]).select_for_update():
        model.meta["knowledge"] = [k for k in model.meta["knowledge"] if k.get("id") != str(kb.pk)]
        model.save(update_fields=["meta"])
    announce("knowledge", str(kb.pk))
    kb.delete()


def _lock_documents(kb: KnowledgeBase) -> list[Document]:
    return list(
        Document.objects.filter(pk__in=kb.links.values("document_id")).order_by("pk").select_for_update(of=("self",))
    )
