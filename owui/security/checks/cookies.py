"""6.9 Cookies: what browsers are told. The length of sessions is in the accounts app."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from owui.security.addresses import Reach, reach
from owui.security.registry import Finding, check, fail, ok, warn


@check(
    "6.9.a",
    _("Cookies travel over TLS only"),
    repair=_("Set WEBUI_AUTH_COOKIE_SECURE=True."),
    names=("WEBUI_AUTH_COOKIE_SECURE", "WEBUI_SESSION_COOKIE_SECURE"),
)
def secure() -> Finding:
    if not (settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE):
        return fail(_("Cookies are marked Secure only when a request itself came over TLS."))
    return ok(_("All cookies are marked Secure."))


@check(
    "6.9.b",
    _("Cookies stay with our own pages (SameSite)"),
    repair=_("Set WEBUI_AUTH_COOKIE_SAME_SITE to lax or strict."),
    names=("WEBUI_AUTH_COOKIE_SAME_SITE", "WEBUI_SESSION_COOKIE_SAME_SITE"),
)
def same_site() -> Finding:
    values = {"value": settings.SESSION_COOKIE_SAMESITE}
    if str(settings.SESSION_COOKIE_SAMESITE).lower() not in ("lax", "strict"):
        return fail(_("SameSite is %(value)s: other sites' requests carry the session.") % values)
    return ok(_("SameSite is %(value)s.") % values)


@check(
    "6.9.c",
    _("Scripts cannot read the session (HttpOnly)"),
    repair=_("This is fixed in the code: start an unchanged release."),
)
def http_only() -> Finding:
    if not settings.SESSION_COOKIE_HTTPONLY:
        return fail(_("The session cookie is readable by scripts."))
    return ok(_("The token and session cookies are HttpOnly."))


@check(
    "6.9.e",
    _("Other sites are not let in (CORS)"),
    repair=_("Set CORS_ALLOW_ORIGIN to the https:// addresses of your own pages, separated by semicolons."),
    names=("CORS_ALLOW_ORIGIN",),
)
def origins() -> Finding:
    allowed = [part.strip() for part in settings.BOOT.cors_allow_origin.split(";") if part.strip()]
    values = {"origins": ", ".join(allowed) or "-"}
    if "*" in allowed:
        return fail(_("Every origin is allowed (*)."))
    plain = [origin for origin in allowed if origin.startswith("http://") and reach(origin) is not Reach.LOCAL]
    if plain:
        return warn(_("Allowed without TLS: %(origins)s.") % {"origins": ", ".join(plain)})
    return ok(_("Allowed: %(origins)s.") % values)
