"""Passwords, second factor, lock-outs: who may use which route."""

from __future__ import annotations

from typing import Any

from tests.access.rows import World, task, thing
from tests.access.table_accounts import current, everyone, governance, page


@thing("passkey_number")
def _passkey_number(world: World) -> Any:
    return 4711


@thing("brand_picture")
def _brand_picture(world: World) -> Any:
    return "logo.png"


ENTRY = [
    everyone(
        "GET",
        "/brand/{name}",
        404,
        fill={"name": "brand_picture"},
        why="with a picture: tests/owui/test_installable.py",
    ),
    everyone("GET", "/auth/second-factor", 302),
    everyone("POST", "/auth/second-factor", 302, data={"code": "123456"}),
    # No mail server here, and no link.
    everyone("GET", "/auth/forgot", 302),
    everyone("POST", "/auth/forgot", 302, data={"email": "nobody@example.org"}),
    everyone("GET", "/auth/reset", 302),
    everyone("POST", "/auth/reset", 302, data={"token": "x", "new": "y"}),
    everyone("POST", "/auth/passkey/question", 400),
    everyone("POST", "/auth/passkey", 401, json={"challenge_token": "x", "credential": {}}),
]
# Nothing in them is about anybody.
PUBLIC = [everyone("GET", path) for path in ("/manifest.json", "/offline", "/service-worker.js")]
# The second factor is off here: a fresh session is not enough to set one up.
OWN = [
    page("POST", "/settings/confirm", 400, data={"proof": "x"}),
    page("GET", "/settings/app", 403),
    page("POST", "/settings/app", 403, data={"code": "123456"}),
    page("POST", "/settings/app/remove", 302),
    page("POST", "/settings/recovery-codes", 403),
    page("POST", "/settings/passkeys/options", 403),
    page("POST", "/settings/passkeys", 403, json={"challenge_token": "x", "credential": {}}),
    page("POST", "/settings/passkeys/{pk}/remove", 404, fill={"pk": "passkey_number"}),
]
GOVERNANCE = [governance("/admin/accounts/lockout/")]

_MFA = "/api/v1/auths/mfa"
REST = [
    current("POST", "/api/v1/auths/update/timezone", json={"timezone": "Europe/Berlin"}),
    current("GET", f"{_MFA}/status"),
    everyone("POST", f"{_MFA}/challenge", 401),
    current("POST", f"{_MFA}/enroll/start", 403, json={}),
    current("POST", f"{_MFA}/enroll/confirm", 403, json={"code": "123456"}),
    everyone("POST", f"{_MFA}/verify", 401, json={"challenge_token": "x", "code": "123456"}),
    everyone("POST", f"{_MFA}/recover", 401, json={"challenge_token": "x", "recovery_code": "y"}),
    current("POST", f"{_MFA}/replace", 403, json={"code": "123456"}),
    current("POST", f"{_MFA}/recovery/codes", 403, json={"code": "123456"}),
]
TASKS = [
    task("accounts.send_reset_mail", "for anybody who asks for a new password; writes to the owner of the address"),
]

ROWS = [*REST, *TASKS, *ENTRY, *PUBLIC, *OWN, *GOVERNANCE]
