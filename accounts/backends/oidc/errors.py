"""What goes wrong between a person, a provider and us: one sentence for the person, more for the log."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from owui.lib.errors import UserError

#: the reasons our sign-in page knows, by the code in its address; a text in an address could be anybody's
REASONS = {
    "oauth_off": _("Signing in this way is switched off. Choose another way, or ask your administrator."),
    "oauth_denied": _("The sign-in was cancelled at your organisation's provider. Try again when you are ready."),
    "oauth_state": _("This sign-in was begun in another window, used before, or took too long. Please begin again."),
    "oauth_provider": _("Your organisation's sign-in cannot be reached at the moment. Try again in a few minutes."),
    "oauth_token": _("The answer of your organisation's sign-in could not be trusted. Try again, or ask for help."),
    "oauth_claims": _("Your organisation's sign-in does not say who you are in a usable way. Ask your administrator."),
    "oauth_email": _("Your organisation's sign-in names no usable e-mail address for you. Ask your administrator."),
    "oauth_domain": _("Addresses like yours may not sign in here. Use your organisation's address."),
    "oauth_role": _("Your organisation has not given you a role here. Ask your administrator for access."),
    "email_taken": _("Your e-mail address already belongs to an account here. Sign in as before, or ask for help."),
    "unknown_person": _("You have no account here yet, and signing in does not make one. Ask your administrator."),
    "account_off": _("This account is switched off. Ask your administrator."),
}


class SignInRefused(UserError):
    """A sign-in by a provider that does not go on.

    :param code: one of `REASONS`
    :param detail: what happened, for the log only; never a token
    """

    def __init__(self, code: str, detail: Any = "", *, status: int | None = None) -> None:
        default = {"oauth_provider": 502, "oauth_off": 403, "oauth_domain": 403, "oauth_role": 403}.get(code, 400)
        super().__init__(REASONS[code], status=status or default, code=code)
        self.detail = str(detail)
