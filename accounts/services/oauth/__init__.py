"""Signing in by a provider: accounts and sessions from its word, its tokens renewed, hearing whom it signed out.

The async functions talk to the provider and hop to the database for what they write; no connection waits for a
provider.
"""

from accounts.services.oauth.exchange import exchange_token
from accounts.services.oauth.logout import logout_by_provider, sign_out_address
from accounts.services.oauth.sessions import end_own_sessions, fresh_access_token
from accounts.services.oauth.sign_in import Arrival, begin, finish, redirect_address
from accounts.services.oauth.spent import spend

__all__ = [
    "Arrival",
    "begin",
    "end_own_sessions",
    "exchange_token",
    "finish",
    "fresh_access_token",
    "logout_by_provider",
    "redirect_address",
    "sign_out_address",
    "spend",
]
