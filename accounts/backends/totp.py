"""Codes of authenticator apps (RFC 6238) and the picture that such an app reads."""

from __future__ import annotations

import hmac
import time

import pyotp
import segno

#: one step of 30 seconds early or late: clocks differ, and people type
SKEW = 1


def new_secret() -> str:
    return pyotp.random_base32()


def address(secret: str, *, account: str, issuer: str) -> str:
    """What the picture says: an `otpauth://` address."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def matching_step(secret: str, code: str, *, after: int, at: float | None = None) -> int | None:
    """The time step whose code this is; None when it is wrong, or of a step that was used already.

    :param after: the last step that was accepted
    """
    code = "".join(code.split())
    if len(code) != 6 or not code.isascii() or not code.isdigit():
        return None
    totp, now = pyotp.TOTP(secret), int((time.time() if at is None else at) // 30)
    found = None
    for step in range(now - SKEW, now + SKEW + 1):
        if hmac.compare_digest(totp.generate_otp(step), code) and step > after:
            found = step
    return found


def picture(text: str) -> str:
    """A QR code as SVG with no style and no script in it, to stand in a page."""
    svg: str = segno.make(text, error="m").svg_inline(scale=4, border=3, dark="#000", light="#fff", omitsize=True)
    return svg
