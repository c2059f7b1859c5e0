"""Which groups a person is in, as names: from the person, from the groups, and through groups inside groups."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from accounts.backends.directory.entries import NOTHING, Entry, attribute, people_search, run, search_of
from accounts.backends.directory.library import DirectoryProblem, ldap
from accounts.config import DirectoryConfig

log = logging.getLogger(__name__)
#: Active Directory walks the whole way by itself under this matching rule
IN_CHAIN = "1.2.840.113556.1.4.1941"
_ACTIVE_DIRECTORY = b"1.2.840.113556.1.4.800"
#: groups inside groups: how far, and how many at most; beyond, something is wrong
DEPTH, MOST = 20, 10_000
#: names asked for in one filter; fewer are asked one by one and remembered
_AT_ONCE = 50


def name_of(value: str) -> str:
    """The group's name in a value: the first CN of a distinguished name, unescaped; another value as it stands."""
    try:
        parts = ldap().dn.str2dn(value)
    except ldap().DECODING_ERROR:
        return value
    return next((found for part in parts for kind, found, _flags in part if kind.lower() == "cn"), "")


class Groups:
    """Answers for many people over one connection; what it learns of groups inside groups it keeps."""

    def __init__(self, connection: Any, config: DirectoryConfig) -> None:
        self.connection, self.config = connection, config
        self._parents: dict[str, frozenset[str]] = {}
        self._has_chain: bool | None = None
        self._is_published: bool | None = None

    def names(self, entry: Entry, *, once: bool = False) -> tuple[str, ...] | None:
        """Exact names; None when the directory says nothing about groups, which is not the same as none.

        :param once: for one person: where the server can walk by itself it is asked to
        """
        found = self._named(entry)
        by_members = self.config.attribute_for_members.strip()
        if by_members:
            found = [*(found or ()), *self._holding(entry, attribute(by_members, "LDAP_ATTRIBUTE_FOR_MEMBERS"))]
        if found is None:
            return None
        if self.config.nested_groups:
            found = [*found, *(self._by_chain(entry) if once and self.has_chain else self._above(found))]
        return tuple(dict.fromkeys(name for value in found if (name := name_of(value))))

    def _named(self, entry: Entry) -> list[str] | None:
        """The person's own attribute. Absent, it means "none" only where the directory shows it of somebody."""
        name = attribute(self.config.attribute_for_groups, "LDAP_ATTRIBUTE_FOR_GROUPS").lower()
        found = entry.texts(name)
        part = next((key for key in entry.values if key.startswith(f"{name};range=")), "")
        if part:
            found += self._ranges(entry, name, part)
        return found if found or self.is_published else None

    def _ranges(self, entry: Entry, name: str, part: str) -> list[str]:
        """Active Directory gives 1,500 values at once and says where to go on."""
        found: list[str] = []
        while part:
            found += entry.texts(part)
            end = part.rpartition("-")[2]
            if not end.isdigit() or len(found) > MOST:
                break
            search = search_of(entry.dn, "", (f"{name};range={int(end) + 1}-*",))
            search.scope = ldap().SCOPE_BASE
            rows = run(self.connection, search, self.config)
            entry = rows[0] if rows else Entry(entry.dn, {})
            part = next((key for key in entry.values if key.startswith(f"{name};range=")), "")
        return found

    @property
    def is_published(self) -> bool:
        """Whether anybody's entry shows the attribute; else it is not kept there, or the account may not read it."""
        if self._is_published is None:
            name = self.config.attribute_for_groups
            search = people_search(self.config, NOTHING).search_with_additional_term_string(f"({name}=*)")
            try:
                self._is_published = bool(run(self.connection, search, self.config, most=1))
            except ldap().SIZELIMIT_EXCEEDED:
                self._is_published = True
        return self._is_published

    def _holding(self, entry: Entry, member: str) -> list[str]:
        value = entry.dn
        if member.lower() == "memberuid":
            value = entry.first(self.config.attribute_for_username)
        return self._search({member: value})

    @property
    def has_chain(self) -> bool:
        if self._has_chain is None:
            search = search_of("", "", ("supportedCapabilities",))
            search.scope = ldap().SCOPE_BASE
            rows = run(self.connection, search, self.config)
            self._has_chain = any(_ACTIVE_DIRECTORY in row.values.get("supportedcapabilities", ()) for row in rows)
        return self._has_chain

    def _by_chain(self, entry: Entry) -> list[str]:
        return self._search({f"{self._member}:{IN_CHAIN}:": entry.dn})

    @property
    def _member(self) -> str:
        name = self.config.attribute_for_members.strip()
        return "member" if name.lower() in ("", "memberuid") else name

    def _above(self, direct: Iterable[str]) -> list[str]:
        """Every group that holds one of these, by whatever way; one that holds itself ends the way."""
        seen: dict[str, str] = {dn.lower(): dn for dn in direct if "=" in dn}
        level, found = list(seen.values()), []
        for _step in range(DEPTH):
            level = [dn for dn in self._level(level) if dn.lower() not in seen]
            seen |= {dn.lower(): dn for dn in level}
            found += level
            if not level:
                return found
            if len(seen) > MOST:
                break
        raise DirectoryProblem(
            _("The groups of the directory are too deep or too many to follow."),
            detail=f"more than {DEPTH} levels or {MOST} groups above {next(iter(seen), '')}",
        )

    def _level(self, names: list[str]) -> list[str]:
        found: set[str] = set()
        unknown = [dn for dn in names if dn.lower() not in self._parents]
        for dn in names:
            found |= self._parents.get(dn.lower(), frozenset())
        if len(unknown) <= _AT_ONCE:
            for dn in unknown:
                self._parents[dn.lower()] = frozenset(self._search({self._member: dn}))
                found |= self._parents[dn.lower()]
        else:
            for start in range(0, len(unknown), _AT_ONCE):
                found |= set(self._search(*({self._member: dn} for dn in unknown[start : start + _AT_ONCE])))
        return sorted({dn.lower(): dn for dn in found}.values())

    def _search(self, *terms: dict[str, str]) -> list[str]:
        """The distinguished names of groups that fit any of the terms."""
        escape = ldap().filter.escape_filter_chars
        text = "".join(f"({name}={escape(value)})" for term in terms for name, value in term.items())
        search = search_of(self.config.group_search_base or self.config.search_base, f"(|{text})", NOTHING)
        return [entry.dn for entry in run(self.connection, search, self.config)]
