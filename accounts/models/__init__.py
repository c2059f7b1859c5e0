"""Who is here: people, where they come from, what they prove it with, their sessions and their keys."""

from accounts.models.directory import DirectoryAbsence, DirectoryRun
from accounts.models.factors import Authenticator, Passkey, RecoveryCode
from accounts.models.keys import ApiKey
from accounts.models.logins import ExternalLogin
from accounts.models.oauth import OAuthSession, SpentToken
from accounts.models.people import Role, User, UserManager
from accounts.models.scim import ScimAccount, ScimEmail, ScimGroup
from accounts.models.sessions import Challenge, Lockout, Session, SignInFailure

__all__ = [
    "ApiKey",
    "Authenticator",
    "Challenge",
    "DirectoryAbsence",
    "DirectoryRun",
    "ExternalLogin",
    "Lockout",
    "OAuthSession",
    "Passkey",
    "RecoveryCode",
    "Role",
    "ScimAccount",
    "ScimEmail",
    "ScimGroup",
    "Session",
    "SignInFailure",
    "SpentToken",
    "User",
    "UserManager",
]
