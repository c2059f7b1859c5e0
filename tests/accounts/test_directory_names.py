"""Whose id is the name itself: two people of a directory are never one."""

from __future__ import annotations

from accounts.backends.directory import Entry


def test_two_long_names_that_begin_alike_are_two_ids_that_fit():
    base = "ou=" + "x" * 300 + ",dc=example"
    one, other = (Entry(f"cn={'a' * 250}{end},{base}", {}) for end in ("1", "2"))
    assert one.subject != other.subject and max(len(one.subject), len(other.subject)) <= 255
    assert Entry(one.dn.upper(), {}).subject == one.subject
    assert Entry("cn=Ann,dc=Example", {}).subject == "cn=ann,dc=example"
