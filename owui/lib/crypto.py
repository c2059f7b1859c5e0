"""Secrets at rest: keys derived from SECRET_KEY, one for each purpose, and text encrypted with them.

A purpose of its own for every use keeps a value made for one table from being accepted in another. Keys named in
SECRET_KEY_FALLBACKS still decrypt and verify, so a key can be rotated without losing what was stored under the old one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class KeyChangedError(Exception):
    """The text was encrypted under another SECRET_KEY, or was altered since."""


@lru_cache(maxsize=64)
def _derive(secret: str, purpose: str) -> bytes:
    # No salt: the key must come out the same on every node, and SECRET_KEY is long and random already.
    return HKDF(SHA256(), length=32, salt=None, info=f"owui:{purpose}".encode()).derive(secret.encode())


def derived_keys(purpose: str) -> list[bytes]:
    """32-byte keys for one purpose: the current one first, then those of SECRET_KEY_FALLBACKS."""
    return [_derive(secret, purpose) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def encrypt(text: str, purpose: str = "stored-secret", *, secret: str = "") -> str:
    """The text encrypted under the current key; never the same twice.

    :param secret: a key of the operator's for this purpose alone, instead of SECRET_KEY
    """
    return _fernet(purpose, secret).encrypt(text.encode()).decode()


def decrypt(token: str, purpose: str = "stored-secret", *, secret: str = "") -> str:
    """The text again; KeyChangedError when no known key fits."""
    try:
        return _fernet(purpose, secret).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise KeyChangedError(
            "A stored secret cannot be decrypted: WEBUI_SECRET_KEY has changed since it was saved, or the value was "
            "altered. Set the former key again, or enter the secret anew."
        ) from error


def decrypt_with_present_key(token: str, purpose: str = "stored-secret") -> str:
    """The text again; InvalidToken when only a fallback fits, or none."""
    return Fernet(base64.urlsafe_b64encode(derived_keys(purpose)[0])).decrypt(token.encode()).decode()


def _fernet(purpose: str, secret: str = "") -> MultiFernet:
    # What was encrypted before there was a key of its own stays readable.
    keys = [_derive(secret, purpose)] if secret else []
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys + derived_keys(purpose)])


def sign(message: bytes, purpose: str) -> str:
    """HMAC-SHA256 under the current key, in hex."""
    return hmac.new(derived_keys(purpose)[0], message, hashlib.sha256).hexdigest()


def signed(message: bytes, mac: str, purpose: str) -> bool:
    """Whether the current key or a fallback made this signature."""
    return any(
        hmac.compare_digest(hmac.new(key, message, hashlib.sha256).hexdigest().encode(), mac.encode())
        for key in derived_keys(purpose)
    )
