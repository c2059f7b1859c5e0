"""WEBUI_AUTH=False: one person on their own machine, without a password. Never beside other accounts."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.services.creation import create_account
from accounts.services.entering import Entered
from accounts.services.sessions import open_session
from owui.lib.errors import Refused, UserError

#: the account of whoever sits at the machine
LOCAL = "admin@localhost"


def is_alone() -> bool:
    return not settings.BOOT.webui_auth


def check_alone() -> None:
    """400 when authentication is off although there are accounts: switching it off must not open what they wrote."""
    if is_alone() and User.objects.exclude(email=LOCAL).exists():
        raise UserError(
            _("Authentication cannot be switched off because there are accounts. Set WEBUI_AUTH=True."),
            code="accounts_exist",
        )


def sign_in_alone(*, host: str, user_agent: str = "", ip: str | None = None) -> Entered:
    """Lets in whoever comes, as the one administrator.

    :param host: the name the browser used: a page of another site whose name was made to point here must not get in
    """
    check_alone()
    if not _is_ours(host):
        raise Refused(_("Without authentication this server is used as localhost, or under the name in WEBUI_URL."))
    user = User.objects.filter(email=LOCAL).first()
    if user is None:
        user = create_account(name="Admin", email=LOCAL, password=None, by=None)
    token, session = open_session(user, auth_method="system", user_agent=user_agent, ip=ip)
    return Entered(user, token, session)


def _is_ours(host: str) -> bool:
    name = (urlsplit(f"//{host}").hostname or "").lower()
    named = [urlsplit(settings.BOOT.webui_url).hostname, *settings.ALLOWED_HOSTS]
    return name in ("localhost", "127.0.0.1", "::1") or name in [entry for entry in named if entry and entry != "*"]
