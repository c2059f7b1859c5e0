"""Somebody leaves: one verb for every way to learn of it.

SCIM, the directory sync and administrators switch the account off (`off_board`); a provider's back-channel logout ends
what is open and leaves the account on (`end_access`). Both are database facts in one transaction. Pages, REST and keys
refuse with the next request because each asks the database; sockets, streams and running answers are told through
`access_changed` on commit, on every node, and ask within a second even where no word reaches them (`chat/nodes.py`).
"""

from __future__ import annotations

from django.db import transaction

from accounts import tokens
from accounts.models import User
from accounts.services.guards import guard_primary, note, tell
from accounts.services.keys import end_keys
from accounts.services.people import update_user
from rbac.sharing import Person


@transaction.atomic
def off_board(user: User, *, by: Person | None, why: str) -> User:
    """Switches an account off. Its sessions, tokens, keys, sockets and running answers end; nothing it made is lost.

    :param why: who said so, for the audit log, such as `scim` or `ldap`
    :raises Refused: 403 for the first administrator and for the last active one
    """
    if user.is_active:
        user = update_user(user, by=by, is_active=False)
        note("user.off_board", user, by, {"why": why})
    return user


@transaction.atomic
def end_access(user: User, *, by: Person | None, why: str, keys: bool = False) -> None:
    """Ends what is open on behalf of a person whose account stays on: sessions, sockets, streams, running answers.

    :param keys: whether keys for programs end too; they are no part of a sign-in, so a mere logout leaves them
    """
    guard_primary(user, by)
    tokens.revoke_all(user)
    ended = end_keys(user, by=by) if keys else 0
    note("user.sessions.revoke", user, by, {"why": why} | ({"keys": ended} if ended else {}))
    tell(user)
