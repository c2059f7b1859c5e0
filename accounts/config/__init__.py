"""Stored settings of this app."""

from accounts.config.directory import DirectoryConfig
from accounts.config.keys import ApiKeyConfig
from accounts.config.mfa import MfaConfig
from accounts.config.oauth import (
    FeishuConfig,
    GithubConfig,
    GoogleConfig,
    MicrosoftConfig,
    OAuthConfig,
    OidcConfig,
)
from accounts.config.scim import ScimConfig
from accounts.config.sign_in import SignInConfig

__all__ = [
    "ApiKeyConfig",
    "DirectoryConfig",
    "FeishuConfig",
    "GithubConfig",
    "GoogleConfig",
    "MfaConfig",
    "MicrosoftConfig",
    "OAuthConfig",
    "OidcConfig",
    "ScimConfig",
    "SignInConfig",
]
