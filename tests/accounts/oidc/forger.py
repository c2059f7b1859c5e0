"""A provider of our own over a real socket, for what no honest one would send: forged tokens, odd claims, odd answers.

It speaks OpenID Connect at `/`, and GitHub's way (no ID token, addresses on a page of their own) at `/github/…`.
"""

from __future__ import annotations

import json
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT = "ai-assistant"
_OWN = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_FOREIGN = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Forger:
    """What the next sign-in gets to see."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.begin_anew()

    def begin_anew(self) -> None:
        self.claims: dict[str, Any] = {}
        self.profile: dict[str, Any] | None = None
        #: path to (status, body) instead of what is right
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.seal: Callable[[dict[str, Any]], str] = self.signed
        self.forms: list[dict[str, str]] = []
        self.asked: list[str] = []
        self.emails: list[dict[str, Any]] = []
        self.codes: set[str] = set()
        #: path to seconds
        self.delay: dict[str, float] = {}

    # ------------------------------------------------------------------------------------------------------- tokens
    def body(self, nonce: str = "", **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        whole = {
            "iss": self.issuer, "aud": CLIENT, "sub": "sub-1", "iat": now, "exp": now + 300, "nonce": nonce,
            "email": "nora@example.org", "email_verified": True, "name": "Nora New",
        } | self.claims | claims  # fmt: skip
        return {name: value for name, value in whole.items() if value is not None}

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, _OWN, algorithm="RS256", headers={"kid": "own"})

    def by_a_stranger(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, _FOREIGN, algorithm="RS256", headers={"kid": "own"})

    def unsigned(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, None, algorithm="none", headers={"kid": "own"})

    def by_public_key(self, claims: dict[str, Any]) -> str:
        """HS256 with the public key as its secret, written by hand: the library refuses to make such a thing."""
        import base64
        import hashlib
        import hmac

        pem = _OWN.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        parts = [json.dumps({"alg": "HS256", "typ": "JWT", "kid": "own"}).encode(), json.dumps(claims).encode()]
        text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
        mac = base64.urlsafe_b64encode(hmac.new(pem, text, hashlib.sha256).digest()).rstrip(b"=")
        return (text + b"." + mac).decode()

    def by_secret(self, claims: dict[str, Any]) -> str:
        return jwt.encode(
            claims, "a-client-secret-that-is-long-enough-for-it", algorithm="HS256", headers={"kid": "own"}
        )

    def of_an_unknown_key(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, _OWN, algorithm="RS256", headers={"kid": "never-seen"})

    # ------------------------------------------------------------------------------------------------------ answers
    def reply(self, path: str, form: dict[str, str]) -> tuple[int, Any]:
        self.asked.append(path)
        time.sleep(self.delay.get(path, 0))
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            at = self.issuer
            return 200, {
                "issuer": at, "authorization_endpoint": f"{at}/authorize", "token_endpoint": f"{at}/token",
                "jwks_uri": f"{at}/jwks", "userinfo_endpoint": f"{at}/userinfo",
            }  # fmt: skip
        if path == "/jwks":
            key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(_OWN.public_key()))
            return 200, {"keys": [key | {"kid": "own", "use": "sig", "alg": "RS256"}]}
        if path == "/token":
            self.forms.append(form)
            nonce, _dot, _rest = form.get("code", "").partition(".")
            return 200, {
                "access_token": "at",
                "token_type": "Bearer",
                "expires_in": 300,
                "id_token": self.seal(self.body(nonce)),
            }
        if path == "/userinfo":
            return 200, self.profile if self.profile is not None else {"sub": self.body()["sub"]}
        if path == "/github/token":
            self.forms.append(form)
            if form["code"] in self.codes:
                return 200, {"error": "bad_verification_code"}
            self.codes.add(form["code"])
            return 200, {"access_token": "gho_x", "token_type": "bearer", "scope": "user:email"}
        if path == "/github/user":
            return 200, self.profile or {}
        if path == "/github/user/emails":
            return 200, self.emails
        return 404, {}


def _own_certificate() -> ssl.SSLContext:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, _OWN.public_key(), 1, now - timedelta(1), now + timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    key = _OWN.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(made.sign(_OWN, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


@contextmanager
def forging(*, with_tls: bool = False) -> Iterator[Forger]:
    """:param with_tls: with a certificate that nobody vouches for"""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            form = dict(parse_qsl(self.rfile.read(size).decode())) if size else {}
            status, body = forger.reply(self.path.partition("?")[0], form)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            with suppress(OSError):  # who asked may have gone
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        do_GET = do_POST = _answer

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if with_tls:
        server.socket = _own_certificate().wrap_socket(server.socket, server_side=True)
    forger = Forger(f"http{'s' if with_tls else ''}://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield forger
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
