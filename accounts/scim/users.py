"""People as SCIM sees and changes them: only accounts that it made or took over."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext as _
from scim2_models import InvalidValueException, MutabilityException, NotFoundException, PatchOp, UniquenessException

from accounts.config import ScimConfig
from accounts.models import ExternalLogin, Role, ScimAccount, ScimEmail, User
from accounts.scim import shapes
from accounts.scim.asked import Wanted, check_version, version
from accounts.scim.filters import Attributes, Column, Rows
from accounts.services import Program, clean_email, create_account, off_board, update_user
from accounts.services.guards import note
from accounts.services.provisioning import displace
from owui.lib.errors import Refused
from rbac.models import Membership, MembershipSource
from rbac.services import apply_sync

SCIM = Program("SCIM")
SHAPE = shapes.User
_LONGEST = 255


def provider() -> str:
    """Whose ids `externalId` holds, as an `ExternalLogin` names them."""
    return f"scim:{ScimConfig.load().auth_provider or 'default'}"


def _ids() -> QuerySet[ExternalLogin]:
    """The rows in which an externalId is looked up: ours, and those of the provider whose ids the client sends."""
    named = ScimConfig.load().auth_provider
    return ExternalLogin.objects.filter(provider__in=[provider(), named] if named else [provider()])


def _memberships() -> QuerySet[Membership]:
    return Membership.objects.filter(source=MembershipSource.SCIM)


ATTRIBUTES: Attributes = {
    ("id", None): Column("pk", "id"),
    ("external_id", None): Rows(_ids, "user", {"value": Column("subject", "exact")}),
    ("external_id", "value"): Column("external_id", "exact"),
    ("user_name", None): Column("scim_account__user_name"),
    ("display_name", None): Column("scim_account__display_name"),
    ("name", "formatted"): Column("scim_account__formatted"),
    ("name", "family_name"): Column("scim_account__family_name"),
    ("name", "given_name"): Column("scim_account__given_name"),
    ("active", None): Column("is_active", "bool"),
    ("emails", None): Rows(
        ScimEmail.objects.all,
        "account",
        {"value": Column("value"), "type": Column("type"), "primary": Column("is_primary", "bool")},
    ),
    ("emails", "value"): Column("email"),
    ("groups", None): Rows(_memberships, "user", {"value": Column("group_id", "id"), "display": Column("group__name")}),
    ("meta", "created"): Column("scim_account__created_at", "time"),
    ("meta", "last_modified"): Column("modified", "time"),
}


def everything(wanted: Wanted | None = None) -> QuerySet[User]:
    """Everybody SCIM owns, with what is asked for; so many statements however many people."""
    wanted = wanted or Wanted()
    external = ExternalLogin.objects.filter(user=OuterRef("pk"), provider=provider()).values("subject")[:1]
    found = (
        User.objects.filter(scim_account__isnull=False, scim_account__deleted_at=None)
        .select_related("scim_account")
        # Selected as a subquery it would be asked for every row that a page skips: only an order needs it.
        .alias(external_id=Subquery(external))
        .annotate(modified=Greatest("updated_at", "scim_account__updated_at"))
    )
    if wanted.has("externalId"):
        own = ExternalLogin.objects.filter(provider=provider())
        found = found.prefetch_related(Prefetch("external_logins", own, to_attr="scim_logins"))
    if wanted.has("emails"):
        found = found.prefetch_related(Prefetch("scim_account__emails", ScimEmail.objects.order_by("pk")))
    if wanted.has("groups"):
        rows = _memberships().select_related("group").order_by("group__name")
        found = found.prefetch_related(Prefetch("memberships", rows, to_attr="scim_memberships"))
    return found


def get(pk: str, wanted: Wanted | None = None) -> User:
    """One of them; 404 for everybody else."""
    try:
        key = uuid.UUID(pk)
    except ValueError:
        raise NotFoundException(detail="There is no such user.") from None
    user = everything(wanted).filter(pk=key).first()
    if user is None:
        raise NotFoundException(detail="There is no such user.")
    return user


def external_id(user: Any) -> str | None:
    """The client's id for somebody from `everything`."""
    return user.scim_logins[0].subject if user.scim_logins else None


def many_as_json(found: Sequence[Any], base: str, wanted: Wanted) -> list[dict[str, Any]]:
    return [as_json(user, base, wanted) for user in found]


def as_json(user: Any, base: str, wanted: Wanted) -> dict[str, Any]:
    """A person as the client gets them."""
    account = user.scim_account
    name = {"formatted": account.formatted, "familyName": account.family_name, "givenName": account.given_name}
    found: dict[str, Any] = {
        "schemas": [str(SHAPE.__schema__)],
        "id": str(user.pk),
        "externalId": external_id(user) if wanted.has("externalId") else "",
        "userName": account.user_name,
        "name": {key: value for key, value in name.items() if value},
        "displayName": account.display_name,
        "active": user.is_active,
    }
    if wanted.has("emails"):
        found["emails"] = [_email_json(email) for email in account.emails.all()]
    if wanted.has("groups"):
        found["groups"] = [
            {"value": str(row.group_id), "$ref": f"{base}/Groups/{row.group_id}", "display": row.group.name}
            for row in user.scim_memberships
        ]
    found["meta"] = {
        "resourceType": "User",
        "created": account.created_at.isoformat(),
        "lastModified": user.modified.isoformat(),
        "location": f"{base}/Users/{user.pk}",
        "version": version(user.modified),
    }
    return wanted.pick({key: value for key, value in found.items() if value not in (None, "", [], {})})


def _email_json(email: ScimEmail) -> dict[str, Any]:
    found = {"value": email.value, "type": email.type or None, "primary": email.is_primary}
    return {key: value for key, value in found.items() if value is not None}


# ------------------------------------------------------------------------------------------------------------ changes
@transaction.atomic
def create(resource: shapes.User) -> User:
    """A new account, or one that is taken over: the same person at the sign-in provider, the same address if
    SCIM_ADOPT_ACCOUNTS allows it, or one that SCIM itself deleted and that comes back under its old externalId.

    :raises UniquenessException: 409 the name, address or externalId is somebody else's
    """
    address = clean_email(_primary(resource))
    user = _known(resource, address)
    is_new = user is None
    if user is None:
        active = resource.active is not False
        # The directory has decided that they belong here, so they do not wait for approval.
        user = create_account(name=_name(resource), email=address, password=None, by=SCIM, role=Role.USER)
        resource.active = active
    elif user.role == Role.PENDING and resource.active is not False:
        user = update_user(user, by=SCIM, role=Role.USER)
    if ScimAccount.objects.filter(user_name__iexact=resource.user_name, deleted_at=None).exclude(pk=user.pk).exists():
        raise UniquenessException(detail="This userName is somebody else's.")
    account, _made = ScimAccount.objects.update_or_create(
        pk=user.pk, defaults={"user_name": resource.user_name or "", "deleted_at": None, "updated_at": timezone.now()}
    )
    if resource.active is None:
        resource.active = True
    note("user.scim.create" if is_new else "user.scim.adopt", user, SCIM, {"user_name": account.user_name})
    return _apply(user, account, resource, is_new=is_new, is_linked=not is_new)


def _known(resource: shapes.User, address: str) -> User | None:
    """The account that the new resource is about, when there is one."""
    logins = list(_ids().filter(subject=resource.external_id or "").select_related("user__scim_account"))
    by_address = User.objects.filter(email=address).select_related("scim_account").first()
    # Ours before the provider's: a person whom SCIM deleted comes back as who they were.
    for login in sorted(logins, key=lambda login: login.provider != provider()):
        if _is_live(login.user):
            raise UniquenessException(detail="This externalId is somebody else's.")
        return login.user
    if by_address is None:
        return None
    if _is_live(by_address) or not ScimConfig.load().adopt_accounts:
        raise UniquenessException(detail="This e-mail address belongs to an account that exists already.")
    if resource.external_id and by_address.external_logins.filter(provider=provider()).exists():
        # An address that was given to somebody else must not bring the former person's chats along.
        raise UniquenessException(detail="This e-mail address belongs to an account with another externalId.")
    if by_address.is_address_claimed:
        displace(by_address)
    return by_address


def _is_live(user: User) -> bool:
    account = getattr(user, "scim_account", None)
    return account is not None and account.deleted_at is None


@transaction.atomic
def replace(pk: str, resource: shapes.User, *, if_match: str = "") -> User:
    """PUT. What is left out is cleared, except whether the account is on and its externalId."""
    user, account = _locked(pk, if_match)
    if resource.external_id is None:
        resource.external_id = external_id(user)
    return _apply(user, account, resource)


@transaction.atomic
def patch(pk: str, operations: PatchOp[Any], *, if_match: str = "") -> User:
    """PATCH: all operations or none."""
    user, account = _locked(pk, if_match)
    resource = _as_resource(user)
    operations.patch(resource)
    if resource.active is None:
        raise MutabilityException(detail="active is true or false; it cannot be removed.")
    return _apply(user, account, resource)


@transaction.atomic
def delete(pk: str, *, if_match: str = "") -> None:
    """The person is gone for the client and off-boarded here. The account stays, switched off: what a regulated company
    wrote must not vanish because a directory was tidied up. Administrators may delete it for good."""
    user, account = _locked(pk, if_match)
    if user.role == Role.ADMIN:
        raise Refused(_("Administrators are not deleted by SCIM. Take the role away first, or set active to false."))
    apply_sync(user, [], source=MembershipSource.SCIM, create_missing=False, by=SCIM)
    off_board(user, by=SCIM, why="scim")
    account.deleted_at = account.updated_at = timezone.now()
    account.save(update_fields=["deleted_at", "updated_at"])
    note("user.scim.delete", user, SCIM, {"user_name": account.user_name})


def _locked(pk: str, if_match: str) -> tuple[User, ScimAccount]:
    """A person nobody else changes by SCIM until this transaction ends."""
    try:
        rows = ScimAccount.objects.select_for_update().filter(pk=uuid.UUID(pk), deleted_at=None)
    except ValueError:
        raise NotFoundException(detail="There is no such user.") from None
    account = rows.first()
    if account is None:
        raise NotFoundException(detail="There is no such user.")
    user = get(pk)  # as they are now that nobody else can change them
    check_version(if_match, version(user.modified))  # type: ignore[attr-defined]
    return user, account


def _as_resource(user: Any) -> shapes.User:
    account = user.scim_account
    name = shapes.Name(
        formatted=account.formatted or None,
        family_name=account.family_name or None,
        given_name=account.given_name or None,
    )
    return shapes.User(
        id=str(user.pk),
        external_id=external_id(user),
        user_name=account.user_name,
        name=name if account.formatted or account.family_name or account.given_name else None,
        display_name=account.display_name or None,
        active=user.is_active,
        emails=[
            shapes.Email(value=email.value, type=email.type or None, primary=email.is_primary)
            for email in account.emails.all()
        ],
    )


def _apply(
    user: User, account: ScimAccount, resource: shapes.User, *, is_new: bool = False, is_linked: bool = False
) -> User:
    """Makes account and person what the resource says; writes, logs and reports only what differs."""
    before = {field: getattr(account, field) for field in _FIELDS}
    after = _values(resource)
    report: dict[str, Any] = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
    if report:
        for name, value in after.items():
            setattr(account, name, value)
        taken = ScimAccount.objects.filter(user_name__iexact=account.user_name, deleted_at=None).exclude(pk=user.pk)
        if "user_name" in report and taken.exists():
            raise UniquenessException(detail="This userName is somebody else's.")
    emails = [(email.value or "", email.type or "", email.primary) for email in resource.emails or []]
    present = [(email.value, email.type, email.is_primary) for email in account.emails.order_by("pk")]
    if emails != present:
        account.emails.all().delete()
        ScimEmail.objects.bulk_create(
            ScimEmail(account=account, value=value, type=kind, is_primary=primary) for value, kind, primary in emails
        )
    changes = {"name": _name(resource), "email": clean_email(_primary(resource))}
    changes = {field: value for field, value in changes.items() if getattr(user, field) != value}
    report |= {field: [getattr(user, field), value] for field, value in changes.items()}
    if changes:
        user = update_user(user, by=SCIM, **changes)
    if resource.active is not None and resource.active != user.is_active:
        report["active"] = [user.is_active, resource.active]
        on = resource.active
        user = update_user(user, by=SCIM, is_active=True) if on else off_board(user, by=SCIM, why="scim")
    moved = _set_external_id(user, resource.external_id, report, is_new, is_linked)
    if report or moved or emails != present:
        account.updated_at = timezone.now()
        account.save()
        note("user.scim.update", user, SCIM, {"changed": sorted(report)})
    return get(str(user.pk))


_FIELDS = ("user_name", "display_name", "formatted", "given_name", "family_name")


def _values(resource: shapes.User) -> dict[str, str]:
    name = resource.name or shapes.Name()
    found = {
        "user_name": (resource.user_name or "").strip(),
        "display_name": resource.display_name or "",
        "formatted": name.formatted or "",
        "given_name": name.given_name or "",
        "family_name": name.family_name or "",
    }
    for field, value in found.items():
        _check(field, value)
    if not found["user_name"]:
        raise InvalidValueException(detail="userName must not be empty.")
    for email in resource.emails or []:
        _check("emails.value", email.value or "", 254)
        _check("emails.type", email.type or "", 50)
    _check("externalId", resource.external_id or "")
    return found


def _check(field: str, value: str, longest: int = _LONGEST) -> None:
    if len(value) > longest:
        raise InvalidValueException(detail=f"{field} has at most {longest} characters.")
    if "\0" in value:
        raise InvalidValueException(detail=f"{field} holds a NUL character.")


def _name(resource: shapes.User) -> str:
    """What people here see: displayName, else the name as it is written, else its parts, else userName."""
    name = resource.name or shapes.Name()
    parts = " ".join(part for part in (name.given_name, name.family_name) if part)
    found = resource.display_name or name.formatted or parts or resource.user_name or ""
    return " ".join(found.split())[:_LONGEST] or str(resource.user_name)


def _primary(resource: shapes.User) -> str:
    """The account's own address: the primary one, else the first, else userName when that is an address."""
    emails = [email for email in resource.emails or [] if email.value]
    chosen = next((email for email in emails if email.primary), emails[0] if emails else None)
    if chosen is not None:
        return str(chosen.value)
    if "@" in (resource.user_name or ""):
        return str(resource.user_name)
    raise InvalidValueException(detail="An e-mail address is needed: emails, or a userName that is one.")


def _set_external_id(user: User, value: str | None, report: dict[str, Any], is_new: bool, is_linked: bool) -> bool:
    """Keeps the client's id for the person, with what this change did. Whether the id changed."""
    rows = ExternalLogin.objects.filter(user=user, provider=provider())
    login = rows.first()
    if value and ExternalLogin.objects.filter(provider=provider(), subject=value).exclude(user=user).exists():
        raise UniquenessException(detail="This externalId is somebody else's.")
    told: dict[str, Any] = {"is_new": True} if is_new else {"is_linked": True} if is_linked else {}
    told |= {"changed": report} if report and not is_new else {}
    if not value:
        return bool(rows.delete()[0])
    if login is None:
        ExternalLogin.objects.create(user=user, provider=provider(), subject=value, last_report=told)
        return True
    changed = login.subject != value
    if changed or told:
        login.subject, login.last_report = value, told
        login.save(update_fields=["subject", "last_report"])
    return changed
