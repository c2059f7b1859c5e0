"""What a provider's claims mean here. Pure: the sign-in and the page "test a token" read the same.

Claims are data of somebody else: a value of an unexpected type is noted and counts as not said, so that nothing is
taken away because of it; only a role claim that says something we do not know refuses the sign-in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from accounts.backends.identity import Admission, ExternalIdentity, lower_address
from accounts.backends.oidc.errors import SignInRefused
from accounts.backends.oidc.presets import Provider
from accounts.config import OAuthConfig
from accounts.models import Role
from rbac.models import MembershipSource
from rbac.services.sync import blocked_patterns

LONGEST_SUB, LONGEST_NAME, LONGEST_EMAIL = 255, 255, 254
_MISSING: Any = object()
_SHARES: dict[str, bool | str] = {"true": True, "false": False, "members": "members"}


@dataclass(slots=True)
class Reading:
    """A person as the claims give them.

    :param picture: where a picture may be fetched
    :param notes: what in the claims could not be used, for the log and the page
    """

    identity: ExternalIdentity
    picture: str = ""
    notes: list[str] = field(default_factory=list)


def lookup(claims: Any, path: str) -> Any:
    """The value at a path with dots, `_MISSING` where there is none. A claim whose own name has dots comes first:
    `https://example.org/groups` is one name."""
    if not isinstance(claims, dict) or not path:
        return _MISSING
    if path in claims:
        return claims[path]
    for end in (match.start() for match in re.finditer(r"\.", path)):
        if path[:end] in claims and (found := lookup(claims[path[:end]], path[end + 1 :])) is not _MISSING:
            return found
    return _MISSING


def read(provider: Provider, claims: dict[str, Any], config: OAuthConfig) -> Reading:
    """The identity behind some claims that were checked before.

    :raises SignInRefused: no id, no address, an address of another domain, no role here
    """
    notes: list[str] = []
    subject = subject_of(claims, provider.sub_claim)
    email, is_verified = _email(provider, claims, subject, config)
    # Where anybody's organisation may come, its administrators write whatever address they like into it.
    doubted = claims | {"email_verified": False} if provider.is_for_many else claims
    if not is_allowed(email, is_verified, config.allowed_domains, doubted):
        raise SignInRefused("oauth_domain", f"the domain of {email.rpartition('@')[2]!r} is not allowed or unverified")
    name = lookup(claims, config.username_claim)
    picture = lookup(claims, provider.picture_claim)
    identity = ExternalIdentity(
        provider=provider.key,
        subject=subject,
        email=email,
        name=_line(name, LONGEST_NAME) or _line(claims.get("preferred_username"), LONGEST_NAME) or email,
        is_verified=is_verified,
        role=role_of(claims, config) if config.enable_role_management else None,
        groups=groups_of(claims, config, notes) if config.enable_group_management else None,
    )
    return Reading(identity, picture if isinstance(picture, str) else "", notes)


def rules(config: OAuthConfig) -> Admission:
    """What a sign-in by a provider may do."""
    updates = {"name": config.update_name_on_login, "email": config.update_email_on_login}
    updates["picture"] = config.update_picture_on_login
    return Admission(
        may_create=config.enable_signup,
        may_merge=config.merge_accounts_by_email,
        updates=frozenset(name for name, is_on in updates.items() if is_on),
        source=MembershipSource.OIDC if config.enable_group_management else None,
        may_create_groups=config.enable_group_creation,
        blocked=blocked_patterns(config.blocked_groups),
        group_share=_SHARES.get(config.group_default_share.strip().lower()),
    )


def subject_of(claims: dict[str, Any], name: str) -> str:
    value = lookup(claims, name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    # Exactly as it came: an id that differs in case or by a blank is somebody else.
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_SUB or "\0" in value:
        raise SignInRefused("oauth_claims", f"the claim {name!r} holds no usable id")
    return value


def _email(provider: Provider, claims: dict[str, Any], subject: str, config: OAuthConfig) -> tuple[str, bool]:
    value = lookup(claims, config.email_claim)
    if isinstance(value, str) and value.strip():
        email = lower_address(value)
        if len(email) > LONGEST_EMAIL or "@" not in email or "\0" in email:
            raise SignInRefused("oauth_email", f"the claim {config.email_claim!r} holds no address")
        return email, _is_vouched_for(provider, claims, value, config.email_claim)
    if config.enable_email_fallback:
        return fallback_address(provider.key, subject), False
    raise SignInRefused("oauth_email", f"the claim {config.email_claim!r} is absent or no text")


def _is_vouched_for(provider: Provider, claims: dict[str, Any], address: Any, claim: str) -> bool:
    """Not said is not verified; and what is said is said of one claim: `email_verified` of `email`, not of a name for
    signing in that is used as an address here."""
    said = lookup(claims, f"{claim}_verified")
    if said is _MISSING and address == claims.get("email"):
        said = claims.get("email_verified", claims.get("xms_edov"))
    # Some providers write the word.
    return said is True or said == "true" or (provider.key == "microsoft" and said is not None and str(said) == "1")


def fallback_address(provider: str, subject: str) -> str:
    """`provider@id.local`, with an id that can stand in an address; two ids never give the same."""
    plain = re.sub(r"[^a-z0-9-]+", "-", subject.lower()).strip("-")[:40]
    if plain != subject:
        plain = f"{plain or 'x'}-{hashlib.sha256(subject.encode()).hexdigest()[:12]}"
    return f"{provider}@{plain}.local"


def is_allowed(email: str, is_verified: bool, domains: str, claims: dict[str, Any]) -> bool:
    """Whether the address's domain may come in. A list only helps with addresses that are the person's: one that the
    provider itself calls unverified does not pass it."""
    allowed = {entry.strip().lower().removeprefix("@") for entry in domains.split(",") if entry.strip()}
    if "*" in allowed:
        return True
    is_denied = claims.get("email_verified") in (False, "false")
    return email.rpartition("@")[2] in allowed and (is_verified or not is_denied)


def split(text: str, separator: str) -> list[str]:
    """Entries of a text; an empty separator splits nothing."""
    parts = text.split(separator) if separator else [text]
    return [part.strip() for part in parts if part.strip()]


def role_of(claims: dict[str, Any], config: OAuthConfig) -> str | None:
    """The role that the claims give; None where they say nothing.

    :raises SignInRefused: they say something, and it is no role here
    """
    value = lookup(claims, config.roles_claim)
    if value is _MISSING or value is None or value in ("", []):
        return None
    said = _roles(value, config.roles_separator)
    if said & set(split(config.admin_roles, config.roles_separator)):
        return Role.ADMIN.value
    allowed = set(split(config.allowed_roles, config.roles_separator))
    if said and ("*" in allowed or said & allowed):
        return Role.USER.value
    raise SignInRefused("oauth_role", f"the claim {config.roles_claim!r} holds no role that may come in")


def _roles(value: Any, separator: str) -> set[str]:
    if isinstance(value, str):
        return set(split(value, separator))
    entries = value if isinstance(value, list) else [value]
    found = {str(entry).strip() for entry in entries if isinstance(entry, (str, int)) and not isinstance(entry, bool)}
    # A role called `*` is a name like any other; it must not stand for "any".
    return {entry for entry in found if entry}


def groups_of(claims: dict[str, Any], config: OAuthConfig, notes: list[str]) -> tuple[str, ...] | None:
    """The groups that the claims name; None when they are silent, which changes nothing."""
    value = lookup(claims, config.groups_claim)
    if value is _MISSING or value is None:
        if isinstance(elsewhere := claims.get("_claim_names"), dict) and config.groups_claim in elsewhere:
            notes.append("the provider left the groups out of the token because there are too many (_claim_names)")
        return None
    if isinstance(value, str):
        found: Sequence[str] = split(value, config.groups_separator)
    elif isinstance(value, list):
        found, odd = _names(value)
        if odd:
            notes.append(f"{odd} entries of the claim {config.groups_claim!r} are no names")
        if odd and not found:
            return None
    else:
        notes.append(f"the claim {config.groups_claim!r} is neither a list nor a text and counts as absent")
        return None
    return tuple(found) if found or config.empty_groups_remove else None


def _names(entries: list[Any]) -> tuple[list[str], int]:
    found, odd = [], 0
    for entry in entries:
        if isinstance(entry, dict):
            entry = entry.get("name")
        if isinstance(entry, int) and not isinstance(entry, bool):
            entry = str(entry)
        if isinstance(entry, str) and entry.strip():
            found.append(entry)
        elif entry != "":
            odd += 1
    return found, odd


def _line(value: Any, longest: int) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(sign for sign in " ".join(value.split()) if sign.isprintable())[:longest]
