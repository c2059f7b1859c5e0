"""Who may do what with API keys. What a key itself may not do is in tests/accounts/test_key_doors.py."""

from __future__ import annotations

from typing import Any

from tests.access.rows import World, thing
from tests.access.table_accounts import page, verified

_KEYS = "/api/v1/auths/api_keys"


@thing("key_id")
def _key(world: World) -> Any:
    """Somebody else's: nobody finds it among their own."""
    from accounts.models import ApiKey
    from tests.factories.accounts import UserFactory

    return ApiKey.objects.create(user=UserFactory(password=None), name="Report", digest="0" * 64, last_four="0000").pk


ROWS = [
    verified("GET", _KEYS),
    # Switched off, as they are by default.
    verified("POST", _KEYS, 403, json={"name": "Report"}),
    verified("POST", f"{_KEYS}/{{key_id}}", 404, json={"name": "Other"}),
    verified("DELETE", f"{_KEYS}/{{key_id}}", 404),
    page("POST", "/settings/keys", 403, data={"name": "Report", "days": "30"}),
    page("DELETE", "/settings/keys/{key_id}", 404),
]
