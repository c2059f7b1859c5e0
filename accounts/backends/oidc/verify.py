"""Whether a token is the provider's, for us and of now.

The order of steps (find the key, check the signature, compare the nonce) is mozilla-django-oidc's. It reads one
provider from Django's settings and checks neither issuer nor audience, so its hooks are filled here for a provider
given at run time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Sequence
from typing import Any

import jwt
from django.core.exceptions import SuspiciousOperation
from mozilla_django_oidc.auth import OIDCAuthenticationBackend  # type: ignore[import-untyped]

from accounts.backends.oidc.discovery import Metadata
from accounts.backends.oidc.errors import SignInRefused
from accounts.backends.oidc.presets import Provider

LEEWAY = 60
#: what a kind of key may have signed. Secrets shared with us (HS…) and `none` are no proof, whatever a token says
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ALGORITHMS = {"RSA": _RSA, "EC": ("ES256", "ES384", "ES512"), "OKP": ("EdDSA",)}
LOGOUT_ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
SHORTEST_RSA = 2048
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_SECONDS = 600
#: a Microsoft tenant such as `organizations` stands for many, and its issuer for each of them
TENANT = "{tenantid}"
_TENANT = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class ProviderTokens(OIDCAuthenticationBackend):  # type: ignore[misc]
    """The library's token checks for one provider; no backend of `authenticate()`."""

    def __init__(self, provider: Provider, metadata: Metadata, keys: Sequence[dict[str, Any]]) -> None:
        self.provider, self.metadata, self.keys = provider, metadata, keys
        self._required = ["iss", "aud", "iat"]
        self._values: dict[str, Any] = {
            "OIDC_OP_TOKEN_ENDPOINT": metadata.token,
            "OIDC_OP_USER_ENDPOINT": metadata.userinfo,
            "OIDC_OP_JWKS_ENDPOINT": metadata.jwks,
            "OIDC_RP_CLIENT_ID": provider.client_id,
            "OIDC_RP_CLIENT_SECRET": provider.client_secret,
            # Only says "by public key"; which algorithm is decided by the key below.
            "OIDC_RP_SIGN_ALGO": "RS256",
            "OIDC_USE_NONCE": True,
            "OIDC_ALLOW_UNSECURED_JWT": False,
        }
        super().__init__()

    def get_settings(self, attr: str, *default: Any) -> Any:
        return self._values.get(attr, default[0] if default else None)

    def authenticate(self, request: Any, **kwargs: Any) -> None:
        return None

    def retrieve_matching_jwk(self, token: str) -> jwt.PyJWK:
        header = _header(token)
        alg, kid = header.get("alg"), header.get("kid")
        fitting = [
            key
            for key in self.keys
            if alg in ALGORITHMS.get(str(key.get("kty")), ())
            and key.get("use") in (None, "sig")
            and key.get("alg") in (None, alg)
            and (kid is None or key.get("kid") == kid)
        ]
        if len(fitting) != 1:
            raise SuspiciousOperation(f"no single key of the provider fits alg {alg!r}, kid {str(kid)[:40]!r}")
        try:
            found = jwt.PyJWK(fitting[0], algorithm=str(alg))
        except jwt.PyJWTError as error:
            raise SuspiciousOperation(f"the provider's key cannot be used: {error}") from error
        if getattr(found.key, "key_size", SHORTEST_RSA) < SHORTEST_RSA and fitting[0].get("kty") == "RSA":
            raise SuspiciousOperation("the provider's key is too short")
        return found

    def _verify_jws(self, payload: str, key: jwt.PyJWK) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                payload,
                key,
                algorithms=[key.algorithm_name],
                audience=self.provider.client_id,
                leeway=LEEWAY,
                options={"require": self._required, "verify_iss": False},
            )
        except jwt.PyJWTError as error:
            raise SuspiciousOperation(f"token refused: {type(error).__name__}: {error}") from error
        self._check_issuer(claims)
        return claims

    def _check_issuer(self, claims: dict[str, Any]) -> None:
        expected = self.metadata.issuer
        if TENANT in expected:
            tenant = claims.get("tid")
            if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
                raise SuspiciousOperation("the token names no tenant")
            expected = expected.replace(TENANT, tenant)
        if not _same(claims["iss"], expected):
            raise SuspiciousOperation(f"the token is of the issuer {str(claims['iss'])[:200]!r}, not {expected!r}")

    def verify_token(self, token: str, **kwargs: Any) -> dict[str, Any]:
        """An ID token's claims. `nonce` is compared; without it (a renewed token) it is not asked for."""
        if not isinstance(token, str) or not token:
            raise SuspiciousOperation("the provider sent no ID token")
        if "nonce" in kwargs:
            if not kwargs["nonce"]:
                raise SuspiciousOperation("a sign-in has a nonce")
            claims: dict[str, Any] = super().verify_token(token, **kwargs)
        else:
            claims = self.get_payload_data(token, self.retrieve_matching_jwk(token))
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise SuspiciousOperation("the token names nobody")
        if "exp" not in claims:
            raise SuspiciousOperation("the token has no end")
        audience = claims["aud"]
        parties = audience if isinstance(audience, list) else [audience]
        if (len(parties) > 1 or "azp" in claims) and not _same(claims.get("azp"), self.provider.client_id):
            raise SuspiciousOperation("the token was made for another client (azp)")
        return claims

    def verify_userinfo(self, token: str) -> dict[str, Any]:
        """Claims that the provider gives as a signed token instead of JSON; it has no end."""
        self._required = ["iss", "aud"]
        claims: dict[str, Any] = self.get_payload_data(token, self.retrieve_matching_jwk(token))
        return claims

    def verify_access_token(self, token: str) -> dict[str, Any]:
        """Claims of an access token that is a signed one (RFC 9068); its audience is the provider's own affair."""
        key = self.retrieve_matching_jwk(token)
        try:
            options: Any = {"require": ["iss", "exp"], "verify_iss": False, "verify_aud": False}
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=[key.algorithm_name], leeway=LEEWAY, options=options
            )
        except jwt.PyJWTError as error:
            raise SuspiciousOperation(f"token refused: {type(error).__name__}: {error}") from error
        self._check_issuer(claims)
        return claims

    def verify_logout_token(self, token: str) -> dict[str, Any]:
        """A back-channel logout token's claims (OpenID Connect Back-Channel Logout 1.0, 2.6)."""
        header = _header(token)
        if header.get("alg") not in LOGOUT_ALGORITHMS or not isinstance(header.get("kid"), str):
            raise SuspiciousOperation("a logout token needs a key id and a public-key signature")
        if str(header.get("typ", "logout+jwt")).lower() not in ("logout+jwt", "jwt"):
            raise SuspiciousOperation("the token is of another type")
        claims: dict[str, Any] = self.get_payload_data(token, self.retrieve_matching_jwk(token))
        events = claims.get("events")
        if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
            raise SuspiciousOperation("the token tells of no logout")
        if "nonce" in claims:
            raise SuspiciousOperation("a logout token has no nonce")
        if not any(isinstance(claims.get(name), str) and claims[name] for name in ("sub", "sid")):
            raise SuspiciousOperation("the logout token names neither a person nor a session")
        if not isinstance(claims.get("jti"), str) or not claims["jti"]:
            raise SuspiciousOperation("the logout token has no id")
        if not isinstance(claims["iat"], (int, float)) or claims["iat"] < time.time() - LOGOUT_SECONDS:
            raise SuspiciousOperation("the logout token is too old")
        return claims


def check_access_token(claims: dict[str, Any], access_token: str, id_token: str) -> None:
    """`at_hash` ties the access token to the ID token, where the provider says it."""
    said = claims.get("at_hash")
    if said is None:
        return
    size = str(_header(id_token).get("alg", ""))[-3:]
    digest = hashlib.new({"384": "sha384", "512": "sha512"}.get(size, "sha256"), access_token.encode()).digest()
    expected = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if size != "DSA" and not _same(said, expected):
        raise SignInRefused("oauth_token", "at_hash does not fit the access token")


def key_id(token: Any) -> str | None:
    """The key that a token names, not believed yet."""
    kid = _header(token).get("kid")
    return kid if isinstance(kid, str) else None


def issuer_of(token: Any) -> str:
    """The issuer that a token names, not believed yet."""
    try:
        return str(jwt.decode(token, options={"verify_signature": False}).get("iss", ""))
    except (jwt.PyJWTError, AttributeError, TypeError, ValueError) as error:
        raise SuspiciousOperation("this is no token") from error


def may_be_of(issuer: str, known: str) -> bool:
    """Whether an issuer, not believed yet, can be a provider's, whose own may stand for many tenants."""
    before, is_pattern, after = known.partition(TENANT)
    if not is_pattern:
        return issuer == known
    middle = issuer[len(before) : len(issuer) - len(after)]
    return issuer == f"{before}{middle}{after}" and _TENANT.fullmatch(middle) is not None


def _header(token: Any) -> dict[str, Any]:
    try:
        return dict(jwt.get_unverified_header(token))
    except (jwt.PyJWTError, AttributeError, TypeError, ValueError) as error:
        raise SuspiciousOperation(f"this is no token: {type(error).__name__}") from error


def _same(one: Any, other: str) -> bool:
    return isinstance(one, str) and hmac.compare_digest(one.encode(), other.encode())
