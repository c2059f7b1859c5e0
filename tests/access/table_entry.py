"""Passwords, second factor, lock-outs: who may use which route."""

from __future__ import annotations

from tests.access.table_accounts import everyone, governance

ENTRY = [
    everyone("GET", "/auth/second-factor", 302),
    everyone("POST", "/auth/second-factor", 302, data={"code": "123456"}),
]
GOVERNANCE = [governance("/admin/accounts/lockout/")]

ROWS = [*ENTRY, *GOVERNANCE]
