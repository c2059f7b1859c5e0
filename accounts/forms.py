"""Forms of the pages about oneself. Rules live in the services; what they refuse is shown at the field it concerns."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.forms.utils import ErrorList
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from owui.lib.errors import UserError

#: reasons that another page may send along as `/auth?error=<reason>`; a free text there would let strangers write on
#: our sign-in page
REASONS = {
    "signup_closed": _("New accounts are made by an administrator here. Ask for one, or sign in."),
    "password_changed": _("Your password was changed. Sign in with the new one."),
}
UNKNOWN_REASON = _("Signing in did not work. Try again; if it happens again, ask your administrator.")


class ServiceForm(forms.Form):
    """A form that can also show what a service refused."""

    #: which field a refusal belongs to, by its code
    refusals: ClassVar[dict[str, str]] = {}

    def __init__(self, *args: Any, notice: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.notice = notice

    def non_field_errors(self) -> ErrorList:
        errors = super().non_field_errors()
        return ErrorList([*errors, self.notice]) if self.notice else errors

    def refuse(self, error: UserError) -> None:
        """Shows a service's refusal in the form."""
        field = self.refusals.get(error.code)
        self.add_error(field if field in self.fields else None, error.message)


def _email() -> forms.EmailField:
    attrs = {"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
    return forms.EmailField(label=_("E-mail"), max_length=254, widget=forms.EmailInput(attrs=attrs))


def _password(label: Any, autocomplete: str) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, max_length=1024, strip=False, widget=widget)


class SignInForm(ServiceForm):
    email = _email()
    password = _password(_("Password"), "current-password")


class SignUpForm(ServiceForm):
    refusals = {"email_taken": "email", "email_invalid": "email", "password": "password"}

    name = forms.CharField(label=_("Name"), max_length=255, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    email = _email()
    password = _password(_("Password"), "new-password")


class ProfileForm(ServiceForm):
    name = forms.CharField(label=_("Name"), max_length=255, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    bio = forms.CharField(
        label=_("About you"), required=False, max_length=5000, widget=forms.Textarea(attrs={"rows": 3})
    )


class PasswordForm(ServiceForm):
    refusals = {"credentials": "old", "password": "new"}

    old = _password(_("Current password"), "current-password")
    new = _password(_("New password"), "new-password")


class UserAdminForm(forms.ModelForm[User]):
    """What an administrator may change of a person; the password can be set and never read."""

    new_password = _password(_("New password"), "new-password")

    class Meta:
        model = User
        fields = ["name", "email", "role", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["new_password"]
        field.required = self.instance._state.adding
        if not self.instance._state.adding:
            field.help_text = _("Leave empty to keep the present one. A new one ends all sessions of this person.")
