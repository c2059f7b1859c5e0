"""Security checks that need accounts: who may come in, how, and who should have left."""

from __future__ import annotations

from datetime import timedelta

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, get_hasher
from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import directory_checks, security_oauth, services, tokens
from accounts.backends.oidc import presets
from accounts.config import ApiKeyConfig, DirectoryConfig, MfaConfig, OAuthConfig, ScimConfig, SignInConfig
from accounts.models import ApiKey, Role, Session, User
from owui import env
from owui.lib import crypto
from owui.security.registry import Finding, check, fail, not_applicable, ok, warn

MOST_ADMINS = 10
SHORTEST_TOKEN = 32
MOST_TRIES, LEAST_WINDOW = 30, timedelta(minutes=1)
QUIET_ADMIN = timedelta(days=90)
UNUSED_KEY = timedelta(days=90)
LONGEST_WAIT = timedelta(days=30)
LONGEST_SESSION = timedelta(days=7)
#: registers its checks by being imported
_OF_OTHERS = (directory_checks, security_oauth)
_SHOWN, _SAMPLE = 5, 200
_PREFERRED = "argon2"
_PROVIDERS = ("OPENID_PROVIDER_URL", "GOOGLE_CLIENT_ID", "MICROSOFT_CLIENT_ID", "GITHUB_CLIENT_ID")


def _names(people: list[User]) -> str:
    shown = ", ".join(person.email for person in people[:_SHOWN])
    return f"{shown} …" if len(people) > _SHOWN else shown


@check(
    "6.1.f",
    _("Guessing of passwords is slowed down"),
    repair=_("This is fixed in the code: start an unchanged release."),
)
def guessing() -> Finding:
    values = {"tries": services.TRIES, "minutes": int(services.WINDOW.total_seconds() // 60)}
    if services.TRIES > MOST_TRIES or services.WINDOW < LEAST_WINDOW:
        return fail(_("%(tries)d attempts in %(minutes)d minutes are allowed.") % values)
    return ok(_("After %(tries)d failed attempts an account has to wait; they count for %(minutes)d minutes.") % values)


@check(
    "6.2.a",
    _("Sign-up is closed"),
    repair=_("Switch sign-up off; administrators or single sign-on add people."),
    names=("ENABLE_SIGNUP",),
    key="auth.enable_signup",
)
def signup_is_closed() -> Finding:
    if not User.objects.exists():
        return fail(_("There is no account yet: whoever comes first becomes administrator."))
    if services.signup_open():
        return fail(_("Anybody who reaches the page can make an account."))
    if SignInConfig.load().enable_signup:
        return warn(_("Sign-up is on, and only closed because the sign-in form or passwords are off."))
    return ok(_("Only administrators add people."))


@check(
    "6.2.b",
    _("New accounts wait for approval"),
    repair=_("Set the role of new accounts to pending."),
    names=("DEFAULT_USER_ROLE",),
    key="auth.default_user_role",
)
def default_role() -> Finding:
    role = SignInConfig.load().default_user_role
    if role == Role.PENDING:
        return ok(_("New accounts are pending."))
    if role not in Role.values:
        return warn(_("“%(role)s” is no role, so new accounts are pending.") % {"role": role})
    return fail(_("New accounts get the role %(role)s at once.") % {"role": role})


def _configured_providers() -> list[str]:
    """As they are set up now, by the environment or on the settings' pages."""
    found = [name for name in _PROVIDERS if env.raw(name)]
    found = found or [provider.label for provider in presets.configured().values()]
    return found + (["ENABLE_LDAP"] if DirectoryConfig.load().enable else [])


@check(
    "6.2.c",
    _("People sign in at one place (single sign-on)"),
    repair=_("Connect your identity provider, so that who leaves the organisation loses access here."),
    names=_PROVIDERS,
)
def single_sign_on() -> Finding:
    since = timezone.now() - timedelta(days=30)
    rows = Session.objects.filter(created_at__gte=since).values_list("auth_method").annotate(Count("id"))
    counts = dict(rows)
    # An account's own passkey, and what an administrator made, are no provider's word.
    by_provider = sum(number for way, number in counts.items() if way not in ("password", "passkey", "system"))
    if by_provider:
        values = {"sso": by_provider, "all": sum(counts.values())}
        return ok(_("%(sso)d of %(all)d sign-ins of the last 30 days came from a provider.") % values)
    if names := _configured_providers():
        return warn(
            _("%(names)s is set, but nobody signed in that way in the last 30 days.") % {"names": ", ".join(names)}
        )
    return warn(_("No provider is configured: passwords are kept here."))


@check(
    "6.2.d",
    _("Groups and roles follow the provider"),
    repair=_("Set ENABLE_OAUTH_GROUP_MANAGEMENT and ENABLE_OAUTH_ROLE_MANAGEMENT to True, ENABLE_OAUTH_SIGNUP too."),
    names=("ENABLE_OAUTH_GROUP_MANAGEMENT", "ENABLE_OAUTH_ROLE_MANAGEMENT", "ENABLE_OAUTH_SIGNUP"),
)
def provider_rules() -> Finding:
    if not any(env.raw(name) for name in _PROVIDERS) and not presets.configured():
        return not_applicable(_("No provider is configured."))
    config = OAuthConfig.load()
    wanted = {
        "ENABLE_OAUTH_GROUP_MANAGEMENT": config.enable_group_management,
        "ENABLE_OAUTH_ROLE_MANAGEMENT": config.enable_role_management,
        "ENABLE_OAUTH_SIGNUP": config.enable_signup,
    }
    if off := [name for name, is_on in wanted.items() if not is_on]:
        return warn(_("Off: %(names)s.") % {"names": ", ".join(off)})
    return ok(_("Groups and roles are taken from the provider, and its people may come in."))


@check(
    "6.2.e",
    _("Administrators have a second factor"),
    repair=_("Switch the second factor on, require it of administrators, and have them sign in again."),
    names=("ENABLE_MFA", "MFA_REQUIRED"),
    key="auth_mfa.enable",
    beyond=True,
)
def second_factors() -> Finding:
    if not settings.BOOT.enable_password_auth:
        return not_applicable(_("Passwords are switched off: the provider asks for its own second factor."))
    if not MfaConfig.load().enable:
        return warn(_("The second factor is off: the password of an administrator is enough to come in."))
    has_one = Q(authenticator__confirmed_at__isnull=False) | Q(passkeys__isnull=False)
    admins = User.objects.filter(role=Role.ADMIN, is_active=True)
    without = list(admins.exclude(pk__in=User.objects.filter(has_one).values("pk")).order_by("email")[: _SHOWN + 1])
    if without:
        return warn(_("Without a second factor: %(names)s.") % {"names": _names(without)})
    return ok(_("Every administrator has a second factor."))


@check(
    "6.2.i",
    _("There are enough administrators, and not too many"),
    repair=_("Have at least two administrators, and take the role from those who do not need it."),
    beyond=True,
)
def administrators() -> Finding:
    number = User.objects.filter(role=Role.ADMIN, is_active=True).count()
    values = {"number": number, "most": MOST_ADMINS}
    if number == 0:
        return fail(_("Nobody is administrator."))
    if number == 1:
        return warn(_("There is one administrator: when that account is lost, nobody can help."))
    if number > MOST_ADMINS:
        return warn(_("%(number)d people are administrators; more than %(most)d are hard to watch.") % values)
    return ok(_("Administrators: %(number)d.") % values)


@check(
    "6.2.j",
    _("Administrators are in use"),
    repair=_("Take the role from people who do not use it, or close their accounts."),
    beyond=True,
)
def quiet_administrators() -> Finding:
    limit = timezone.now() - QUIET_ADMIN
    seen = Q(last_active_at__gte=limit) | Q(created_at__gte=limit)
    quiet = list(User.objects.filter(role=Role.ADMIN, is_active=True).exclude(seen).order_by("email")[: _SHOWN + 1])
    if quiet:
        return warn(_("Not seen for 90 days: %(names)s.") % {"names": _names(quiet)})
    return ok(_("Every administrator was here in the last 90 days."))


@check(
    "6.2.k",
    _("API keys belong to people who may use them"),
    repair=_("Delete these keys in the list of API keys."),
    names=("ENABLE_API_KEYS",),
    key="auth_api_key.enable",
    beyond=True,
)
def keys_of_others() -> Finding:
    total = ApiKey.objects.count()
    if not total:
        return not_applicable(_("There are no API keys."))
    stray = ApiKey.objects.filter(Q(user__is_active=False) | Q(user__role=Role.PENDING))
    people = [row.user for row in stray.select_related("user").order_by("user__email")[: _SHOWN + 1]]
    if people:
        return warn(
            _("%(count)d keys of people who are closed out or wait: %(names)s.")
            % {"count": stray.count(), "names": _names(people)}
        )
    return ok(_("All %(count)d keys belong to active people.") % {"count": total})


@check(
    "6.2.l",
    _("API keys are few, limited and in use"),
    repair=_("Switch keys off, or limit the paths they open, and delete keys that nobody uses."),
    names=("ENABLE_API_KEYS", "ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS"),
    key="auth_api_key.endpoint_restrictions",
    beyond=True,
)
def key_limits() -> Finding:
    config = ApiKeyConfig.load()
    if not config.enable:
        return ok(_("API keys are switched off."))
    if not config.endpoint_restrictions:
        return warn(_("API keys are on and open every path."))
    limit = timezone.now() - UNUSED_KEY
    unused = ApiKey.objects.filter(created_at__lt=limit).exclude(last_used_at__gte=limit).count()
    if unused:
        return warn(_("%(count)d keys were not used for 90 days.") % {"count": unused})
    return ok(_("API keys open %(paths)s only, and all are in use.") % {"paths": config.allowed_endpoints or "-"})


@check(
    "6.2.m",
    _("Nobody waits for approval for long"),
    repair=_("Approve or delete these accounts."),
    beyond=True,
)
def long_pending() -> Finding:
    limit = timezone.now() - LONGEST_WAIT
    waiting = User.objects.filter(role=Role.PENDING, is_active=True)
    number = waiting.filter(created_at__lt=limit).count()
    if number:
        return warn(_("Waiting for more than 30 days: %(number)d.") % {"number": number})
    return ok(_("Waiting: %(number)d, nobody for more than 30 days.") % {"number": waiting.count()})


@check(
    "6.2.n",
    _("Passwords have to be strong"),
    repair=_("Set ENABLE_PASSWORD_VALIDATION=True, or ENABLE_PASSWORD_AUTH=False behind single sign-on."),
    names=("ENABLE_PASSWORD_VALIDATION", "ENABLE_PASSWORD_AUTH"),
    beyond=True,
)
def password_rules() -> Finding:
    boot = settings.BOOT
    if not boot.enable_password_auth:
        return not_applicable(_("Passwords are switched off."))
    if not boot.enable_password_validation:
        return warn(_("Any password is accepted."))
    return ok(_("Passwords must fit the organisation's rule."))


@check(
    "6.2.o",
    _("Passwords are stored as argon2id"),
    repair=_("Older hashes are replaced when their owner signs in; close accounts that never do."),
    beyond=True,
)
def password_hashes() -> Finding:
    preferred = get_hasher("default").algorithm
    if preferred != _PREFERRED:
        return fail(_("New passwords are stored as %(name)s.") % {"name": preferred})
    usable = (
        User.objects.filter(is_active=True).exclude(password="").exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX)
    )
    old = usable.exclude(password__startswith=f"{_PREFERRED}$").count()
    if old:
        return warn(_("%(count)d people still have an older hash.") % {"count": old})
    return ok(_("All %(count)d passwords are stored as argon2id.") % {"count": usable.count()})


@check(
    "6.2.w",
    _("People have to sign in"),
    repair=_("Set WEBUI_AUTH=True."),
    names=("WEBUI_AUTH",),
)
def authentication() -> Finding:
    if settings.BOOT.webui_auth:
        return ok(_("Nobody gets in without signing in."))
    others = User.objects.exclude(email=services.LOCAL).count()
    if others:
        return fail(_("Authentication is off although there are %(count)d accounts.") % {"count": others})
    return fail(_("Authentication is off: whoever reaches this server is its administrator."))


@check(
    "6.2.x",
    _("The provisioning token is long"),
    repair=_("Make a new SCIM_TOKEN of at least 32 random characters, and give it to your directory's client."),
    names=("SCIM_TOKEN", "ENABLE_SCIM", "SCIM_ENABLED"),
)
def provisioning_token() -> Finding:
    config = ScimConfig.load()
    if not config.enable:
        return not_applicable(_("Provisioning by SCIM is off."))
    if not config.token:
        return warn(_("Provisioning is on and has no token, so every call is refused."))
    values = {"count": len(config.token)}
    if len(config.token) < SHORTEST_TOKEN:
        return fail(_("The token can be guessed: it has %(count)d characters.") % values)
    return ok(_("The token has %(count)d characters.") % values)


@check(
    "6.9.d",
    _("Sessions end"),
    repair=_("Set the length of a session to 7d or less, for example 8h."),
    names=("JWT_EXPIRES_IN",),
    key="auth.jwt_expires_in",
)
def session_length() -> Finding:
    text = SignInConfig.load().jwt_expires_in
    span = tokens.lifetime(text)
    if span is None:
        return fail(_("Sessions never end (%(text)s).") % {"text": text})
    if span > LONGEST_SESSION:
        return warn(_("Sessions last %(days)d days (%(text)s), more than 7.") % {"days": span.days, "text": text})
    return ok(_("Sessions last %(text)s.") % {"text": text})


@check(
    "6.9.f",
    _("No open session outlives the rule"),
    repair=_("End these sessions in the list of sessions: they were begun under an older setting."),
    beyond=True,
)
def long_sessions() -> Finding:
    # Only sessions that would let somebody in: revoked ones and those of closed accounts are refused anyway.
    live = Session.objects.filter(revoked_at=None, user__is_active=True)
    number = live.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now() + LONGEST_SESSION)).count()
    if number:
        return warn(_("%(number)d open sessions never end, or run for more than 7 days from now.") % {"number": number})
    return ok(_("No open session runs for more than 7 days from now."))


@check(
    "6.12.d",
    _("API keys open with the present key"),
    repair=_("Set the former key again as a fallback, or let people make new keys."),
    names=("WEBUI_SECRET_KEY",),
    beyond=True,
)
def keys_open() -> Finding:
    classic = ApiKey.objects.filter(is_classic=True)
    secrets = list(classic.order_by("-created_at").values_list("secret", flat=True)[:_SAMPLE])
    if not secrets:
        return not_applicable(_("There are no API keys that can be read back."))
    lost = sum(not _opens(secret) for secret in secrets)
    if lost:
        return warn(
            _("%(lost)d of %(count)d keys looked at are under a former key or none.")
            % {"lost": lost, "count": len(secrets)}
        )
    return ok(_("%(count)d keys looked at open with the present key.") % {"count": len(secrets)})


def _opens(secret: str) -> bool:
    try:
        crypto.decrypt_with_present_key(secret)
    except InvalidToken:
        return False
    return True
