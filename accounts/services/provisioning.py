"""From somebody else's word to an account: the one path of every way to sign in without a password of ours."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import tokens
from accounts.backends.identity import Admission, ExternalIdentity
from accounts.models import ExternalLogin, OAuthSession, Role, User
from accounts.services.creation import FIRST_ACCOUNT_LOCK, create_account
from accounts.services.factors import reset_factors
from accounts.services.guards import clean_email, note, primary_admin_id, tell
from accounts.services.keys import end_keys
from accounts.services.people import update_user
from owui.lib.errors import Refused, UserError
from rbac.services import apply_sync

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """What one admission did, for the audit log and the person's page in the administration.

    :param is_new: the account was made now
    :param is_linked: an account of the same address was taken over now
    :param changed: field to (before, after)
    :param groups: `add`, `remove`, `create`, `unknown`, `kept` to group names; `absent` when the claim was not there
    :param kept: what was asked for and not done, with the reason
    """

    is_new: bool = False
    is_linked: bool = False
    changed: dict[str, tuple[str, str]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Only what is there."""
        found: dict[str, Any] = {name: True for name in ("is_new", "is_linked") if getattr(self, name)}
        if self.changed:
            found["changed"] = {name: list(pair) for name, pair in self.changed.items()}
        return found | {name: value for name in ("groups", "kept") if (value := getattr(self, name))}


@transaction.atomic
def admit(identity: ExternalIdentity, rules: Admission) -> tuple[User, Report]:
    """The account of a person for whom somebody vouches: found, taken over or made, and brought up to date.

    All or nothing: whatever fails leaves no half-made account. The session is the caller's to open.

    :raises UserError: 400 no usable address, or the address is another account's; 403 unknown and not to be created,
        or the account is switched off
    """
    email = clean_email(identity.email)
    report = Report()
    login = _find(identity)
    if login is None:
        with connection.cursor() as cursor:
            # Two first sign-ins of one person, by whatever ways, come one after the other; the second finds the first.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [FIRST_ACCOUNT_LOCK])
        login = _find(identity) or _link(identity, email, rules, report)
    user = login.user
    if not user.is_active:
        raise Refused(_("This account is switched off. Ask your administrator."), code="account_off")
    if not report.is_new:
        user = _bring_up_to_date(user, identity, email, rules, report)
    if rules.source is not None:
        _sync_groups(user, identity, rules, report)
    login.last_seen_at = timezone.now()
    login.last_report = report.as_json()
    login.save(update_fields=["last_seen_at", "last_report"])
    note("user.admit", user, user, {"provider": identity.provider, **login.last_report})
    return user, report


def _find(identity: ExternalIdentity) -> ExternalLogin | None:
    rows = ExternalLogin.objects.select_related("user")
    return rows.filter(provider=identity.provider, subject=identity.subject).first()


def _link(identity: ExternalIdentity, email: str, rules: Admission, report: Report) -> ExternalLogin:
    by_scim = ExternalLogin.objects.filter(provider=f"scim:{identity.provider}", subject=identity.subject).first()
    user = by_scim.user if by_scim else User.objects.filter(email=email).first()
    if by_scim is not None:
        # The directory made this account for the same id of the same provider: surer than any address.
        report.is_linked = True
    elif user is not None:
        if not (rules.may_merge and identity.is_verified):
            raise UserError(
                _("This e-mail address already belongs to an account. Sign in as before, or ask your administrator."),
                code="email_taken",
            )
        if user.is_address_claimed and displace(user):
            report.changed["password"] = ("set", "removed")
        report.is_linked = True
    elif rules.may_create:
        # An address the provider does not vouch for is somebody's claim about themselves: still an account of its own.
        user = create_account(
            name=identity.name or email,
            email=email,
            password=None,
            role=identity.role,
            by=None,
            action="user.sign_up",
            profile_image_url=identity.picture,
        )
        if not identity.is_verified:
            User.objects.filter(pk=user.pk).update(is_address_claimed=True)
        report.is_new = True
    else:
        raise Refused(
            _("You have no account here yet, and it is not made by signing in. Ask your administrator."),
            code="unknown_person",
        )
    assert user is not None
    return ExternalLogin.objects.create(user=user, provider=identity.provider, subject=identity.subject)


def displace(user: User) -> bool:
    """The owner of an address takes over an account that somebody opened with it unproven: whoever that was keeps no
    way in. Not so the first administrator, whose own account it is: their password is the way in when a provider is
    away."""
    user.is_address_claimed = False
    user.save(update_fields=["is_address_claimed"])
    if user.pk == primary_admin_id():
        return False
    user.set_unusable_password()
    user.save(update_fields=["password", "updated_at"])
    tokens.revoke_all(user)
    end_keys(user, by=None)
    reset_factors(user, by=None)
    # Another provider that did not vouch for the address either is such a way in, too.
    ended = ExternalLogin.objects.filter(user=user).exclude(provider__startswith="scim:")
    OAuthSession.objects.filter(user=user).delete()
    note("user.displace", user, None, {"logins": sorted(ended.values_list("provider", flat=True))})
    ended.delete()
    tell(user)
    return True


def _bring_up_to_date(user: User, identity: ExternalIdentity, email: str, rules: Admission, report: Report) -> User:
    wanted = {"role": identity.role if identity.role in Role.values else None}
    wanted |= {"name": identity.name if "name" in rules.updates else None}
    wanted |= {"profile_image_url": identity.picture if "picture" in rules.updates else None}
    wanted |= {"email": email if "email" in rules.updates else None}
    for name, value in wanted.items():
        before = getattr(user, name)
        if not value or value == before:
            continue
        try:
            # Each by itself: an address that somebody else has must not keep the role from changing.
            user = update_user(user, by=None, **{name: value})
            if name == "email" and not identity.is_verified:
                user.is_address_claimed = True
                user.save(update_fields=["is_address_claimed"])
        except UserError as error:
            log.warning("sign-in by %s: %s of %s stays: %s", identity.provider, name, user.pk, error.message)
            report.kept[name] = error.message
        else:
            is_long = name == "profile_image_url"
            report.changed[name] = ("", "changed") if is_long else (str(before), str(value))
    return user


def _sync_groups(user: User, identity: ExternalIdentity, rules: Admission, report: Report) -> None:
    assert rules.source is not None
    try:
        with transaction.atomic():
            plan = apply_sync(
                user,
                identity.groups,
                source=rules.source,
                create_missing=rules.may_create_groups,
                blocked=rules.blocked,
                share=rules.group_share,
            )
    except UserError as error:
        # The field's rule: who may come in comes in; the report and the log say that the groups are as before.
        log.warning("sign-in by %s: groups of %s stay: %s", identity.provider, user.pk, error.message)
        report.kept["groups"] = error.message
        return
    if plan.is_absent:
        report.groups["absent"] = []
    for part in ("add", "remove", "create", "unknown", "kept"):
        if names := getattr(plan, part):
            report.groups[part] = list(names)
