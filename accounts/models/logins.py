"""Under which names a person is known elsewhere."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.people import User


class ExternalLogin(models.Model):
    """A person as one provider, directory or provisioning client knows them: its own lasting id for them.

    The id, not the e-mail address, says who comes back: addresses change and are given to others.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="external_logins")
    #: `oidc`, `google`, `ldap`, `header`, `scim:<provider>`: whose id it is
    provider = models.CharField(_("provider"), max_length=80)
    subject = models.CharField(_("id there"), max_length=255)
    created_at = models.DateTimeField(_("since"), auto_now_add=True)
    last_seen_at = models.DateTimeField(_("last sign-in"), null=True, blank=True)
    #: what the last sign-in or sync changed, for the person's page in the administration
    last_report: models.JSONField[Any, Any] = models.JSONField(_("last sync"), default=dict, blank=True)
    #: the provider said that the person is signed out; their keys rest until the next sign-in
    signed_out_at = models.DateTimeField(_("signed out there"), null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "subject"], name="external_login_once")]
        verbose_name = _("external login")
        verbose_name_plural = _("external logins")

    def __str__(self) -> str:
        return f"{self.provider}: {self.subject}"
