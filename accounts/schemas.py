"""JSON shapes of people and sessions, as the field's clients know them."""

from __future__ import annotations

from datetime import date
from typing import Any

from ninja import Schema

from accounts.models import Session, User
from accounts.services import PATIENCE
from accounts.tokens import expires_epoch
from rbac.permissions import effective_permissions, may, with_flat_keys
from rbac.sharing import Person


class SignInForm(Schema):
    email: str
    password: str


class SignUpForm(Schema):
    name: str
    email: str
    password: str
    profile_image_url: str | None = None


class AddUserForm(SignUpForm):
    role: str | None = None


class PasswordForm(Schema):
    password: str
    new_password: str


class ProfileForm(Schema):
    name: str
    profile_image_url: str | None = None
    bio: str | None = None
    gender: str | None = None
    date_of_birth: date | None = None


class TimezoneForm(Schema):
    timezone: str


class UserUpdateForm(Schema):
    role: str | None = None
    name: str | None = None
    email: str | None = None
    profile_image_url: str | None = None
    password: str | None = None


def user_info(user: User) -> dict[str, Any]:
    """The short form, for pickers."""
    return {
        "id": str(user.id),
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "profile_image_url": user.profile_image_url,
    }


def public_info(user: User, *, with_email: bool) -> dict[str, Any]:
    """What people who are no administrators see of one another; the e-mail only where they may share with people."""
    found = {"id": str(user.id), "name": user.name, "profile_image_url": user.profile_image_url}
    return found | ({"email": user.email} if with_email else {})


def shown_info(user: User | None, to: Person) -> dict[str, Any] | None:
    """A person as another one sees them, beside what is theirs: whole to administrators, public to everybody else."""
    if user is None:
        return None
    if to.role == "admin":
        return user_info(user)
    return public_info(user, with_email=user.pk == to.id or may(to, "access_grants.allow_users"))


def logins_of(user: User) -> dict[str, dict[str, dict[str, str]]]:
    """Under which ids others know a person: `{provider: {"sub": …}}` and `{provider: {"external_id": …}}`. Listings
    read them along (`services.with_logins`), and this asks nothing more."""
    found: dict[str, dict[str, dict[str, str]]] = {"oauth": {}, "scim": {}}
    rows: Any = getattr(user, "known_logins", None)
    if rows is None:
        rows = user.external_logins.order_by("pk").values("provider", "subject")
    for row in rows:
        kind, _colon, name = row["provider"].rpartition(":")
        if kind == "scim":
            found["scim"][name] = {"external_id": row["subject"]}
        else:
            found["oauth"][row["provider"]] = {"sub": row["subject"]}
    return found


def user_json(user: User) -> dict[str, Any]:
    """The whole form, for administrators and oneself."""
    known = logins_of(user)
    return user_info(user) | {
        "username": user.username or None,
        "bio": user.bio or None,
        "gender": user.gender or None,
        "date_of_birth": user.date_of_birth.isoformat() if user.date_of_birth else None,
        "timezone": user.timezone or None,
        "presence_state": None,
        "status_emoji": None,
        "status_message": None,
        "status_expires_at": None,
        "info": user.info or None,
        "settings": user.settings or None,
        "oauth": known["oauth"] or None,
        "scim": known["scim"] or None,
        "last_active_at": int(user.last_active_at.timestamp()) if user.last_active_at else 0,
        "updated_at": int(user.updated_at.timestamp()),
        "created_at": int(user.created_at.timestamp()),
    }


def session_answer(user: User, token: str, session: Session | None) -> dict[str, Any]:
    """The session answer of every sign-in way."""
    return {
        "token": token,
        "token_type": "Bearer",
        "expires_at": expires_epoch(session) if session else None,
        **user_info(user),
        "permissions": with_flat_keys(effective_permissions(user)),
    }


def pending_answer(step: str, challenge: str) -> dict[str, Any]:
    """Instead of a session, while the second factor is still to come: `verify`, or `enroll` one."""
    return {"next_step": step, "challenge_token": challenge, "expires_in": int(PATIENCE.total_seconds())}
