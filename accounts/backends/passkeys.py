"""Passkeys (WebAuthn): what a browser is asked, and whether its answer holds."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import webauthn
from webauthn.helpers import exceptions, structs

from accounts.models import Passkey, User


@dataclass(frozen=True, slots=True)
class Place:
    """The site as browsers see it: a passkey belongs to a host and is shown to no other."""

    host: str
    origin: str


class BadPasskey(Exception):
    """The browser's answer does not hold. Why is for the log, not for whoever sent it."""


def nonce() -> str:
    """Random bytes that an answer has to sign."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def registration(user: User, place: Place, *, site_name: str, challenge: str) -> dict[str, Any]:
    """What the browser is asked when a passkey is made."""
    options = webauthn.generate_registration_options(
        rp_id=place.host,
        rp_name=site_name,
        user_id=user.pk.bytes,
        user_name=user.email,
        user_display_name=user.name,
        challenge=base64.urlsafe_b64decode(challenge),
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.PREFERRED,
            user_verification=structs.UserVerificationRequirement.PREFERRED,
        ),
        exclude_credentials=_named(user.passkeys.all()),
    )
    found: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return found


def read_registration(answer: Any, place: Place, *, challenge: str) -> tuple[bytes, bytes, int]:
    """Id, public key and counter of a new passkey. Raises BadPasskey."""
    try:
        done = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=base64.urlsafe_b64decode(challenge),
            expected_rp_id=place.host,
            expected_origin=place.origin,
        )
    except _FAULTS as error:
        raise BadPasskey(str(error)) from error
    return done.credential_id, done.credential_public_key, done.sign_count


def question(place: Place, passkeys: Iterable[Passkey], *, challenge: str, alone: bool) -> dict[str, Any]:
    """What the browser is asked at sign-in.

    :param passkeys: those that may answer; none named: any that the device has for this site
    :param alone: the passkey is the whole proof, so the device must know its owner (finger, face, number)
    """
    need = structs.UserVerificationRequirement
    options = webauthn.generate_authentication_options(
        rp_id=place.host,
        challenge=base64.urlsafe_b64decode(challenge),
        allow_credentials=_named(passkeys),
        user_verification=need.REQUIRED if alone else need.PREFERRED,
    )
    found: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return found


def credential_id(answer: Any) -> bytes:
    """Whose answer it claims to be."""
    try:
        return webauthn.base64url_to_bytes(str(answer["id"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadPasskey("no id") from error


def check(answer: Any, passkey: Passkey, place: Place, *, challenge: str, alone: bool) -> int:
    """The new counter of a passkey whose answer holds. Raises BadPasskey."""
    if passkey.host != place.host:
        raise BadPasskey("made for another host")
    try:
        done = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=base64.urlsafe_b64decode(challenge),
            expected_rp_id=place.host,
            expected_origin=place.origin,
            credential_public_key=bytes(passkey.public_key),
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=alone,
        )
    except _FAULTS as error:
        raise BadPasskey(str(error)) from error
    return done.new_sign_count


#: the library raises its own, and Python's own for a body that is no answer at all
_FAULTS = (exceptions.WebAuthnException, ValueError, TypeError, KeyError, AttributeError)


def _named(passkeys: Iterable[Passkey]) -> list[structs.PublicKeyCredentialDescriptor]:
    return [structs.PublicKeyCredentialDescriptor(id=bytes(passkey.credential_id)) for passkey in passkeys]
