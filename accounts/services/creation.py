"""How an account comes to be."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _

from accounts.backends.password import hash_password
from accounts.config import SignInConfig
from accounts.models import Role, User
from accounts.services import throttle
from accounts.services.guards import (
    check_lengths,
    check_password_rules,
    clean_email,
    note,
)
from accounts.services.people import update_user
from accounts.trusted import is_on
from owui.config import store
from owui.lib.errors import ACCESS_PROHIBITED, Refused, UserError
from rbac.history import acting
from rbac.models import Group
from rbac.services import add_members
from rbac.sharing import Person

#: held while it is decided whether a new account is the first
FIRST_ACCOUNT_LOCK = 0x6F777569


def has_users() -> bool:
    """False until the first account exists."""
    return User.objects.exists()


def signup_open() -> bool:
    """Whether the sign-up form works. The first account does not need ENABLE_SIGNUP, but the form must not be switched
    off (ENABLE_INITIAL_ADMIN_SIGNUP lets it in even then): behind single sign-on no stranger becomes administrator."""
    boot, config = settings.BOOT, SignInConfig.load()
    if not boot.webui_auth:
        return False  # whoever comes is the one administrator
    if is_on():
        return False  # a proxy in front of us makes the accounts
    if not has_users():
        return boot.enable_initial_admin_signup or (config.enable_login_form and boot.enable_password_auth)
    return config.enable_signup and config.enable_login_form and boot.enable_password_auth


def sign_up(*, name: str, email: str, password: str, profile_image_url: str = "", ip: str | None = None) -> User:
    """A new account by form. The first one ever becomes administrator; exactly one, however many race for it.

    :raises UserError: 400 bad e-mail, taken, weak or empty password; 403 sign-up is closed; 429 too many tries
    """
    if not signup_open():
        raise Refused(ACCESS_PROHIBITED, code="signup_closed")
    # "Already registered" must be said here, so a place may not ask it of a whole list of addresses.
    with throttle.attempt(email="", ip=ip, kind="sign_up"):
        return create_account(
            name=name,
            email=email,
            password=password,
            by=None,
            action="user.sign_up",
            only_while_open=True,
            profile_image_url=profile_image_url,
        )


def create_account(
    *,
    name: str,
    email: str,
    password: str | None,
    by: Person | None,
    role: str | None = None,
    action: str = "user.create",
    only_while_open: bool = False,
    profile_image_url: str = "",
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
    check_lengths(profile_image_url)
    hashed = hash_password(password)
    return _insert_account(name, email, hashed, by, role, action, only_while_open, profile_image_url or "/user.png")


@transaction.atomic
def _insert_account(
    name: str,
    email: str,
    hashed: str,
    by: Person | None,
    role: str | None,
    action: str,
    only_while_open: bool,
    profile_image_url: str,
) -> User:
    with connection.cursor() as cursor:
        # Serialises only the question "am I the first?"; later accounts hold it for a millisecond.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [FIRST_ACCOUNT_LOCK])
    if only_while_open:
        # Who loses the race for the first account is a later one, and needs an open sign-up: as it is now, for the
        # first one has closed it, perhaps on another node.
        store.clear_cache()
        if not signup_open():
            raise Refused(ACCESS_PROHIBITED, code="signup_closed")
    if User.objects.filter(email=email).exists():
        raise UserError(
            _("This e-mail address is already registered. Sign in instead, or use another address."), code="email_taken"
        )
    config = SignInConfig.load()
    is_first = not has_users()
    if not is_first and not settings.BOOT.webui_auth:
        raise Refused(_("Without authentication (WEBUI_AUTH=False) there is one account only."), code="alone")
    if is_first:
        role = Role.ADMIN
    elif role not in Role.values:
        role = config.default_user_role if config.default_user_role in Role.values else Role.PENDING
    acting(by)
    user = User.objects.create(
        email=email,
        password=hashed,
        name=name,
        role=role,
        profile_image_url=profile_image_url,
        is_address_claimed=only_while_open,
    )
    note(action, user, by or user, {"role": role})
    if is_first and only_while_open and SignInConfig.settings["enable_signup"].from_env() is not True:
        _close_sign_up(user)  # unless the operator wrote ENABLE_SIGNUP=True: then later ones wait for approval
    if config.default_group_id and (group := _group(config.default_group_id)):
        add_members(group, [user.pk], by=by or user)
    return user


def _group(pk: str) -> Group | None:
    try:
        return Group.objects.filter(pk=uuid.UUID(pk)).first()
    except ValueError:
        return None


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
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [FIRST_ACCOUNT_LOCK])
    if has_users():
        return None  # another node was first
    user = create_account(
        name=boot.webui_admin_name, email=boot.webui_admin_email, password=boot.webui_admin_password, by=None
    )
    _close_sign_up(user)
    return user


def _close_sign_up(by: User) -> None:
    """The first account is there; whether strangers may make more is for its owner to say. Where the environment rules
    the setting it stays as it is there."""
    if not store.origin(SignInConfig.settings["enable_signup"]).locked:
        SignInConfig.save(enable_signup=False, by=by)
