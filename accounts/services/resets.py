"""A forgotten password: asked for by anybody, answered the same for everybody, replaced by whoever has the mail."""

from __future__ import annotations

import logging
from threading import Thread

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _

from accounts import mail, reset_links, tokens
from accounts.backends.password import hash_password
from accounts.models import User
from accounts.services import throttle
from accounts.services.guards import check_password_rules, note, tell
from accounts.tasks import send_reset_mail
from accounts.trusted import is_on
from owui.lib.errors import UserError

log = logging.getLogger(__name__)


def offered() -> bool:
    """Whether the sign-in page has the link: only where a mail can be sent and a password counts."""
    return settings.BOOT.enable_password_auth and not is_on() and mail.is_configured()


def request_reset(*, email: str, ip: str | None = None) -> None:
    """Has a mail sent to whoever has this address here. What the caller sees, and how long it takes, does not tell
    whether there is anybody: the worker looks that up.

    :raises UserError: 429 too many from one place
    """
    if not offered():
        raise UserError(_("Passwords are not reset by mail here. Ask your administrator."), status=404)
    email = email.strip().lower()[:254]
    if not throttle.allow_reset(email=email, ip=ip):
        return  # mails enough for now; the same answer, for a stranger must not learn that either
    try:
        send_reset_mail.apply_async(args=[email], retry=False)
    except Exception as error:  # whatever the broker's library raises while it is away
        log.warning("no broker for a reset mail, it is sent from here: %s", type(error).__name__)
        Thread(target=_send, args=[email], daemon=True).start()


def _send(email: str) -> None:
    try:
        mail.send_reset(email)
    except mail.TryLater:
        log.error("a reset mail was not sent: neither broker nor mail server answer")
    finally:
        connection.close()


@transaction.atomic
def new_reset_link(user: User) -> str:
    """For the operator at the machine: the link itself. Without WEBUI_URL only what comes after the server's name."""
    note("user.password.link", user, None)
    return reset_links.address(reset_links.token_for(user))


def find_reset(token: str) -> User:
    """Whose link it is. 400 when it is no good any more."""
    user = reset_links.user_of(token)
    if user is None or not settings.BOOT.enable_password_auth:
        raise UserError(
            _("This link is used, older than an hour, or incomplete. Ask for a new one."), code="reset_over"
        )
    return user


def reset_password(*, token: str, new: str) -> User:
    """Replaces the password by a link, once; every session of the person ends."""
    find_reset(token)
    check_password_rules(new)
    hashed = hash_password(new)
    with transaction.atomic():
        # Asked again under the lock: of two at once the second finds another hash.
        User.objects.select_for_update().filter(pk=find_reset(token).pk).first()
        user = find_reset(token)
        # The link came by mail to the address, or from the operator.
        user.password, user.is_address_claimed = hashed, False
        user.save(update_fields=["password", "is_address_claimed", "updated_at"])
        tokens.revoke_all(user)
        note("user.password.reset", user, user)
        tell(user)
    return user
