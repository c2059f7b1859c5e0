"""What a way of signing in makes of its proof: one value, whoever vouches for the person.

A backend checks a token, a bind or a header and fills this in. `accounts.services.admit` alone makes it an account,
its role and its groups, so that the first-administrator rule, default role, merging and group sync are one for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rbac.models import MembershipSource


def lower_address(address: str) -> str:
    """Lower case, but for signs that would turn into letters of plain ASCII, such as the Kelvin sign: an address that
    only looks like another one must not become it. `clean_email` refuses what is left."""
    return "".join(sign if not sign.isascii() and sign.lower().isascii() else sign.lower() for sign in address.strip())


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """A person as somebody else vouches for them.

    :param provider: whose word it is: `oidc`, `google`, `microsoft`, `github`, `ldap`, `header`
    :param subject: the provider's lasting id of the person
    :param is_verified: whether the provider says that the address is the person's; others never merge by address
    :param picture: an address or a data URI; already fetched and checked by whoever fills it in
    :param role: what the claims ask for (`admin`, `user`, `pending`); None when they say nothing
    :param groups: exact group names; None when the claim is absent, which is not the same as none
    """

    provider: str
    subject: str
    email: str
    name: str = ""
    is_verified: bool = True
    picture: str = ""
    role: str | None = None
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """What the organisation lets this way of signing in do.

    :param may_create: accounts for people nobody knows yet
    :param may_merge: take over an account of the same verified address
    :param updates: which of `name`, `email`, `picture` a sign-in brings up to date
    :param source: where memberships come from; None leaves groups alone
    :param may_create_groups: groups that are named and nobody has
    :param blocked: patterns of groups that are neither joined, left nor made
    :param group_share: who may share with groups that are made; None as for any new group
    """

    may_create: bool = False
    may_merge: bool = False
    updates: frozenset[str] = field(default_factory=frozenset)
    source: MembershipSource | None = None
    may_create_groups: bool = False
    blocked: Sequence[str] = ()
    group_share: bool | str | None = None
