"""How passwords are hashed, and which hashes of others are understood."""

from __future__ import annotations

import bcrypt
from django.contrib.auth import hashers


class Argon2(hashers.Argon2PasswordHasher):
    """argon2id, three times the memory that OWASP asks for at least (19 MiB, 2 passes, 1 lane).

    One lane, so that a hash is one thread's work: `accounts.backends.password` gives that thread a low priority, and
    sign-ins take no time from running answers.
    """

    memory_cost = 64 * 1024
    time_cost = 2
    parallelism = 1


class Bcrypt(hashers.BCryptPasswordHasher):
    """Hashes of other products. Those that made them looked at the first 72 bytes only; the library refuses more."""

    def verify(self, password: str, encoded: str) -> bool:
        data = encoded.partition("$")[2].encode()
        return bcrypt.checkpw(password.encode()[:72], data)


def as_ours(encoded: str) -> str:
    """A bare `$2b$…` or `$argon2id$…`, as other products store it, with the name that Django puts before."""
    if encoded.startswith("$2"):
        return f"bcrypt${encoded}"
    return f"argon2{encoded}" if encoded.startswith("$argon2") else encoded
