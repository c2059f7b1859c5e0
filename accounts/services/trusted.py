"""Sign-in by what a trusted proxy says."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.backends.identity import Admission, ExternalIdentity
from accounts.models import Role
from accounts.services.entering import Entered, Pending, begin_session
from accounts.services.provisioning import admit
from accounts.trusted import PROVIDER, Asserted
from owui.lib.errors import Refused, UserError
from rbac.models import MembershipSource

#: the field's text
NO_HEADER = "Your provider has not provided a trusted header. Please contact your administrator for assistance."


def sign_in_by_header(asserted: Asserted | None, *, user_agent: str = "", ip: str | None = None) -> Entered | Pending:
    """Admits the person whom the proxy names, and begins a session.

    :raises UserError: 400 nobody is named, or not by an address; 403 passwords are off (the field's rule), account off
    """
    boot = settings.BOOT
    if not boot.enable_password_auth:
        raise Refused(_("Sign-in by the proxy is switched off together with passwords. Ask your administrator."))
    if asserted is None:
        raise UserError(NO_HEADER, code="no_trusted_header")
    identity = ExternalIdentity(
        provider=PROVIDER,
        subject=asserted.email[:255],
        email=asserted.email,
        name=asserted.name,
        role=asserted.role if asserted.role in Role.values else None,
        groups=asserted.groups,
    )
    rules = Admission(
        may_create=True,
        may_merge=True,
        source=MembershipSource.HEADER if boot.webui_auth_trusted_groups_header else None,
    )
    user, _report = admit(identity, rules)
    return begin_session(user, auth_method="trusted_header", user_agent=user_agent, ip=ip)
