"""The organisation's directory over LDAP: servers, people, groups. Reads only, and never writes to our database.

Nothing here imports python-ldap before it is needed: it compiles against OpenLDAP's headers and is an optional extra.
"""

from accounts.backends.directory.connection import as_searcher, connected, servers
from accounts.backends.directory.entries import (
    Account,
    Entry,
    account_of,
    check_password,
    closed_people,
    find_person,
    is_closed,
    pages,
    people_search,
    still_there,
    wrong,
)
from accounts.backends.directory.groups import Groups
from accounts.backends.directory.library import DirectoryProblem, is_installed

__all__ = [
    "Account",
    "DirectoryProblem",
    "Entry",
    "Groups",
    "account_of",
    "as_searcher",
    "check_password",
    "closed_people",
    "connected",
    "find_person",
    "is_closed",
    "is_installed",
    "pages",
    "people_search",
    "servers",
    "still_there",
    "wrong",
]
