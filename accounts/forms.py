"""Forms of the pages about oneself. Rules live in the services; what they refuse is shown at the field it concerns."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.forms.utils import ErrorList
from django.utils.translation import gettext_lazy as _

from accounts.backends.oidc.errors import REASONS as OAUTH_REASONS
from accounts.models import User
from owui.lib.errors import UserError
from owui.lib.pictures import NONE_CHOSEN, TYPES, data_address

#: becomes a third longer as text, of which a profile may hold 500,000 characters
LARGEST_PICTURE = 350_000

#: reasons that another page may send along as `/auth?error=<reason>`; a free text there would let strangers write on
#: our sign-in page
REASONS = OAUTH_REASONS | {
    "signup_closed": _("New accounts are made by an administrator here. Ask for one, or sign in."),
    "challenge_over": _("The second step took too long, or was done already. Sign in again."),
    "reset_over": _("This link is used, older than an hour, or incomplete. Ask for a new one."),
    "password_changed": _("Your password was changed. Sign in with the new one."),
}
#: of these, what is no failure
GOOD_NEWS = ("password_changed",)
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


class DirectorySignInForm(ServiceForm):
    refusals = {"password": "password"}

    user = forms.CharField(
        label=_("User name"),
        max_length=256,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = _password(_("Password"), "current-password")


class ForgotForm(ServiceForm):
    email = _email()


class ResetForm(ServiceForm):
    refusals = {"password": "new"}

    new = _password(_("New password"), "new-password")


class SignUpForm(ServiceForm):
    refusals = {"email_taken": "email", "email_invalid": "email", "password": "password"}

    name = forms.CharField(label=_("Name"), max_length=255, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    email = _email()
    password = _password(_("Password"), "new-password")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if settings.BOOT.enable_signup_password_confirmation:
            self.fields["again"] = _password(_("Password again"), "new-password")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if "again" in self.fields and data.pop("again", None) != data.get("password"):
            self.add_error("again", _("The two passwords are not the same."))
        return data


def _code(label: Any, help_text: Any = "") -> forms.CharField:
    attrs = {"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
    return forms.CharField(label=label, help_text=help_text, max_length=40, widget=forms.TextInput(attrs=attrs))


class CodeForm(ServiceForm):
    """The second factor at sign-in."""

    refusals = {"code": "code"}

    code = _code(_("Code"), _("Six digits from your authenticator app, or one of your recovery codes."))


class FirstCodeForm(ServiceForm):
    """The code that ends setting up an app."""

    refusals = {"code": "code"}

    code = _code(_("Code from the app"))


class ProofForm(ServiceForm):
    """That it is still the same person at the keyboard."""

    refusals = {"proof": "proof"}

    proof = _password(_("Password or current code"), "current-password")


class ProfileForm(ServiceForm):
    refusals = {"too_large": "picture"}

    name = forms.CharField(label=_("Name"), max_length=255, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    picture = forms.FileField(
        label=_("Picture"),
        required=False,
        help_text=_("PNG, JPEG, GIF or WebP; made smaller before it is sent."),
        widget=forms.FileInput(attrs={"accept": ",".join(TYPES), "data-shrink": "256"}),
    )
    remove_picture = forms.BooleanField(label=_("Remove the picture"), required=False)
    bio = forms.CharField(
        label=_("About you"), required=False, max_length=5000, widget=forms.Textarea(attrs={"rows": 3})
    )

    def clean_picture(self) -> str:
        """As a data address, or empty; what it is is read from its first bytes, not from what the sender says."""
        file = self.cleaned_data.get("picture")
        if not file:
            return ""
        if file.size > LARGEST_PICTURE:
            raise forms.ValidationError(_("This picture is too large. Choose one of less than 350 KB."))
        address = data_address(file.read())
        if not address:
            raise forms.ValidationError(_("This is no picture that can be shown. Choose a PNG, JPEG, GIF or WebP."))
        return address

    def changes(self) -> dict[str, Any]:
        """What `services.update_profile` is told."""
        data = self.cleaned_data
        picture = data["picture"] or (NONE_CHOSEN if data["remove_picture"] else None)
        return {"name": data["name"], "bio": data["bio"], "profile_image_url": picture}


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
