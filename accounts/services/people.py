"""Changing accounts and finding them."""

from __future__ import annotations

import uuid
from typing import Any
from zoneinfo import available_timezones

from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import OuterRef, Q, QuerySet
from django.db.models.functions import JSONObject
from django.utils.translation import gettext as _

from accounts import tokens
from accounts.backends.password import fits, hash_password
from accounts.models import DirectoryAbsence, ExternalLogin, Role, Session, User
from accounts.services import throttle
from accounts.services.guards import (
    check_lengths,
    check_password_rules,
    clean_email,
    guard_primary,
    last_administrator_stays,
    note,
    primary_admin_id,
    tell,
)
from accounts.services.keys import end_keys
from accounts.trusted import refuse_passwords
from owui.config.sections import UiConfig
from owui.lib.errors import Missing, Refused, UserError
from rbac.history import acting
from rbac.sharing import Person


def get_user(pk: Any) -> User:
    """A person by id text; 404 otherwise."""
    try:
        user = User.objects.filter(pk=uuid.UUID(str(pk))).first()
    except ValueError:
        user = None
    if user is None:
        raise Missing(_("This person does not exist."))
    return user


def search_users(query: str) -> Any:
    """People by name or e-mail, for lists and sharing pickers."""
    users = User.objects.order_by("name", "pk")
    return users.filter(Q(name__icontains=query) | Q(email__icontains=query)) if query else users


def with_logins(users: QuerySet[User]) -> QuerySet[User]:
    """With each person's ids elsewhere as `known_logins`, in the same statement."""
    rows = ExternalLogin.objects.filter(user=OuterRef("pk")).order_by("pk")
    pairs = rows.values_list(JSONObject(provider="provider", subject="subject"))
    return users.annotate(known_logins=ArraySubquery(pairs))


def contact() -> dict[str, str] | None:
    """Whom people who wait may write to: the configured address, else the first administrator's."""
    first = User.objects.filter(role=Role.ADMIN, is_active=True).order_by("created_at", "pk").first()
    email = UiConfig.load().admin_email or (first.email if first else "")
    return {"name": first.name if first else "", "email": email} if email else None


@transaction.atomic
def update_user(user: User, *, by: Person | None, **changes: Any) -> User:
    """An administrator's change of role, name, e-mail, picture, password, or of whether the person may sign in."""
    guard_primary(user, by)
    user = User.objects.select_for_update().get(pk=user.pk)
    is_primary = user.pk == primary_admin_id()
    before = {f: getattr(user, f) for f in ("role", "name", "email", "is_active") if f in changes}
    role = changes.get("role")
    if role is not None:
        if role not in Role.values:
            raise UserError(_("The role must be admin, user or pending."))
        if is_primary and role != Role.ADMIN:
            raise Refused(_("The first administrator cannot give up that role."), code="primary_admin")
        user.role = role
    if changes.get("is_active") is not None:
        if is_primary and not changes["is_active"]:
            raise Refused(_("The first administrator's account cannot be switched off."), code="primary_admin")
        user.is_active = changes["is_active"]
    if changes.get("email"):
        email = clean_email(changes["email"])
        if User.objects.filter(email=email).exclude(pk=user.pk).exists():
            raise UserError(_("This e-mail address is already registered."), code="email_taken")
        user.email, user.is_address_claimed = email, False
    check_lengths(changes.get("profile_image_url"))
    for field in ("name", "profile_image_url"):
        if changes.get(field):
            setattr(user, field, changes[field])
    if changes.get("password"):
        check_password_rules(changes["password"])
        user.set_password(changes["password"])
    acting(by)
    with last_administrator_stays():
        fields = ["role", "is_active", "email", "is_address_claimed", "name", "profile_image_url", "password"]
        user.save(update_fields=[*fields, "updated_at"])
    if changes.get("password") or not user.is_active:
        tokens.revoke_all(user)
    if before.get("is_active", user.is_active) != user.is_active:
        # Somebody has decided: that the directory has the person again must not undo it.
        DirectoryAbsence.objects.filter(login__user=user).delete()
    if before.get("is_active") and not user.is_active:
        end_keys(user, by=by)
    after = {f: getattr(user, f) for f in before}
    detail = {"before": before, "after": after} | ({"password": "changed"} if changes.get("password") else {})
    note("user.update", user, by, detail)
    tell(user)
    return user


@transaction.atomic
def delete_user(user: User, *, by: User) -> None:
    """Removes an account. 403 for oneself and for the primary administrator."""
    if user.pk == by.pk:
        raise Refused(_("You cannot delete your own account."), code="self_delete")
    guard_primary(user, by)
    acting(by)
    note("user.delete", user, by)
    tell(user)
    with last_administrator_stays():
        user.delete()


@transaction.atomic
def update_profile(
    user: User,
    *,
    name: str,
    profile_image_url: str | None = None,
    bio: str | None = None,
    **more: Any,
) -> User:
    """A person's own name, picture and text.

    :param more: `gender` and `date_of_birth`, where they were sent; None takes back what was said
    """
    if not name.strip():
        raise UserError(_("Please enter a name."))
    user.name = name.strip()
    check_lengths(profile_image_url, bio)
    if profile_image_url:
        user.profile_image_url = profile_image_url
    if bio is not None:
        user.bio = bio
    if "gender" in more:
        user.gender = (more["gender"] or "").strip()[:255]
    if "date_of_birth" in more:
        user.date_of_birth = more["date_of_birth"]
    # Only these: the role that was read with the request may have been changed since.
    fields = ["name", "profile_image_url", "bio", "gender", "date_of_birth", "updated_at"]
    user.save(update_fields=fields)
    note("user.profile", user, user)
    return user


@transaction.atomic
def set_timezone(user: User, name: str) -> None:
    """Where the person is, as the browser says; 400 for no zone of the database of zones."""
    if name not in available_timezones():
        raise UserError(_("This is no known time zone."), code="timezone")
    User.objects.filter(pk=user.pk).update(timezone=name)


def change_password(user: User, *, old: str, new: str, keep: Session | None = None) -> None:
    """A person's own change; ends all other sessions.

    :param keep: the session that asks for it, which stays
    :raises UserError: 400 wrong or weak; 409 changed by somebody else at the same moment; 429 too many tries
    """
    refuse_passwords()
    seen = User.objects.values_list("password", flat=True).get(pk=user.pk)
    with throttle.attempt(email=user.email, ip=None, kind="own"):
        if not fits(old, seen)[0]:
            raise UserError(_("The current password is wrong."), code="credentials")
    check_password_rules(new)
    hashed = hash_password(new)
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        if user.password != seen:
            text = _("Your password was changed by somebody else just now. Sign in again and look whether it was you.")
            raise UserError(text, status=409, code="changed_meanwhile")
        user.password = hashed
        user.save(update_fields=["password", "updated_at"])
        tokens.revoke_all(user, keep=keep)
        note("user.password", user, user)
        tell(user)
