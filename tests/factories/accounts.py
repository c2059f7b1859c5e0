"""People."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import factory
from factory.django import DjangoModelFactory

from accounts.models import User

PASSWORD = "correct horse battery"


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Person {n}")
    email = factory.Sequence(lambda n: f"person{n}@example.org")
    role = "user"

    @classmethod
    def _create(cls, model_class: type[User], *args: Any, **kwargs: Any) -> User:
        return model_class.objects.create_user(password=kwargs.pop("password", PASSWORD), **kwargs)


def a_system_admin() -> Any:
    """Somebody who may do everything and has no row: for preparing a test's world through the services."""
    return SimpleNamespace(id=None, email="test@example.org", name="Test", role="admin", is_active=True)
