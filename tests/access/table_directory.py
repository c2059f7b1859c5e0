"""Who may sign in with the directory or by a proxy, and who sets it up and looks at what it did."""

from __future__ import annotations

from tests.access.rows import Row, task
from tests.access.table_accounts import admins, everyone, governance

_AUTHS = "/api/v1/auths"
_SERVER = {
    "label": "Directory", "host": "ldap.example.org", "attribute_for_mail": "mail", "attribute_for_username": "uid",
    "search_base": "dc=example,dc=org",
}  # fmt: skip

ROWS: list[Row] = [
    # Off unless somebody switched it on.
    everyone("POST", f"{_AUTHS}/ldap", 400, json={"user": "nobody", "password": "x"}),
    admins("GET", f"{_AUTHS}/admin/config/ldap/server"),
    admins("POST", f"{_AUTHS}/admin/config/ldap/server", json=_SERVER),
    admins("GET", f"{_AUTHS}/admin/config/ldap"),
    admins("POST", f"{_AUTHS}/admin/config/ldap", json={"enable_ldap": False}),
    everyone("GET", "/auth/ldap", 302),
    everyone("GET", "/auth/header", 302),
    governance("/admin/accounts/directoryrun/"),
    task(
        "accounts.sync_directory",
        "Started by the schedule alone; changes directory memberships, and switches off who is gone.",
    ),
]
