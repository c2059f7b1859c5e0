"""6.4 Secrets: where they lie, who may read them, whether they are any good."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from owui import env
from owui.security.addresses import Reach, reach
from owui.security.checks.redis import redis_urls
from owui.security.files import env_files, is_in_git, loose_mode, secret_files
from owui.security.registry import Finding, check, fail, not_applicable, ok, unknown, warn

SHORTEST = 32
_SHORTEST_PASSWORD = 16
_LEAST_BITS = 100
# What examples, tutorials and other products' images carry.
_KNOWN = ("changeme", "change-me", "change_me", "secret", "password", "t0p-s3cr3t", "your-", "example", "insecure")
_SECRET_NAMES = (
    *("WEBUI_SECRET_KEY", "WEBUI_JWT_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "WEBSOCKET_REDIS_URL"),
    *("OPENAI_API_KEY", "OPENAI_API_KEYS", "RAG_OPENAI_API_KEY", "WEBUI_ADMIN_PASSWORD", "SCIM_TOKEN"),
    *("OAUTH_CLIENT_SECRET", "LDAP_APP_PASSWORD", "TERMINAL_SERVER_CONNECTIONS", "S3_SECRET_ACCESS_KEY"),
)
# Container runtimes mount secrets as 0444 in a memory file system of the container alone.
_MOUNTED = ("/run/secrets/", "/var/run/secrets/")


@check(
    "6.4.a",
    _("Files with secrets are readable by their owner only"),
    repair=_("Run `chmod 600` on the files named. For an env file on the host run it there, and declare it."),
    declarable=True,
)
def file_modes() -> Finding:
    given = [Path(where) for name in _SECRET_NAMES if (where := env.origin(name)).startswith("/")]
    files = [*env_files(), *secret_files(), *(path for path in given if not str(path).startswith(_MOUNTED))]
    loose = [f"{path} ({mode})" for path in files if (mode := loose_mode(path))]
    if loose:
        return fail(_("Others may read %(files)s.") % {"files": ", ".join(loose[:5])})
    if not files:
        return unknown(_("No env file is visible to this process, so it lies on the host, if there is one."))
    return ok(_("Files seen: %(count)d, all readable by their owner only.") % {"count": len(files)})


@check(
    "6.4.b",
    _("Files with secrets are not in git"),
    repair=_("Run `git rm --cached FILE`, add it to .gitignore, and change every secret in it: history keeps it."),
    declarable=True,
)
def not_in_git() -> Finding:
    files = env_files()
    if not files:
        return unknown(_("No env file is visible to this process."))
    tracked = {path: is_in_git(path) for path in files}
    if inside := [str(path) for path, answer in tracked.items() if answer]:
        return fail(_("Tracked by git: %(files)s.") % {"files": ", ".join(inside)})
    if any(answer is None for answer in tracked.values()):
        return unknown(_("The index of git around the env file cannot be read from here."))
    return ok(_("Env files seen: %(count)d, none of them tracked by git.") % {"count": len(files)})


@check(
    "6.4.c",
    _("The secret key is long and random"),
    repair=_("Make one with `openssl rand -base64 48`, and see docs/security.md on changing it."),
    names=("WEBUI_SECRET_KEY",),
)
def secret_key() -> Finding:
    if fault := weakness(settings.SECRET_KEY):
        return fail(_("The secret key %(fault)s.") % {"fault": fault})
    return ok(_("The secret key has %(count)d characters and looks random.") % {"count": len(settings.SECRET_KEY)})


def weakness(key: str) -> str:
    """Why a key is no good, empty when it is. Never says anything of its characters."""
    if len(key) < SHORTEST:
        return str(_("has %(count)d characters, fewer than %(least)d") % {"count": len(key), "least": SHORTEST})
    shares = [n / len(key) for n in Counter(key).values()]
    bits = -sum(share * math.log2(share) for share in shares) * len(key)
    if bits < _LEAST_BITS or any(word in key.lower() for word in _KNOWN):
        return str(_("looks like an example or a pattern"))
    return ""


@check(
    "6.4.d",
    _("Secrets come from files, not from the environment"),
    repair=_("Mount secrets as files and name them in NAME_FILE, for example WEBUI_SECRET_KEY_FILE."),
    names=tuple(f"{name}_FILE" for name in ("WEBUI_SECRET_KEY", "DATABASE_URL", "REDIS_URL")),
)
def secrets_from_files() -> Finding:
    # An address without a password is no secret.
    plain = [name for name in _SECRET_NAMES if env.origin(name) == "environment" and _holds_secret(name)]
    if plain:
        return warn(
            _("In the environment, where every child process and crash report sees them: %(names)s.")
            % {"names": ", ".join(plain)}
        )
    return ok(_("No secret stands in the environment of this process."))


def _holds_secret(name: str) -> bool:
    text = env.raw(name) or ""
    return bool(_password(text)) if name.endswith("_URL") else bool(text.strip())


def _password(url: str) -> str:
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return ""


@check(
    "6.4.e",
    _("The first administrator's password is not kept around"),
    repair=_("Remove WEBUI_ADMIN_PASSWORD: it has no effect any more, and the account's password should be another."),
    names=("WEBUI_ADMIN_PASSWORD",),
    beyond=True,
)
def admin_password() -> Finding:
    if env.raw("WEBUI_ADMIN_PASSWORD"):
        return warn(_("WEBUI_ADMIN_PASSWORD is still set."))
    return ok(_("WEBUI_ADMIN_PASSWORD is not set."))


@check(
    "6.4.g",
    _("Tokens of model hubs are kept from this process"),
    repair=_("Give HF_TOKEN only to the model server that downloads; this program has no use for it."),
    names=("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
)
def hub_token() -> Finding:
    if found := [name for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if env.raw(name)]:
        return warn(_("%(names)s is set for this process as well.") % {"names": ", ".join(found)})
    return ok(_("No such token is set here, and none is ever stored."))


@check(
    "6.4.h",
    _("Passwords of database and Redis are long"),
    repair=_("Make one with `openssl rand -hex 24`, change it in the server, then in the address."),
    names=("DATABASE_URL", "REDIS_URL", "WEBSOCKET_REDIS_URL"),
    beyond=True,
)
def store_passwords() -> Finding:
    database = settings.DATABASES["default"]
    passwords = {f"Redis ({index})": _password(url) for index, url in enumerate(redis_urls(), 1)}
    if reach(str(database["HOST"])) is not Reach.LOCAL or database["PASSWORD"]:
        passwords["PostgreSQL"] = str(database["PASSWORD"])
    given = {name: text for name, text in passwords.items() if text}
    weak = [name for name, text in given.items() if len(text) < _SHORTEST_PASSWORD or len(set(text)) < 6]
    if weak:
        return fail(
            _("Shorter than %(least)d characters, or a pattern: %(names)s.")
            % {"least": _SHORTEST_PASSWORD, "names": ", ".join(weak)}
        )
    if not given:
        return not_applicable(_("No passwords are in use: sockets, loopback or certificates."))
    return ok(_("%(names)s: at least %(least)d characters.") % {"names": ", ".join(given), "least": _SHORTEST_PASSWORD})
