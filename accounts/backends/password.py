"""Password sign-in."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.hashers import make_password
from django.http import HttpRequest

from accounts.models import User

#: hashing megabytes would keep a thread busy for anybody who asks; ours have 1,024 characters at most
LONGEST = 4096


class PasswordBackend:
    """E-mail and password. An unknown address costs the same time as a wrong password."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        email = (username or kwargs.get("email") or "").strip().lower()
        if not email or not password or len(password) > LONGEST:
            return None
        user = User.objects.filter(email=email).first()
        if user is None:
            make_password(password)
            return None
        return user if user.check_password(password) and user.is_active else None

    def get_user(self, user_id: Any) -> User | None:
        return User.objects.filter(pk=user_id).first()
