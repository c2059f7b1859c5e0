"""Account verbs: sign up, sign in, approve, change, leave. Each with its audit entry in the same transaction."""

from accounts.services.creation import (
    create_account,
    ensure_configured_admin,
    has_users,
    make_admin,
    sign_up,
    signup_open,
)
from accounts.services.guards import check_password_rules, clean_email, guard_primary, primary_admin_id
from accounts.services.keys import create_api_key, delete_api_key, read_api_key
from accounts.services.people import (
    change_password,
    contact,
    delete_user,
    get_user,
    search_users,
    update_profile,
    update_user,
)
from accounts.services.provisioning import Report, admit
from accounts.services.sessions import TRIES, WINDOW, end_session, open_session, revoke_sessions, sign_in, sign_out

__all__ = [
    "TRIES",
    "WINDOW",
    "Report",
    "admit",
    "change_password",
    "check_password_rules",
    "clean_email",
    "contact",
    "create_account",
    "create_api_key",
    "delete_api_key",
    "delete_user",
    "end_session",
    "ensure_configured_admin",
    "get_user",
    "guard_primary",
    "has_users",
    "make_admin",
    "open_session",
    "primary_admin_id",
    "read_api_key",
    "revoke_sessions",
    "search_users",
    "sign_in",
    "sign_out",
    "sign_up",
    "signup_open",
    "update_profile",
    "update_user",
]
