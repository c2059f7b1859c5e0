"""6.1 Network: what this process can see of proxy, headers and addresses."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from owui import env
from owui.config.sections import UiConfig
from owui.security.addresses import Reach, reach, shown
from owui.security.registry import Finding, check, declared, fail, ok, unknown, warn

_LONGEST_NEEDED = 31_536_000
_HEADER_MIDDLEWARE = (
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
)


@check(
    "6.1.a",
    _("People reach the instance over TLS"),
    repair=_("Set the public address to the https:// address that people use, and redirect port 80 in the proxy."),
    names=("WEBUI_URL",),
    key="ui.url",
)
def public_address() -> Finding:
    url = UiConfig.load().url or settings.BOOT.webui_url
    if not url:
        return unknown(_("No public address is set, so this process cannot tell how people reach it."))
    values = {"url": shown(url)}
    if url.lower().startswith("https://"):
        return ok(_("The public address is %(url)s.") % values)
    if reach(url) is Reach.LOCAL:
        return warn(_("The public address is %(url)s: no TLS, for this machine only.") % values)
    return fail(_("The public address is %(url)s: passwords and answers travel in clear.") % values)


declared(
    "6.1.b",
    _("TLS 1.2 or newer only"),
    found=_("TLS ends at the proxy, which this process cannot see."),
    repair=_("Check with `openssl s_client -tls1_1 -connect HOST:443`, which must fail, and declare it."),
)
declared(
    "6.1.c",
    _("Only the proxy's ports 443 and 80 are published"),
    found=_("This process cannot see which ports the host publishes."),
    repair=_("Scan the host from outside; only 443 and a redirecting 80 may answer. Then declare it."),
)


@check(
    "6.1.d",
    _("Browsers are told to use TLS only (HSTS)"),
    repair=_("Send `Strict-Transport-Security: max-age=63072000; includeSubDomains` from the proxy and declare it."),
    declarable=True,
)
def hsts() -> Finding:
    seconds = int(settings.SECURE_HSTS_SECONDS)
    if seconds >= _LONGEST_NEEDED:
        return ok(_("This process sends HSTS for %(seconds)d seconds.") % {"seconds": seconds})
    if seconds:
        return warn(_("This process sends HSTS for %(seconds)d seconds, less than a year.") % {"seconds": seconds})
    return unknown(_("This process sends no HSTS header; whether the proxy does cannot be seen from here."))


@check(
    "6.1.e",
    _("Security headers are sent"),
    repair=_("This is fixed in the code: start an unchanged release, and let the proxy remove no header."),
)
def headers() -> Finding:
    lacking = [name.rpartition(".")[2] for name in _HEADER_MIDDLEWARE if name not in settings.MIDDLEWARE]
    if not settings.SECURE_CONTENT_TYPE_NOSNIFF:
        lacking.append("X-Content-Type-Options")
    if settings.X_FRAME_OPTIONS not in ("DENY", "SAMEORIGIN"):
        lacking.append("X-Frame-Options")
    if settings.SECURE_REFERRER_POLICY in (None, "", "unsafe-url", "no-referrer-when-downgrade"):
        lacking.append("Referrer-Policy")
    scripts = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"].get("script-src", ["'unsafe-inline'"])
    if any("unsafe" in str(source) for source in scripts):
        lacking.append("Content-Security-Policy")
    if lacking:
        return fail(_("Missing or too weak: %(names)s.") % {"names": ", ".join(lacking)})
    return ok(
        _("nosniff, X-Frame-Options %(frame)s, Referrer-Policy %(referrer)s and a strict Content-Security-Policy.")
        % {"frame": settings.X_FRAME_OPTIONS, "referrer": settings.SECURE_REFERRER_POLICY}
    )


declared(
    "6.1.g",
    _("The proxy limits the rate of requests"),
    found=_("This process limits sign-in attempts itself; limits of the proxy cannot be seen from here."),
    repair=_("Limit /api/ and /api/v1/auths/ in the proxy (nginx: limit_req) and declare it."),
)
declared(
    "6.1.h",
    _("Names lead only to the proxy"),
    found=_("This process cannot see the entries of your DNS."),
    repair=_("Let the public name point to the proxy only, none to nodes or databases, and declare it."),
)


@check(
    "6.1.i",
    _("Forwarded addresses are believed from the proxy only"),
    repair=_("Set FORWARDED_ALLOW_IPS to the proxy's address; with * anybody can forge the address in the audit log."),
    names=("FORWARDED_ALLOW_IPS",),
    beyond=True,
)
def forwarded_headers() -> Finding:
    allowed = [part.strip() for part in settings.BOOT.forwarded_allow_ips.split(",") if part.strip()]
    values = {"allowed": ", ".join(allowed) or "-"}
    if {"*", "0.0.0.0/0", "::/0"} & set(allowed):
        return fail(_("X-Forwarded-* is believed from everybody (%(allowed)s).") % values)
    return ok(_("X-Forwarded-* is believed from %(allowed)s.") % values)


@check(
    "6.1.j",
    _("Only known host names are answered"),
    repair=_("Set ALLOWED_HOSTS to the names people use, and localhost for health checks."),
    names=("ALLOWED_HOSTS",),
    beyond=True,
)
def allowed_hosts() -> Finding:
    if "*" in settings.ALLOWED_HOSTS:
        return warn(_("Every Host header is accepted (*)."))
    return ok(_("Accepted: %(hosts)s.") % {"hosts": ", ".join(settings.ALLOWED_HOSTS) or "-"})


@check(
    "6.1.k",
    _("Certificates of other servers are verified"),
    repair=_("Set AIOHTTP_CLIENT_SESSION_SSL=True and name your own authority in AIOHTTP_CLIENT_SSL_CERT_FILE."),
    names=("AIOHTTP_CLIENT_SESSION_SSL", "AIOHTTP_CLIENT_SSL_CERT_FILE"),
    beyond=True,
)
def outgoing_tls() -> Finding:
    if not env.truth(settings.BOOT.aiohttp_client_session_ssl, default=True):
        return fail(_("Certificates of model servers and other services are not verified."))
    return ok(_("Certificates of model servers and other services are verified."))
