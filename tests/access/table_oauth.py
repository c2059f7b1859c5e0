"""Who may do what with sign-in providers: nothing is configured here, so doors for everybody answer "not here"."""

from __future__ import annotations

from tests.access.rows import Row, World, thing
from tests.access.table_accounts import admins, governance, verified

_AUTHS = "/api/v1/auths"


@thing("provider")
def _provider(world: World) -> str:
    return "oidc"


def everyone(method: str, path: str, code: int, **extra: object) -> Row:
    return Row(method, path, out=code, pending=code, user=code, live=True, **extra)  # type: ignore[arg-type]


ROWS = [
    everyone("GET", "/oauth/{provider}/login", 404),
    everyone("GET", "/oauth/{provider}/callback", 404),
    everyone("GET", "/oauth/{provider}/login/callback", 404),
    everyone("POST", "/oauth/backchannel-logout", 404, data={"logout_token": "x"}),
    everyone("POST", f"{_AUTHS}/oauth/{{provider}}/token/exchange", 403, json={"token": "x"}),
    verified("DELETE", f"{_AUTHS}/oauth/sessions/{{provider}}"),
    governance("/admin/claims/"),
    admins("GET", f"{_AUTHS}/admin/config/oauth"),
    admins("POST", f"{_AUTHS}/admin/config/oauth", json={}),
]
