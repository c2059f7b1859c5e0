"""Sign-in with the user name and password of the organisation's directory."""

from __future__ import annotations

import logging
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.backends import directory
from accounts.backends.identity import Admission, ExternalIdentity
from accounts.config import DirectoryConfig
from accounts.models import DirectoryAbsence, ExternalLogin, User
from accounts.services.entering import Entered, Pending, begin_session
from accounts.services.people import update_user
from accounts.services.provisioning import Report, admit
from accounts.services.throttle import attempt
from owui.lib.errors import Refused, UserError
from rbac.models import MembershipSource

log = logging.getLogger(__name__)
PROVIDER = "ldap"
OFF = "LDAP authentication is not enabled"
#: a slow directory keeps that many threads of a process waiting, and no more
AT_ONCE, PATIENCE = 8, 5.0
_LONGEST_NAME, _LONGEST_PASSWORD = 256, 1024
_asking = BoundedSemaphore(AT_ONCE)


def directory_is_on() -> bool:
    """Whether people may sign in this way now."""
    return bool(settings.BOOT.enable_password_auth) and DirectoryConfig.load().enable


def rules_of(config: DirectoryConfig) -> Admission:
    """What the organisation lets the directory do."""
    return Admission(
        may_create=True,
        may_merge=config.merge_accounts_by_email,
        source=MembershipSource.LDAP if config.enable_group_management else None,
        may_create_groups=config.enable_group_creation,
    )


def sign_in_by_directory(*, user: str, password: str, user_agent: str = "", ip: str | None = None) -> Entered | Pending:
    """Asks the directory, admits the person and begins a session.

    :raises UserError: 400 off, wrong name or password, no e-mail; 403 passwords are off, account closed; 429 too many
        tries; 503 the directory does not answer
    """
    config = DirectoryConfig.load()
    if not config.enable:
        raise UserError(OFF, code="ldap_off")
    if not settings.BOOT.enable_password_auth:
        raise Refused(_("Sign-in with a password is switched off. Use your organisation's sign-in."))
    user = user.strip()
    # Counted as `find_person` compares: "straße" and "strasse" are the same person there, so they are the same here.
    with attempt(email=f"{PROVIDER}:{user.casefold()}", ip=ip) as row:
        try:
            identity = _identity(config, user, password)
        except UserError as error:
            if isinstance(error, directory.DirectoryProblem):
                log.error("directory: %s", error.detail)
            if error.code != "credentials":
                row.delete()  # a directory that is down locks nobody out
            raise
    person, _report = admit_from_directory(identity, config)
    return begin_session(person, auth_method=PROVIDER, user_agent=user_agent, ip=ip)


def _identity(config: DirectoryConfig, user: str, password: str) -> ExternalIdentity:
    if not password:
        # Many servers take a name without a password for "anonymous" and let it in.
        raise UserError(_("Please enter your password."), code="password")
    if not user or "\x00" in user + password or len(user) > _LONGEST_NAME or len(password) > _LONGEST_PASSWORD:
        raise directory.wrong()
    if not database.in_atomic_block:
        database.close()  # nobody waits for the network with a connection that others need
    if not _asking.acquire(timeout=PATIENCE):
        raise UserError(_("Too many people are signing in at this moment. Try again in a minute."), status=503)
    try:
        with directory.connected(config) as server:
            entry = directory.find_person(server, config, user)
            directory.check_password(server, config, entry, password)
            assert entry is not None
            directory.as_searcher(server, config)
            if directory.is_closed(server, config, entry):
                log.warning("directory: %s is closed there", entry.dn)
                raise Refused(_("This account is closed in the directory. Ask your administrator."), code="account_off")
            account = directory.account_of(entry, config)
            groups = _groups(server, config, entry)
    finally:
        _asking.release()
    return ExternalIdentity(
        provider=PROVIDER, subject=account.subject, email=account.email, name=account.name, groups=groups
    )


def _groups(server: Any, config: DirectoryConfig, entry: directory.Entry) -> tuple[str, ...] | None:
    """A fault with groups keeps nobody out: memberships stay, and the report and the log say so."""
    if not config.enable_group_management:
        return None
    try:
        return directory.Groups(server, config).names(entry, once=True)
    except directory.DirectoryProblem as error:
        log.error("directory: the groups of %s cannot be read: %s", entry.dn, error.detail)
        return None


@transaction.atomic
def admit_from_directory(identity: ExternalIdentity, config: DirectoryConfig) -> tuple[User, Report]:
    """`admit`, and what only a directory needs: one account is one entry, and who is back is switched on again.

    :raises UserError: 400 the address belongs to another entry's account
    """
    absence = DirectoryAbsence.objects.filter(
        login__provider=identity.provider, login__subject=identity.subject
    ).select_related("login__user")
    for row in absence:
        update_user(row.login.user, by=None, is_active=True)
        row.delete()
    person, report = admit(identity, rules_of(config))
    others = ExternalLogin.objects.filter(user=person, provider=identity.provider).exclude(subject=identity.subject)
    if report.is_linked and others.exists():
        # Two entries with one address, or an address that was given to somebody else: never the other one's account.
        log.error("directory: %s has the address of another entry's account", identity.subject)
        raise UserError(
            _("Another person of the directory has your e-mail address here. Ask your administrator."),
            code="email_taken",
        )
    return person, report
