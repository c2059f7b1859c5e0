"""People in the directory: finding the one who signs in, checking a password, walking through all of them."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from accounts.backends.directory.library import DirectoryProblem, auth_ldap, ldap, reason
from accounts.backends.identity import lower_address
from accounts.config import DirectoryConfig
from owui.lib.errors import UserError

log = logging.getLogger(__name__)
#: lasting ids, in the order they are believed: they survive a move and a new name
_LASTING = ("entryuuid", "objectguid", "nsuniqueid", "ipauniqueid")
_STATUS = ("userAccountControl", "accountExpires", "nsAccountLock", "pwdAccountLockedTime")
#: userAccountControl: the account is disabled
_AD_DISABLED = 0x2
#: accountExpires: never
_NEVER = (0, 0x7FFFFFFFFFFFFFFF)
#: Active Directory counts in 100 ns since this day
_AD_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*(;[A-Za-z0-9-]+)*|\d+(\.\d+)+")
LONGEST_NAME, LONGEST_PASSWORD = 256, 1024
#: for a page of a walk: attributes, or `1.1` for none
NOTHING = ("1.1",)


def wrong() -> UserError:
    """One text for an unknown name and a wrong password: it must not tell who is in the directory."""
    return UserError(_("The user name or password is wrong. Check both and try again."), code="credentials")


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of the directory; attribute names in lower case, values as the server sent them."""

    dn: str
    values: Mapping[str, list[bytes]]

    @classmethod
    def of(cls, row: Any) -> Entry:
        return cls(str(row[0]), {str(name).lower(): list(found) for name, found in row[1].items()})

    def texts(self, name: str) -> list[str]:
        """The values that are text, in the server's order."""
        return [text for value in self.values.get(name.lower(), ()) if (text := _text(value).strip())]

    def first(self, name: str) -> str:
        return next(iter(self.texts(name)), "")

    @property
    def subject(self) -> str:
        """The lasting id, else the distinguished name in lower case."""
        for name in _LASTING:
            if raw := next(iter(self.values.get(name, ())), b""):
                if name == "objectguid" and len(raw) == 16:
                    return str(uuid.UUID(bytes_le=raw))
                return _text(raw).strip().lower()
        name = self.dn.lower()
        # Cut off, the names of two people could become one; what is no name any more is never asked for by itself.
        return name if len(name) <= 255 else f"{name[:180]}#{hashlib.sha256(name.encode()).hexdigest()}"

    @property
    def is_closed(self) -> bool:
        """Whether the directory says by itself that the account is closed or has run out."""
        control = self.first("userAccountControl")
        if control.lstrip("-").isdigit() and int(control) & _AD_DISABLED:
            return True
        if self.first("nsAccountLock").lower() == "true" or self.first("pwdAccountLockedTime") == "000001010000Z":
            return True
        ends = self.first("accountExpires")
        if ends.isdigit() and int(ends) not in _NEVER:
            return (datetime.now(UTC) - _AD_EPOCH).total_seconds() >= int(ends) / 10_000_000
        return False


@dataclass(frozen=True, slots=True)
class Account:
    """What we take of a person's entry."""

    subject: str
    email: str
    name: str


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").replace("\x00", "")


def attribute(name: str, variable: str) -> str:
    """A configured attribute name; anything else would change the filter it is put in."""
    if not _ATTRIBUTE.fullmatch(name):
        raise DirectoryProblem(
            _("The directory is not set up correctly. Tell your administrator."),
            detail=f"{variable} is no attribute name: {name!r}",
        )
    return name


def search_of(base: str, filter_text: str, attributes: tuple[str, ...]) -> Any:
    """A search below a base; terms are added with `search_with_additional_terms`, which escapes them."""
    text = filter_text.strip() or "(objectClass=*)"
    text = text if text.startswith("(") else f"({text})"
    return auth_ldap().LDAPSearch(base, ldap().SCOPE_SUBTREE, text, list(attributes))


def people_search(config: DirectoryConfig, attributes: tuple[str, ...] = ()) -> Any:
    name = attribute(config.attribute_for_username, "LDAP_ATTRIBUTE_FOR_USERNAME")
    wanted = attributes or (
        name,
        attribute(config.attribute_for_mail, "LDAP_ATTRIBUTE_FOR_MAIL"),
        attribute(config.attribute_for_groups, "LDAP_ATTRIBUTE_FOR_GROUPS"),
        *("cn", "displayName"),
        *_STATUS,
        *_LASTING,
    )
    search = search_of(config.search_base, config.search_filter, tuple(dict.fromkeys(wanted)))
    return search.search_with_additional_term_string(f"({name}=*)")


def run(connection: Any, search: Any, config: DirectoryConfig, *, most: int = 0) -> list[Entry]:
    """The entries of a search; references to other servers are not followed."""
    try:
        rows = connection.search_ext_s(
            search.base_dn,
            search.scope,
            search.filterstr,
            search.attrlist,
            timeout=config.search_timeout,
            sizelimit=most,
        )
    except (ldap().FILTER_ERROR, ldap().NO_SUCH_OBJECT, ldap().INVALID_DN_SYNTAX) as error:
        raise _misconfigured(error, config) from error
    return [Entry.of(row) for row in rows if row[0] is not None]


def _misconfigured(error: BaseException, config: DirectoryConfig) -> DirectoryProblem:
    detail = f"LDAP_SEARCH_BASE or a filter is wrong ({reason(error)}); the base is {config.search_base!r}"
    return DirectoryProblem(
        _("The directory is not set up correctly. Tell your administrator."), detail=detail, status=400
    )


def find_person(connection: Any, config: DirectoryConfig, username: str) -> Entry | None:
    """The one person of a user name; None when there is none.

    :raises UserError: more than one match, or the account is closed
    """
    term = {config.attribute_for_username: username.lower()}
    try:
        found = run(connection, people_search(config).search_with_additional_terms(term), config, most=2)
    except ldap().SIZELIMIT_EXCEEDED:
        found = [Entry("", {}), Entry("", {})]
    if len(found) > 1:
        log.error("directory: %r matches several people; LDAP_SEARCH_FILTER must leave one", username)
        raise UserError(_("This user name is not unique in the directory. Tell your administrator."), code="ambiguous")
    if not found:
        return None
    entry = found[0]
    # The server compares by rules of its own; what it gives must be the name that was typed.
    names = [name.casefold() for name in entry.texts(config.attribute_for_username)]
    return entry if username.casefold() in names else None


def is_closed(connection: Any, config: DirectoryConfig, entry: Entry) -> bool:
    """Whether the directory, or the organisation's own filter, says that the account is closed."""
    return entry.is_closed or _matches(connection, config, entry.dn, config.disabled_filter)


def _matches(connection: Any, config: DirectoryConfig, dn: str, filter_text: str) -> bool:
    if not filter_text.strip():
        return False
    search = search_of(dn, filter_text, NOTHING)
    search.scope = ldap().SCOPE_BASE
    return bool(run(connection, search, config))


def check_password(connection: Any, config: DirectoryConfig, entry: Entry | None, password: str) -> None:
    """Binds as the person; the connection is theirs afterwards and of no further use.

    An unknown person costs the same bind, with a name that nobody has.

    :raises UserError: the password is wrong, or empty (which many servers would take for "anonymous" and let in)
    """
    if not password or not password.strip("\x00"):
        raise wrong()
    dn = entry.dn if entry is not None else f"cn={secrets.token_hex(8)},{config.search_base}"
    library = ldap()
    try:
        connection.simple_bind_s(dn, password)
    except library.UNWILLING_TO_PERFORM as error:
        log.warning("directory: bind as %s: %s", dn, reason(error))
        raise wrong() from error
    except (
        library.INVALID_CREDENTIALS, library.INAPPROPRIATE_AUTH, library.NO_SUCH_OBJECT, library.INVALID_DN_SYNTAX,
        library.INSUFFICIENT_ACCESS, library.CONSTRAINT_VIOLATION,
    ) as error:  # fmt: skip
        log.info("directory: bind as %s: %s", dn, reason(error))
        raise wrong() from error
    if entry is None:
        raise wrong()


def account_of(entry: Entry, config: DirectoryConfig) -> Account:
    """Lasting id, e-mail and name.

    :raises UserError: 400 without an e-mail
    """
    username = entry.first(config.attribute_for_username)
    email = lower_address(entry.first(config.attribute_for_mail))
    if not email and config.default_email_domain.strip():
        email = lower_address(f"{username}@{config.default_email_domain.strip().lstrip('@')}")
    if not email:
        log.error("directory: %s has no %s", entry.dn, config.attribute_for_mail)
        raise UserError(
            _("The directory knows no e-mail address of you, and an account needs one. Ask your administrator."),
            code="email_missing",
        )
    name = entry.first("cn") or entry.first("displayName") or username
    return Account(entry.subject, email, name[:255])


# --------------------------------------------------------------------------------------------------------- all of them
def pages(connection: Any, config: DirectoryConfig, search: Any) -> Iterator[list[Entry]]:
    """Everybody whom a search finds, a page at a time; never more than one page in memory.

    Any error ends the walk with that error: who was not seen then is not gone.
    """
    library = ldap()
    control = library.controls.SimplePagedResultsControl(True, size=config.sync_page_size, cookie="")
    while True:
        try:
            message = connection.search_ext(
                search.base_dn, search.scope, search.filterstr, search.attrlist, serverctrls=[control]
            )
            _kind, rows, _id, answered = connection.result3(message, timeout=config.search_timeout)
        except (library.FILTER_ERROR, library.NO_SUCH_OBJECT, library.INVALID_DN_SYNTAX) as error:
            raise _misconfigured(error, config) from error
        yield [Entry.of(row) for row in rows if row[0] is not None]
        cookies = [found.cookie for found in answered if found.controlType == control.controlType]
        if not cookies or not cookies[0]:
            return
        control.cookie = cookies[0]


def closed_people(connection: Any, config: DirectoryConfig) -> set[str]:
    """Distinguished names, in lower case, of whom the organisation's own filter calls closed."""
    if not config.disabled_filter.strip():
        return set()
    closed = search_of("", config.disabled_filter, NOTHING).filterstr
    search = people_search(config, NOTHING).search_with_additional_term_string(closed)
    return {entry.dn.lower() for page in pages(connection, config, search) for entry in page}


def still_there(connection: Any, config: DirectoryConfig, subject: str) -> bool:
    """Whether a person whom a walk missed is in the directory all the same; asked before anybody is switched off."""
    library = ldap()
    search = people_search(config)
    escape = library.filter.escape_filter_chars
    try:
        raw = "".join(f"\\{byte:02x}" for byte in uuid.UUID(subject).bytes_le)
        term = f"(|(entryUUID={escape(subject)})(objectGUID={raw})(nsUniqueId={escape(subject)}))"
    except ValueError:
        term = f"(|(nsUniqueId={escape(subject)})(ipaUniqueID={escape(subject)}))"
        if "=" in subject:
            return _is_at(connection, config, subject)
    found = run(connection, search.search_with_additional_term_string(term), config, most=2)
    return any(not is_closed(connection, config, entry) for entry in found)


def _is_at(connection: Any, config: DirectoryConfig, dn: str) -> bool:
    """A person whose only lasting id is the name itself."""
    search = people_search(config)
    search.base_dn, search.scope = dn, ldap().SCOPE_BASE
    try:
        found = connection.search_ext_s(search.base_dn, search.scope, search.filterstr, search.attrlist)
    except (ldap().NO_SUCH_OBJECT, ldap().INVALID_DN_SYNTAX):
        return False
    return any(not is_closed(connection, config, Entry.of(row)) for row in found if row[0] is not None)
