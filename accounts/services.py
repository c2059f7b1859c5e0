"""Account verbs: sign up, sign in, approve, change, leave. Each with its audit entry in the same transaction."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import tokens
from accounts.backends.password import hash_password
from accounts.config import ApiKeyConfig, SignInConfig
from accounts.models import ApiKey, Role, Session, SignInFailure, User
from owui.audit.record import record
from owui.config import store
from owui.config.sections import UiConfig
from owui.lib.errors import ACCESS_PROHIBITED, Missing, Refused, UserError
from rbac.history import acting
from rbac.models import Group
from rbac.permissions import may
from rbac.services import add_members
from rbac.signals import access_changed

TRIES, WINDOW = 15, timedelta(minutes=3)
LONGEST_PICTURE, LONGEST_BIO = 500_000, 5000
_FIRST_ACCOUNT_LOCK = 0x6F777569


def has_users() -> bool:
    """False until the first account exists."""
    return User.objects.exists()


def signup_open() -> bool:
    """Whether the sign-up form works. The first account does not need ENABLE_SIGNUP, but the form must not be switched
    off (ENABLE_INITIAL_ADMIN_SIGNUP lets it in even then): behind single sign-on no stranger becomes administrator."""
    boot, config = settings.BOOT, SignInConfig.load()
    if not has_users():
        return boot.enable_initial_admin_signup or (config.enable_login_form and boot.enable_password_auth)
    return config.enable_signup and config.enable_login_form and boot.enable_password_auth


def sign_up(*, name: str, email: str, password: str) -> User:
    """A new account by form. The first one ever becomes administrator; exactly one, however many race for it.

    :raises UserError: 400 bad e-mail, taken, weak or empty password; 403 sign-up is closed
    """
    if not signup_open():
        raise Refused(ACCESS_PROHIBITED, code="signup_closed")
    return create_account(
        name=name, email=email, password=password, by=None, action="user.sign_up", only_while_open=True
    )


def create_account(
    *,
    name: str,
    email: str,
    password: str | None,
    by: User | None,
    role: str | None = None,
    action: str = "user.create",
    only_while_open: bool = False,
) -> User:
    """The one way an account comes to be; decides the role of the first and of later ones.

    Not one transaction: making the hash takes a tenth of a second on purpose, and holds neither lock nor connection.
    """
    email = clean_email(email)
    name = name.strip()
    if not name:
        raise UserError(_("Please enter a name."))
    if password is not None:
        check_password_rules(password)
    hashed = hash_password(password)
    return _insert_account(name, email, hashed, by, role, action, only_while_open)


@transaction.atomic
def _insert_account(
    name: str, email: str, hashed: str, by: User | None, role: str | None, action: str, only_while_open: bool
) -> User:
    with connection.cursor() as cursor:
        # Serialises only the question "am I the first?"; later accounts hold it for a millisecond.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_FIRST_ACCOUNT_LOCK])
    if only_while_open and not signup_open():
        # Who loses the race for the first account is a later one, and needs an open sign-up.
        raise Refused(ACCESS_PROHIBITED, code="signup_closed")
    if User.objects.filter(email=email).exists():
        raise UserError(
            _("This e-mail address is already registered. Sign in instead, or use another address."), code="email_taken"
        )
    config = SignInConfig.load()
    if not has_users():
        role = Role.ADMIN
    elif role not in Role.values:
        role = config.default_user_role if config.default_user_role in Role.values else Role.PENDING
    acting(by)
    user = User.objects.create(email=email, password=hashed, name=name, role=role)
    _note(action, user, by or user, {"role": role})
    if config.default_group_id and (group := _group(config.default_group_id)):
        add_members(group, [user.pk], by=by or user)
    return user


def _group(pk: str) -> Group | None:
    try:
        return Group.objects.filter(pk=uuid.UUID(pk)).first()
    except ValueError:
        return None


def clean_email(email: str) -> str:
    """Lower case, checked. 400 for anything that is no address."""
    email = email.strip().lower()
    try:
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


def sign_in(*, email: str, password: str, user_agent: str = "", ip: str | None = None) -> tuple[User, str, Session]:
    """Checks a password and opens a session.

    :returns: the person, the token, the session
    :raises UserError: 400 wrong e-mail or password (the same text for both), 403 switched off, 429 too many tries
    """
    if not settings.BOOT.enable_password_auth:
        raise Refused(_("Sign-in with a password is switched off. Use your organisation's sign-in."))
    email = email.strip().lower()[:254]
    since = timezone.now() - WINDOW
    if SignInFailure.objects.filter(email=email, at__gte=since).count() >= TRIES:
        raise UserError(_("Too many failed sign-ins for this address. Wait three minutes and try again."), status=429)
    user = authenticate(None, username=email, password=password)
    if user is None:
        SignInFailure.objects.filter(at__lt=since).delete()
        SignInFailure.objects.create(email=email)
        raise UserError(_("The e-mail or password is wrong. Check both and try again."), code="credentials")
    assert isinstance(user, User)
    token, session = open_session(user, auth_method="password", user_agent=user_agent, ip=ip)
    return user, token, session


@transaction.atomic
def open_session(
    user: User, *, auth_method: str, user_agent: str = "", ip: str | None = None, by: User | None = None
) -> tuple[str, Session]:
    """A session for a person whose proof was accepted; every sign-in way ends here.

    :param by: who opened it when it was not the person, so that the log names the right one
    """
    token, session = tokens.issue(user, auth_method=auth_method, user_agent=user_agent, ip=ip)
    _note("user.sign_in", user, by or user, {"method": auth_method, "session": str(session.pk)})
    return token, session


@transaction.atomic
def sign_out(user: User, session: Session | None) -> None:
    """Ends this session only."""
    if session is not None:
        tokens.revoke(session)
        _note("user.sign_out", user, user)
        _tell(user)


@transaction.atomic
def end_session(session: Session, *, by: User) -> None:
    """Ends one session of a person, as an administrator."""
    guard_primary(session.user, by)
    tokens.revoke(session)
    _note("user.session.revoke", session.user, by, {"session": str(session.pk)})
    _tell(session.user)


@transaction.atomic
def revoke_sessions(user: User, *, by: User) -> None:
    """Ends every session of a person, sockets included."""
    guard_primary(user, by)
    tokens.revoke_all(user)
    _note("user.sessions.revoke", user, by)
    _tell(user)


def _note(action: str, user: User, by: User | None, detail: dict[str, Any] | None = None) -> None:
    record(action, by=by, object_type="user", object_id=str(user.pk), object_label=user.email, detail=detail or {})


def _tell(user: User) -> None:
    """Sockets of the person ask again who they serve."""
    pk = str(user.pk)
    transaction.on_commit(lambda: access_changed.send(sender=User, resource_type="user", resource_id=pk, user_ids=[pk]))


def primary_admin_id() -> uuid.UUID | None:
    """The oldest account; others may not edit it."""
    return User.objects.order_by("created_at", "pk").values_list("pk", flat=True).first()


def guard_primary(user: User, by: User | None) -> None:
    """403 when somebody else touches the primary administrator; an operator at the machine (None) may."""
    if by is not None and user.pk == primary_admin_id() and by.pk != user.pk:
        raise Refused(_("The first administrator's account can only be changed by its owner."), code="primary_admin")


@transaction.atomic
def update_user(user: User, *, by: User | None, **changes: Any) -> User:
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
        user.email = email
    _check_lengths(changes.get("profile_image_url"))
    for field in ("name", "profile_image_url"):
        if changes.get(field):
            setattr(user, field, changes[field])
    if changes.get("password"):
        check_password_rules(changes["password"])
        user.set_password(changes["password"])
    acting(by)
    with _last_administrator_stays():
        user.save(update_fields=["role", "is_active", "email", "name", "profile_image_url", "password", "updated_at"])
    if changes.get("password") or not user.is_active:
        tokens.revoke_all(user)
    after = {f: getattr(user, f) for f in before}
    detail = {"before": before, "after": after} | ({"password": "changed"} if changes.get("password") else {})
    _note("user.update", user, by, detail)
    _tell(user)
    return user


@contextmanager
def _last_administrator_stays() -> Iterator[None]:
    """The database's guard said for people. It also holds where two administrators demote each other at once."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "last active administrator" not in str(error):
            raise
        text = _("This is the last active administrator. Make somebody else administrator first.")
        raise Refused(text, code="last_admin") from error


@transaction.atomic
def delete_user(user: User, *, by: User) -> None:
    """Removes an account. 403 for oneself and for the primary administrator."""
    if user.pk == by.pk:
        raise Refused(_("You cannot delete your own account."), code="self_delete")
    guard_primary(user, by)
    acting(by)
    _note("user.delete", user, by)
    _tell(user)
    with _last_administrator_stays():
        user.delete()


@transaction.atomic
def change_password(user: User, *, old: str, new: str, keep: Session | None = None) -> None:
    """A person's own change; ends all other sessions.

    :param keep: the session that asks for it, which stays
    """
    user = User.objects.select_for_update().get(pk=user.pk)
    if not user.check_password(old):
        raise UserError(_("The current password is wrong."), code="credentials")
    check_password_rules(new)
    user.set_password(new)
    user.save(update_fields=["password", "updated_at"])
    tokens.revoke_all(user, keep=keep)
    _note("user.password", user, user)
    _tell(user)


def _check_lengths(profile_image_url: str | None, bio: str | None = None) -> None:
    """Every list of people and of what they own carries these: one person's must not make them unreadable."""
    if len(profile_image_url or "") > LONGEST_PICTURE:
        raise UserError(_("This picture is too large. Choose a smaller one."), status=413, code="too_large")
    if len(bio or "") > LONGEST_BIO:
        raise UserError(_("The text about you is too long. Use at most 5,000 characters."), code="too_large")


@transaction.atomic
def update_profile(user: User, *, name: str, profile_image_url: str | None = None, bio: str | None = None) -> User:
    """A person's own name, picture and text."""
    if not name.strip():
        raise UserError(_("Please enter a name."))
    user.name = name.strip()
    _check_lengths(profile_image_url, bio)
    if profile_image_url:
        user.profile_image_url = profile_image_url
    if bio is not None:
        user.bio = bio
    # Only these: the role that was read with the request may have been changed since.
    user.save(update_fields=["name", "profile_image_url", "bio", "updated_at"])
    _note("user.profile", user, user)
    return user


@transaction.atomic
def create_api_key(user: User) -> str:
    """A new key, replacing the old one. 403 when keys are off or the person may not have one."""
    _check_api_keys(user)
    key = tokens.new_api_key(user)
    _note("api_key.create", user, user, {"last_four": key[-4:]})
    return key


def read_api_key(user: User) -> str | None:
    """The person's key in clear, None when there is none. 403 when keys are off or the person may not have one."""
    _check_api_keys(user)
    return tokens.stored_api_key(user)


def _check_api_keys(user: User) -> None:
    if not ApiKeyConfig.load().enable or not may(user, "features.api_keys"):
        raise Refused(tokens.API_KEY_OFF, code="api_key_off")


@transaction.atomic
def delete_api_key(user: User, *, by: User) -> None:
    """Takes a person's key away; programs that use it stop working with the next call."""
    guard_primary(user, by)
    deleted, _rows = ApiKey.objects.filter(user=user).delete()
    if deleted:
        _note("api_key.delete", user, by)


def contact() -> dict[str, str] | None:
    """Whom people who wait may write to: the configured address, else the first administrator's."""
    first = User.objects.filter(role=Role.ADMIN, is_active=True).order_by("created_at", "pk").first()
    email = UiConfig.load().admin_email or (first.email if first else "")
    return {"name": first.name if first else "", "email": email} if email else None


def search_users(query: str) -> Any:
    """People by name or e-mail, for lists and sharing pickers."""
    users = User.objects.order_by("name", "pk")
    return users.filter(Q(name__icontains=query) | Q(email__icontains=query)) if query else users


def get_user(pk: Any) -> User:
    """A person by id text; 404 otherwise."""
    try:
        user = User.objects.filter(pk=uuid.UUID(str(pk))).first()
    except ValueError:
        user = None
    if user is None:
        raise Missing(_("This person does not exist."))
    return user


@transaction.atomic
def make_admin(*, email: str, name: str, password: str) -> tuple[User, bool]:
    """For the operator at the machine: a new administrator, or an existing account made one; the flag says which."""
    email = clean_email(email)
    user = User.objects.filter(email=email).first()
    if user is None:
        name = name or email.partition("@")[0]
        return create_account(name=name, email=email, password=password, role=Role.ADMIN, by=None), True
    changes: dict[str, Any] = {"role": Role.ADMIN, "is_active": True}
    if password:
        changes["password"] = password
    return update_user(user, by=None, **changes), False


@transaction.atomic
def ensure_configured_admin() -> User | None:
    """WEBUI_ADMIN_EMAIL and _PASSWORD make an administrator on an empty database; sign-up is then closed."""
    boot = settings.BOOT
    if not boot.webui_admin_email or not boot.webui_admin_password or has_users():
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_FIRST_ACCOUNT_LOCK])
    if has_users():
        return None  # another node was first
    user = create_account(
        name=boot.webui_admin_name, email=boot.webui_admin_email, password=boot.webui_admin_password, by=None
    )
    if not store.origin(SignInConfig.settings["enable_signup"]).locked:
        SignInConfig.save(enable_signup=False, by=user)
    return user
