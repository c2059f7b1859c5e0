"""Who is here: people, where they come from, their sessions and their keys."""

from accounts.models.keys import ApiKey
from accounts.models.logins import ExternalLogin
from accounts.models.people import Role, User, UserManager
from accounts.models.sessions import Session, SignInFailure

__all__ = ["ApiKey", "ExternalLogin", "Role", "Session", "SignInFailure", "User", "UserManager"]
