"""Where chats are kept, the files that went into them are."""

from __future__ import annotations

from django.utils.translation import gettext as _

from chat.models import Message
from knowledge.models import Document
from rbac.permissions import may
from rbac.sharing import Person


def kept_for_chats(document: Document, by: Person) -> str:
    """A keeper of `knowledge.keeping`. Looks into the chats of who brought the file, and of who asks."""
    if may(by, "chat.delete"):
        return ""
    owners = {owner for owner in (document.owner_id, by.id) if owner}
    asked = Message.objects.filter(chat__owner__in=owners, files__contains=[{"id": str(document.pk)}])
    return _("This file went into a chat, and chats are kept here.") if asked.exists() else ""
