"""What a running answer stands on, asked again while it runs: its person, the model, the knowledge used."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import User
from inference.catalogue import still_usable
from knowledge.chat import still_readable
from rbac.sharing import is_verified

#: the shared types whose grants an answer stands on
TYPES = ("model", "knowledge")


@dataclass(frozen=True, slots=True)
class Standing:
    """Plain values, asked with the rights of the moment."""

    user_id: uuid.UUID
    model_id: str
    model_name: str
    items: Sequence[Mapping[str, Any]] = ()
    model_items: Sequence[Mapping[str, Any]] = ()
    model_owner_id: uuid.UUID | None = None
    #: of the moment the question came; whoever ends all sessions of the person changes it
    session_stamp: uuid.UUID | None = None

    @property
    def people(self) -> list[uuid.UUID | None]:
        return [self.user_id, self.model_owner_id]

    def lost(self, used: Collection[tuple[str, str]]) -> str:
        """Why the answer may not go on, empty while it may. For a thread.

        :param used: type and id of what retrieval has put before the model
        """
        user = User.objects.filter(pk=self.user_id).first()
        if user is None or not is_verified(user):
            return _("The answer ends here: this account may not use the chat any more.")
        if self.session_stamp is not None and user.session_stamp != self.session_stamp:
            return _("The answer ends here: all sessions of this account were ended. Sign in and ask again.")
        if not still_usable(user, self.model_id):
            text = _("The answer ends here: you may not use “%(name)s” any more. Choose another model.")
            return text % {"name": self.model_name}
        if used:
            readable = still_readable(
                user, self.items, model_items=self.model_items, model_owner_id=self.model_owner_id
            )
            if not set(used) <= readable:
                return _("The answer ends here: knowledge it was made from is no longer shared with you. Ask again.")
        return ""


def used_in(sources: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Type and id of the items that a turn's sources came from."""
    items = [source.get("source") or {} for source in sources]
    return {(str(item.get("type")), str(item.get("id"))) for item in items}
