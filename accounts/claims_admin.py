"""“Test a token” in the administration: what a sign-in with these claims would give. Nothing is written or believed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import jwt
from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.backends.oidc import claims as reading
from accounts.backends.oidc import presets
from accounts.backends.oidc.errors import SignInRefused
from accounts.config import OAuthConfig, SignInConfig
from accounts.models import Role, User
from accounts.services.oauth.sign_in import account_of, role_with_approval
from rbac.services.sync import describe, is_blocked, plan_sync

app_name = "claims"
_KINDS = ("oidc", "google", "microsoft", "github", "feishu")


class TokenForm(forms.Form):
    """Claims, or a token that holds them."""

    provider = forms.ChoiceField(label=gettext_lazy("Provider"))
    token = forms.CharField(
        label=gettext_lazy("Claims or ID token"),
        help_text=gettext_lazy("Claims as JSON, or an ID token, whose signature is not checked here. It is not kept."),
        widget=forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "autocomplete": "off"}),
        max_length=500_000,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        on = presets.configured()
        self.fields["provider"].choices = [(key, on[key].label if key in on else key) for key in on or _KINDS]  # type: ignore[attr-defined]

    def clean_token(self) -> dict[str, Any]:
        text: str = self.cleaned_data["token"].strip()
        try:
            found = json.loads(text) if text.startswith("{") else jwt.decode(text, options={"verify_signature": False})
        except (ValueError, RecursionError, jwt.PyJWTError) as error:
            raise forms.ValidationError(_("This is neither a JSON object nor a token that can be read.")) from error
        return dict(found)


@dataclass(slots=True)
class Outcome:
    """What the page shows.

    :param refused: why nobody would come in; empty otherwise
    """

    refused: str = ""
    reason: str = ""
    person: list[tuple[str, str]] = field(default_factory=list)
    groups: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def outcome_of(key: str, claims: dict[str, Any]) -> Outcome:
    """The same reading and the same rules as a sign-in."""
    config = OAuthConfig.load()
    provider = presets.configured().get(key) or presets.Provider(
        key, key, "", "", "", sub_claim=config.sub_claim or {"github": "id", "feishu": "user_id"}.get(key, "sub"),
        picture_claim=config.picture_claim,
    )  # fmt: skip
    try:
        found = reading.read(provider, claims, config)
    except SignInRefused as error:
        return Outcome(refused=error.message, reason=error.detail)
    identity, rules = found.identity, reading.rules(config)
    if config.role_pending_first:
        identity = replace(identity, role=role_with_approval(identity))
    known = account_of(identity)
    is_linked = known is not None and known.external_logins.filter(provider=key, subject=identity.subject).exists()
    if known is None and not rules.may_create:
        return Outcome(refused=_("There is no account, and none is made: ENABLE_OAUTH_SIGNUP is off."))
    if known is not None and not known.is_active:
        return Outcome(refused=_("The account %(email)s is switched off.") % {"email": known.email})
    if known is not None and not is_linked and not (rules.may_merge and identity.is_verified):
        return Outcome(refused=_("The address belongs to an account that is not taken over: merging is off, or the"
                                 " address is not verified."))  # fmt: skip
    shown = Outcome(notes=found.notes)
    shown.person = [
        (_("Account"), _account(known, is_linked)),
        (_("Role"), _role(known, identity.role)),
        (_("Id at the provider"), identity.subject),
        (_("E-mail"), f"{identity.email} ({_('verified') if identity.is_verified else _('not verified')})"),
        (_("Name"), identity.name),
    ]
    if rules.source is None:
        shown.groups = [(_("Groups do not follow the claims: ENABLE_OAUTH_GROUP_MANAGEMENT is off."), ())]
        return shown
    # Somebody new is in no group; the plan of nobody says what would be made and joined.
    plan = plan_sync(
        known or User(), identity.groups, source=rules.source, create_missing=rules.may_create_groups,
        blocked=rules.blocked,
    )  # fmt: skip
    shown.groups = describe(plan)
    if blocked := tuple(sorted({name for name in identity.groups or () if is_blocked(name, rules.blocked)})):
        shown.groups.append((_("Blocked groups; the claims neither join nor leave them"), blocked))
    return shown


def _account(known: User | None, is_linked: bool) -> str:
    if known is None:
        return _("a new one is made")
    if is_linked:
        return _("%(email)s, known by this id") % {"email": known.email}
    return _("%(email)s, taken over by its address") % {"email": known.email}


def _role(known: User | None, claimed: str | None) -> str:
    if known is None and not User.objects.exists():
        return _("admin, as the first person")
    if claimed:
        return claimed
    if known is not None:
        return _("%(role)s, as before") % {"role": known.role}
    default = SignInConfig.load().default_user_role
    return _("%(role)s, the default") % {"role": default if default in Role.values else Role.PENDING.value}


@sensitive_post_parameters("token")
@require_http_methods(["GET", "POST"])
def preview(request: HttpRequest) -> HttpResponse:
    form = TokenForm(request.POST or None)
    outcome = None
    if form.is_valid():
        outcome = outcome_of(form.cleaned_data["provider"], form.cleaned_data["token"])
    context = {
        **admin.site.each_context(request),
        "title": _("Test a token"),
        "form": form,
        "outcome": outcome,
    }
    return TemplateResponse(request, "admin/claims_preview.html", context)


urlpatterns = [path("", admin.site.admin_view(preview), name="preview")]
