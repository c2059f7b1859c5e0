"""6.3 Data: flags of administrators, and the stores behind us. Rights of groups and grants are in the rbac app."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from owui.config.sections import UiConfig
from owui.security.addresses import Reach, reach, shown
from owui.security.checks.database import database_facts
from owui.security.checks.redis import has_password, redis_facts, redis_urls
from owui.security.files import loose_mode
from owui.security.registry import Finding, check, declared, fail, not_applicable, ok, warn


@check(
    "6.3.a",
    _("Administrators cannot read other people's chats"),
    repair=_("Set ENABLE_ADMIN_CHAT_ACCESS=False and restart."),
    names=("ENABLE_ADMIN_CHAT_ACCESS",),
)
def admin_chat_access() -> Finding:
    if settings.ENABLE_ADMIN_CHAT_ACCESS:
        return fail(_("Administrators can list and read the chats of everybody."))
    return ok(_("Administrators see other people's chats only where these were shared with them."))


@check(
    "6.3.b",
    _("Administrators cannot export everything"),
    repair=_("Set ENABLE_ADMIN_EXPORT=False and restart."),
    names=("ENABLE_ADMIN_EXPORT",),
)
def admin_export() -> Finding:
    if settings.ENABLE_ADMIN_EXPORT:
        return fail(_("Administrators can export all chats and the database."))
    return ok(_("Exports of all chats and of the database are refused."))


@check(
    "6.3.e",
    _("Community sharing is off"),
    repair=_("Switch community sharing off: its links send content to a public site."),
    names=("ENABLE_COMMUNITY_SHARING",),
    key="ui.enable_community_sharing",
)
def community_sharing() -> Finding:
    if UiConfig.load().enable_community_sharing:
        return fail(_("Links that share things with the public community site are shown."))
    return ok(_("No links to the public community site are shown."))


declared(
    "6.3.f",
    _("The database is encrypted at rest"),
    found=_("This process cannot see how the disks below the database are encrypted."),
    repair=_("Encrypt the volume (LUKS, or the storage's own encryption) and declare it."),
)


@check(
    "6.3.g",
    _("Redis asks for a password where others could reach it"),
    repair=_("Give Redis a password (requirepass, or an ACL user) and put it into REDIS_URL, or bind it to loopback."),
    names=("REDIS_URL", "WEBSOCKET_REDIS_URL"),
)
def redis_password() -> Finding:
    open_urls = [url for url in redis_urls() if reach(url) is not Reach.LOCAL and not has_password(url)]
    if open_urls:
        return fail(_("Used without a password: %(urls)s.") % {"urls": ", ".join(shown(url) for url in open_urls)})
    if all(has_password(url) for url in redis_urls()):
        return ok(_("Redis is used with a password."))
    facts = redis_facts()
    bound = facts.config.get("bind", "").split()
    # An empty bind means all addresses; with protected mode Redis then answers loopback only.
    is_wide = not bound or bool({"*", "-::*", "0.0.0.0", "::"} & set(bound))  # noqa: S104
    if facts.config and is_wide and facts.config.get("protected-mode") == "no":
        return fail(_("Redis listens on all addresses of its machine, without a password and without protected mode."))
    if facts.fault:
        return warn(_("Redis is used without a password on this machine. %(fault)s") % {"fault": facts.fault})
    return ok(_("Redis is used without a password, and answers this machine only."))


declared(
    "6.3.h",
    _("Backups are encrypted, with the key elsewhere"),
    found=_("This process makes no backups and cannot see them."),
    repair=_("Encrypt backups (age, gpg), keep the key off this host, test a restore, and declare it."),
)


@check(
    "6.3.i",
    _("The way to the database is encrypted"),
    repair=_("Add ?sslmode=verify-full (and sslrootcert) to DATABASE_URL, and switch ssl on in PostgreSQL."),
    names=("DATABASE_URL",),
    beyond=True,
)
def database_tls() -> Finding:
    facts = database_facts()
    if reach(facts.host) is Reach.LOCAL:
        return ok(_("The database is on this machine."))
    if facts.uses_tls:
        return ok(_("The connection to %(host)s uses %(tls)s.") % {"host": facts.host, "tls": facts.tls_version})
    return fail(_("The connection to %(host)s is not encrypted.") % {"host": facts.host})


@check(
    "6.3.j",
    _("The database role has no more rights than it needs"),
    repair=_(
        "Run the application as a role without superuser rights that does not own the tables; migrate as the owner."
    ),
    names=("DATABASE_URL",),
    beyond=True,
)
def database_role() -> Finding:
    facts = database_facts()
    values = {"role": facts.role}
    if facts.is_superuser:
        return fail(_("The role %(role)s is superuser of the database server.") % values)
    if facts.bypasses:
        return warn(_("The role %(role)s may make roles or skip row security.") % values)
    if facts.owns_audit:
        return warn(
            _("The role %(role)s owns the tables, so it could switch off what protects the audit log.") % values
        )
    return ok(_("The role %(role)s is no superuser and does not own the audit log.") % values)


@check(
    "6.3.k",
    _("Uploaded files are readable by this user only"),
    repair=_("Run `chmod -R go-rwx` on the directory."),
    names=("DATA_DIR",),
    beyond=True,
)
def uploads() -> Finding:
    path = settings.DATA_DIR / "uploads"
    if not path.is_dir():
        return not_applicable(_("Nothing was uploaded yet."))
    # The directory alone decides for everything below it: who cannot enter it reads no file.
    if mode := loose_mode(path):
        return fail(
            _("%(path)s has the mode %(mode)s: other users of the machine can look inside.")
            % {"path": path, "mode": mode}
        )
    return ok(_("%(path)s can be entered by this user only.") % {"path": path})


@check(
    "6.3.l",
    _("Stores are not on public addresses"),
    repair=_("Move PostgreSQL and Redis into a private network, and let only the nodes reach them."),
    names=("DATABASE_URL", "REDIS_URL", "WEBSOCKET_REDIS_URL"),
    beyond=True,
)
def store_addresses() -> Finding:
    places = {"PostgreSQL": database_facts().host} | {f"Redis {shown(url)}": url for url in redis_urls()}
    reaches = {name: reach(address) for name, address in places.items()}
    if public := [name for name, where in reaches.items() if where is Reach.PUBLIC]:
        return fail(_("On a public address: %(names)s.") % {"names": ", ".join(public)})
    if unclear := [name for name, where in reaches.items() if where is Reach.UNCERTAIN]:
        return warn(_("Only your DNS can tell where these are: %(names)s.") % {"names": ", ".join(unclear)})
    return ok(_("PostgreSQL and Redis are on this machine or in a private network."))
