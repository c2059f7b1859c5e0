"""python-ldap and django-auth-ldap, loaded when they are needed, and what goes wrong with a directory."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.utils.translation import gettext as _

from owui.lib.errors import UserError


class DirectoryProblem(UserError):
    """The directory, or what we know of it, is at fault: a sentence for the person, `detail` for the log."""

    status = 503
    code = "directory"

    def __init__(self, message: Any, *, detail: str, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message, status=status, code=code)
        self.detail = detail


def is_installed() -> bool:
    return find_spec("ldap") is not None and find_spec("django_auth_ldap") is not None


def ldap() -> Any:
    """python-ldap; `Any`, because it has no types and may not be there."""
    return _load("ldap")


def auth_ldap() -> Any:
    """django-auth-ldap's declarations of searches."""
    return _load("django_auth_ldap.config")


def _load(name: str) -> Any:
    try:
        module = import_module(name)
        # Submodules that are used by attribute.
        if name == "ldap":
            for part in ("dn", "filter", "controls"):
                import_module(f"ldap.{part}")
    except ImportError as error:
        raise DirectoryProblem(
            _("Sign-in with the directory is not installed on this server. Tell your administrator."),
            detail=f"{error}. Install OpenLDAP's headers (Debian: apt install libldap2-dev libsasl2-dev gcc) and the "
            "extra: pip install 'owui[ldap]'.",
            code="directory_missing",
        ) from error
    return module


def reason(error: BaseException) -> str:
    """What an error of the library says, in one line and without passwords (it holds none)."""
    info = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    parts = [str(info[key]) for key in ("desc", "info") if info.get(key)]
    return f"{type(error).__name__}: {', '.join(parts)}" if parts else f"{type(error).__name__} {error}".strip()
