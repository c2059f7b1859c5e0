"""Who is here."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import _user_has_module_perms, _user_has_perm  # type: ignore[attr-defined]
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.hashers import as_ours
from accounts.presented import Presented


class Role(models.TextChoices):
    """Standing of an account."""

    ADMIN = "admin", _("Administrator")
    USER = "user", _("User")
    PENDING = "pending", _("Pending approval")


class UserManager(BaseUserManager["User"]):
    """Plain creation for tests and commands; people come in through `accounts.services`."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, role=Role.ADMIN, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """One person. The role is read from the database on each request, never from a token."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(_("e-mail"), unique=True)
    name = models.CharField(_("name"), max_length=255)
    username = models.CharField(_("user name"), max_length=255, blank=True)
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.PENDING, db_index=True)
    is_active = models.BooleanField(_("may sign in"), default=True)
    #: only the person says that the address is theirs: nobody of the organisation, no provider, no mail that arrived
    is_address_claimed = models.BooleanField(_("address is their own word"), default=False, editable=False)
    profile_image_url = models.TextField(blank=True, default="/user.png")
    bio = models.TextField(blank=True)
    gender = models.CharField(_("gender"), max_length=255, blank=True)
    date_of_birth = models.DateField(_("date of birth"), null=True, blank=True)
    settings = models.JSONField(default=dict, blank=True)
    info = models.JSONField(default=dict, blank=True)
    # Changing the stamp ends every session of the person at once, on every node.
    session_stamp = models.UUIDField(default=uuid.uuid4, editable=False)
    last_active_at = models.DateTimeField(_("last seen"), null=True, blank=True)
    created_at = models.DateTimeField(_("joined"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    # Last, because it hides the module of that name.
    timezone = models.CharField(_("time zone"), max_length=64, blank=True)

    #: no column: ids of the models the credential in use is limited to, None without such a limit. It is on the person
    #: because that is what every question about models is asked with; `inference.models` answers it.
    model_scope: frozenset[str] | None = None
    #: no column either: what the person came in with, for calls in their name
    presented: Presented | None = None

    objects = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        ordering = ["name"]
        indexes = [models.Index(fields=["created_at"])]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"

    def check_password(self, raw_password: str | None) -> bool:
        """Also a hash as the users' table of another product has it; whatever is not of today's kind is renewed."""
        self.password = as_ours(self.password)
        return super().check_password(raw_password)

    @property
    def is_admin(self) -> bool:
        return self.role == Role.ADMIN

    @property
    def is_staff(self) -> bool:
        """Who may open Django admin."""
        return self.is_active and self.role == Role.ADMIN

    @property
    def is_superuser(self) -> bool:
        return self.is_staff

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return bool(_user_has_perm(self, perm, obj))

    def has_perms(self, perm_list: Any, obj: Any = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        return bool(_user_has_module_perms(self, app_label))

    def get_all_permissions(self, obj: Any = None) -> set[str]:
        return set()
