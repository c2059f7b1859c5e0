"""Security checks of the directory and of trusted headers; loaded by `accounts.security_checks`."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts import trusted
from accounts.backends import directory
from accounts.config import DirectoryConfig
from accounts.models import DirectoryRun
from owui.lib.errors import UserError
from owui.security.registry import Finding, check, fail, not_applicable, ok, warn

#: a network with more addresses than this holds more than proxies
_WIDE = 256
_HEADERS = ("WEBUI_AUTH_TRUSTED_EMAIL_HEADER", "TRUSTED_PROXY_CIDRS")


@check(
    "6.2.p",
    _("The directory is asked over TLS"),
    repair=_("Use ldaps (port 636) or StartTLS, and check the server's certificate."),
    names=("LDAP_USE_TLS", "LDAP_USE_STARTTLS", "LDAP_VALIDATE_CERT"),
    key="ldap.use_tls",
    beyond=True,
)
def directory_tls() -> Finding:
    config = DirectoryConfig.load()
    if not config.enable:
        return not_applicable(_("Sign-in with the directory is off."))
    try:
        found = directory.servers(config)
    except UserError as error:
        return fail(error.message)
    plain = [url for url, is_starttls in found if url.startswith("ldap:") and not is_starttls]
    if plain:
        return fail(_("Passwords go to the directory in clear: %(names)s.") % {"names": ", ".join(plain)})
    if not config.validate_cert:
        return fail(_("The directory's certificate is not checked: whoever stands in between reads passwords."))
    return ok(_("The directory is asked over TLS, and its certificate is checked."))


@check(
    "6.2.q",
    _("The directory is asked with an account of its own"),
    repair=_("Give LDAP_APP_DN an account that may only read."),
    names=("LDAP_APP_DN",),
    key="ldap.app_dn",
    beyond=True,
)
def directory_account() -> Finding:
    config = DirectoryConfig.load()
    if not config.enable:
        return not_applicable(_("Sign-in with the directory is off."))
    if not config.app_dn:
        return warn(_("The directory is searched without an account: anybody on the network can read it."))
    return ok(_("The directory is searched by %(name)s.") % {"name": config.app_dn})


@check(
    "6.2.r",
    _("Who leaves the directory leaves here"),
    repair=_("Switch on the directory sync, and see its list for errors."),
    names=("ENABLE_LDAP_SYNC", "LDAP_SYNC_INTERVAL"),
    key="ldap.enable_sync",
    beyond=True,
)
def directory_sync() -> Finding:
    config = DirectoryConfig.load()
    if not config.enable:
        return not_applicable(_("Sign-in with the directory is off."))
    if not config.enable_sync:
        return warn(_("Who is closed in the directory keeps open sessions and keys until they end."))
    last = DirectoryRun.objects.exclude(state=DirectoryRun.State.RUNNING).order_by("-started_at").first()
    if last is None:
        return warn(_("The directory was not looked through yet. Is a worker with the schedule running?"))
    if last.state != DirectoryRun.State.DONE:
        return fail(_("The last directory sync stopped: %(reason)s") % {"reason": " ".join(last.errors[:1])})
    return ok(_("The directory is looked through every %(seconds)d seconds.") % {"seconds": config.sync_interval})


@check(
    "6.2.s",
    _("Only proxies may say who is there"),
    repair=_("Set TRUSTED_PROXY_CIDRS to the addresses of your proxies alone, such as 10.0.0.5/32."),
    names=_HEADERS,
    beyond=True,
)
def trusted_proxies() -> Finding:
    boot = settings.BOOT
    if not trusted.is_on():
        return not_applicable(_("No proxy signs people in."))
    known, unix = trusted.networks(boot.trusted_proxy_cidrs)
    if not known and not unix:
        return fail(_("A header names people, and TRUSTED_PROXY_CIDRS names no proxy: nobody can sign in."))
    wide = [str(network) for network in known if network.num_addresses > _WIDE]
    if wide:
        return warn(_("Everybody in %(names)s may say who they are.") % {"names": ", ".join(wide)})
    return ok(_("Headers that name people are taken from %(names)s.") % {"names": boot.trusted_proxy_cidrs})


@check(
    "6.2.t",
    _("No client can give itself a role through the proxy"),
    repair=_("Have the proxy set or empty this header on every request, or take roles from somewhere else."),
    names=("WEBUI_AUTH_TRUSTED_ROLE_HEADER",),
    beyond=True,
)
def trusted_role() -> Finding:
    name = settings.BOOT.webui_auth_trusted_role_header
    if not trusted.is_on() or not name:
        return not_applicable(_("No proxy says roles."))
    return warn(
        _("Roles come from the header %(name)s: a proxy that only passes it on lets clients choose.") % {"name": name}
    )
