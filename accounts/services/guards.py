"""What every verb about an account asks or does besides: rules of its fields, the primary administrator, the log."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.backends.identity import lower_address
from accounts.models import User
from owui.audit.record import record
from owui.lib.errors import Refused, UserError
from rbac.sharing import Person
from rbac.signals import access_changed

LONGEST_PICTURE, LONGEST_BIO = 500_000, 5000


@dataclass(slots=True)
class Program:
    """Who acts when it is no person: a provisioning client, a directory sync. It may what an administrator may, but
    not touch the first administrator."""

    name: str
    id: Any = None
    email: str = ""
    role: str = "admin"
    is_active: bool = True


def clean_email(email: str) -> str:
    """Lower case, checked. 400 for anything that is no address."""
    email = lower_address(email)
    try:
        if email != email.lower():
            raise ValidationError("a sign that is like a letter and is none")
        validate_email(email)
    except ValidationError as error:
        raise UserError(_("This is not a valid e-mail address."), code="email_invalid") from error
    return email


def check_password_rules(password: str) -> None:
    """400 with the hint when the password does not fit the organisation's rule."""
    if not password:
        raise UserError(_("Please choose a password."), code="password")
    if len(password) > 1024:
        raise UserError(_("The password is too long. Use at most 1,024 characters."), code="password")
    boot = settings.BOOT
    if boot.enable_password_validation and not re.match(boot.password_validation_regex_pattern, password):
        raise UserError(
            boot.password_validation_hint
            or _("The password is too weak. Use at least 8 characters with upper and lower case, a digit and a sign."),
            code="password",
        )


def check_lengths(profile_image_url: str | None, bio: str | None = None) -> None:
    """Every list of people and of what they own carries these: one person's must not make them unreadable."""
    if len(profile_image_url or "") > LONGEST_PICTURE:
        raise UserError(_("This picture is too large. Choose a smaller one."), status=413, code="too_large")
    if len(bio or "") > LONGEST_BIO:
        raise UserError(_("The text about you is too long. Use at most 5,000 characters."), code="too_large")


def note(action: str, user: User, by: Person | None, detail: dict[str, Any] | None = None) -> None:
    record(action, by=by, object_type="user", object_id=str(user.pk), object_label=user.email, detail=detail or {})


def tell(user: User) -> None:
    """Sockets of the person ask again who they serve."""
    pk = str(user.pk)
    transaction.on_commit(lambda: access_changed.send(sender=User, resource_type="user", resource_id=pk, user_ids=[pk]))


def primary_admin_id() -> uuid.UUID | None:
    """The oldest account; others may not edit it."""
    return User.objects.order_by("created_at", "pk").values_list("pk", flat=True).first()


def guard_primary(user: User, by: Person | None) -> None:
    """403 when somebody else touches the primary administrator; an operator at the machine (None) may."""
    if by is not None and user.pk == primary_admin_id() and by.id != user.pk:
        raise Refused(_("The first administrator's account can only be changed by its owner."), code="primary_admin")


@contextmanager
def last_administrator_stays() -> Iterator[None]:
    """The database's guard said for people. It also holds where two administrators demote each other at once."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "last active administrator" not in str(error):
            raise
        text = _("This is the last active administrator. Make somebody else administrator first.")
        raise Refused(text, code="last_admin") from error
