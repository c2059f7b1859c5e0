"""Every security check says so in a bad world, and is content in a good one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.utils import timezone

from owui.security.registry import Status, all_checks, run_checks
from tests.owui.security_worlds import LONG, World

pytestmark = pytest.mark.django_db
ARGON = "argon2$x"


@pytest.fixture
def world(
    settings: Any, boot: Any, set_config: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, people: Any
) -> World:
    return World(settings, boot, set_config, monkeypatch, tmp_path, people)


class Case(NamedTuple):
    """`status` and a piece of the sentence that the world must bring about."""

    id: str
    status: str
    says: str
    make: Callable[[World], Any]


_PROVIDER = {"OPENID_PROVIDER_URL": "https://sso.example.org", "OAUTH_CLIENT_ID": "ours"}


def _nothing(world: World) -> None:
    pass


def _set(**values: Any) -> Callable[[World], None]:
    return lambda w: [setattr(w.settings, name, value) for name, value in values.items()] and None


def _both(*makers: Callable[[World], Any]) -> Callable[[World], None]:
    return lambda w: [make(w) for make in makers] and None


def _days_ago(days: int) -> Any:
    return timezone.now() - timedelta(days=days)


_ARGON = _set(PASSWORD_HASHERS=["django.contrib.auth.hashers.Argon2PasswordHasher"])


def _mfa(world: World) -> None:
    world.store("auth_mfa.enable", True)


def _directory(**values: Any) -> Callable[[World], None]:
    found = {"enable": True} | values
    return lambda w: [w.store(f"ldap.{name}", value) for name, value in found.items()] and None


def _run(state: str, *errors: str) -> Callable[[World], None]:
    from accounts.models import DirectoryRun

    return lambda w: DirectoryRun.objects.create(state=state, errors=list(errors)) and None


def _proxy(**values: Any) -> Callable[[World], None]:
    return lambda w: w.boot(webui_auth_trusted_email_header="X-Email", **values)


NETWORK = [
    Case("6.1.a", "fail", "http://chat.example.org", lambda w: w.store("ui.url", "http://chat.example.org")),
    Case("6.1.a", "warn", "this machine", lambda w: w.store("ui.url", "http://localhost:8080")),
    Case("6.1.a", "unknown", "No public address", _nothing),
    Case("6.1.a", "ok", "https://chat.example.org", lambda w: w.store("ui.url", "https://u:pw@chat.example.org/x")),
    Case("6.1.d", "unknown", "no HSTS", _nothing),
    Case("6.1.d", "warn", "less than a year", _set(SECURE_HSTS_SECONDS=3600)),
    Case("6.1.d", "ok", "63072000", _set(SECURE_HSTS_SECONDS=63072000)),
    Case("6.1.e", "fail", "X-Frame-Options", _set(X_FRAME_OPTIONS="ALLOWALL")),
    Case("6.1.e", "fail", "CSPMiddleware", lambda w: w.without_middleware("csp.middleware.CSPMiddleware")),
    Case("6.1.e", "fail", "Referrer-Policy", _set(SECURE_REFERRER_POLICY="unsafe-url")),
    Case(
        *("6.1.e", "fail", "Content-Security-Policy"),
        _set(CONTENT_SECURITY_POLICY={"DIRECTIVES": {"script-src": ["'unsafe-inline'"]}}),
    ),
    Case("6.1.e", "ok", "nosniff", _nothing),
    Case("6.1.f", "fail", "1000 attempts", lambda w: w.patch.setattr("accounts.services.TRIES", 1000)),
    Case("6.1.f", "ok", "15 failed", _nothing),
    Case("6.1.i", "fail", "everybody", lambda w: w.boot(forwarded_allow_ips="*")),
    Case("6.1.i", "ok", "10.0.0.2", lambda w: w.boot(forwarded_allow_ips="10.0.0.2, 10.0.0.3")),
    Case("6.1.j", "warn", "*", _set(ALLOWED_HOSTS=["*"])),
    Case("6.1.j", "ok", "chat.example.org", _set(ALLOWED_HOSTS=["chat.example.org"])),
    Case("6.1.k", "fail", "not verified", lambda w: w.boot(aiohttp_client_session_ssl="False")),
    Case("6.1.k", "ok", "are verified", _nothing),
]
AUTH = [
    Case("6.2.a", "fail", "Anybody", _nothing),
    Case("6.2.a", "fail", "no account", lambda w: w.nobody()),
    Case("6.2.a", "warn", "only closed", lambda w: w.store("auth.enable_login_form", False)),
    Case("6.2.a", "ok", "Only administrators", lambda w: w.store("auth.enable_signup", False)),
    Case("6.2.b", "fail", "user", lambda w: w.store("auth.default_user_role", "user")),
    Case("6.2.b", "ok", "pending", _nothing),
    Case("6.2.c", "warn", "passwords are kept", lambda w: w.session()),
    Case("6.2.c", "warn", "nobody signed in", lambda w: w.env(OPENID_PROVIDER_URL="https://idp")),
    Case("6.2.c", "ok", "1 of 1", lambda w: w.session(method="oidc")),
    Case("6.2.c", "warn", "passwords are kept", lambda w: w.session(method="passkey")),
    Case("6.2.d", "warn", "ENABLE_OAUTH_SIGNUP", lambda w: w.env(OPENID_PROVIDER_URL="https://idp")),
    Case(
        *("6.2.d", "ok", "taken from the provider"),
        lambda w: w.env(
            OPENID_PROVIDER_URL="https://idp",
            ENABLE_OAUTH_SIGNUP="true",
            ENABLE_OAUTH_GROUP_MANAGEMENT="True",
            ENABLE_OAUTH_ROLE_MANAGEMENT="true",
        ),
    ),
    Case("6.2.e", "warn", "is enough to come in", _nothing),
    Case("6.2.e", "warn", "dana@", _both(_mfa, lambda w: w.app(confirmed_at=None))),
    Case("6.2.e", "ok", "Every administrator", _both(_mfa, lambda w: w.app(confirmed_at=_days_ago(1)))),
    Case("6.2.e", "ok", "Every administrator", _both(_mfa, lambda w: w.passkey())),
    Case("6.2.e", "not_applicable", "its own second factor", lambda w: w.boot(enable_password_auth=False)),
    Case("6.2.f", "fail", "every model", _set(BYPASS_MODEL_ACCESS_CONTROL=True)),
    Case("6.2.f", "ok", "need a grant", _nothing),
    Case("6.2.g", "fail", "without a grant", _set(BYPASS_ADMIN_ACCESS_CONTROL=True)),
    Case("6.2.g", "ok", "granted", _set(BYPASS_ADMIN_ACCESS_CONTROL=False)),
    Case("6.2.h", "fail", "BYPASS_RETRIEVAL", _set(BYPASS_RETRIEVAL_ACCESS_CONTROL=True)),
    Case("6.2.h", "fail", "UNSCOPED", _set(ENABLE_RETRIEVAL_UNSCOPED_COLLECTIONS=True)),
    Case("6.2.h", "ok", "may read", _nothing),
    Case("6.2.i", "warn", "one administrator", lambda w: w.admins(1)),
    Case("6.2.i", "warn", "11 people", lambda w: w.admins(11)),
    Case("6.2.i", "ok", "Administrators: 2", lambda w: w.admins(2)),
    Case("6.2.j", "warn", "dana@", lambda w: w.person("dana", last_active_at=_days_ago(91), created_at=_days_ago(99))),
    Case("6.2.j", "ok", "Every", lambda w: w.person("dana", last_active_at=_days_ago(9), created_at=_days_ago(99))),
    Case("6.2.k", "warn", "alice@", lambda w: (w.key(), w.person("alice", is_active=False))),
    Case("6.2.k", "warn", "bob@", lambda w: (w.key("bob"), w.person("bob", role="pending"))),
    Case("6.2.k", "ok", "1 keys", lambda w: w.key()),
    Case("6.2.l", "warn", "every path", lambda w: w.store("auth_api_key.enable", True)),
    Case("6.2.l", "warn", "1 keys", lambda w: w.old_key(created_at=_days_ago(99))),
    Case("6.2.l", "ok", "all are in use", lambda w: w.old_key(created_at=_days_ago(99), last_used_at=_days_ago(1))),
    Case("6.2.m", "warn", "30 days: 1", lambda w: w.person("pending", created_at=_days_ago(31))),
    Case("6.2.m", "ok", "Waiting: 1", _nothing),
    Case("6.2.n", "warn", "Any password", _nothing),
    Case("6.2.n", "ok", "must fit", lambda w: w.boot(enable_password_validation=True)),
    Case("6.2.n", "not_applicable", "off", lambda w: w.boot(enable_password_auth=False)),
    Case("6.2.p", "fail", "in clear", _directory(use_tls=False)),
    Case("6.2.p", "fail", "not checked", _directory(validate_cert=False)),
    Case("6.2.p", "ok", "over TLS", _directory(use_tls=False, use_starttls=True)),
    Case("6.2.p", "not_applicable", "off", _nothing),
    Case("6.2.q", "warn", "without an account", _directory()),
    Case("6.2.q", "ok", "cn=reader", _directory(app_dn="cn=reader,dc=example")),
    Case("6.2.r", "warn", "keeps open sessions", _directory()),
    Case("6.2.r", "warn", "not looked through", _directory(enable_sync=True)),
    Case("6.2.r", "fail", "too many", _both(_directory(enable_sync=True), _run("refused", "too many"))),
    Case("6.2.r", "ok", "45 seconds", _both(_directory(enable_sync=True), _run("done"))),
    Case("6.2.s", "fail", "names no proxy", _proxy()),
    Case("6.2.s", "warn", "10.0.0.0/8", _proxy(trusted_proxy_cidrs="10.0.0.0/8")),
    Case("6.2.s", "ok", "10.0.0.5/32", _proxy(trusted_proxy_cidrs="10.0.0.5/32")),
    Case("6.2.t", "warn", "X-Role", _proxy(webui_auth_trusted_role_header="X-Role")),
    Case("6.2.t", "not_applicable", "No proxy", _proxy()),
    Case("6.2.v", "not_applicable", "No provider", _nothing),
    Case("6.2.v", "warn", "ENABLE_OAUTH_SIGNUP is off", lambda w: w.env(**_PROVIDER)),
    Case("6.2.v", "warn", "needed together", lambda w: w.env(OAUTH_CLIENT_ID="ours")),
    Case("6.2.v", "ok", "as configured", lambda w: w.env(**_PROVIDER, ENABLE_OAUTH_SIGNUP="True")),
    Case("6.2.w", "fail", "although there are", lambda w: w.boot(webui_auth=False)),
    Case("6.2.w", "ok", "Nobody gets in", _nothing),
    Case("6.2.x", "not_applicable", "is off", _nothing),
    Case("6.2.x", "warn", "has no token", lambda w: w.env(ENABLE_SCIM="True")),
    Case("6.2.x", "fail", "can be guessed", lambda w: w.env(ENABLE_SCIM="True", SCIM_TOKEN="short")),
    Case("6.2.x", "ok", "36 characters", lambda w: w.env(ENABLE_SCIM="True", SCIM_TOKEN=LONG)),
    Case("6.2.y", "not_applicable", "No provider", _nothing),
    Case("6.2.y", "warn", "WEBUI_URL is not set", lambda w: w.env(**_PROVIDER)),
    Case("6.2.y", "warn", "without TLS", lambda w: w.env(**_PROVIDER | {"OPENID_PROVIDER_URL": "http://sso.internal"})),
    Case("6.2.y", "ok", "over TLS", lambda w: w.env(**_PROVIDER, WEBUI_URL="https://ai.example.org")),
    Case("6.2.z", "not_applicable", "No OpenID", _nothing),
    Case("6.2.z", "warn", "stays signed in", lambda w: w.env(**_PROVIDER)),
    Case("6.2.z", "ok", "is on", lambda w: w.env(**_PROVIDER, ENABLE_OAUTH_BACKCHANNEL_LOGOUT="True")),
    Case("6.2.o", "fail", "md5", _nothing),
    Case("6.2.o", "warn", "older hash", _ARGON),
    Case("6.2.o", "ok", "argon2id", _both(_ARGON, lambda w: type(w.people.bob).objects.update(password=ARGON))),
]
DATA = [
    Case("6.3.a", "fail", "read the chats", _set(ENABLE_ADMIN_CHAT_ACCESS=True)),
    Case("6.3.a", "ok", "shared with them", _set(ENABLE_ADMIN_CHAT_ACCESS=False)),
    Case("6.3.b", "fail", "can export", _set(ENABLE_ADMIN_EXPORT=True)),
    Case("6.3.b", "ok", "refused", _set(ENABLE_ADMIN_EXPORT=False)),
    Case("6.3.c", "fail", "may delete", _nothing),
    Case("6.3.c", "ok", "no default", lambda w: w.permissions(chat__delete=False)),
    Case("6.3.d", "fail", "no trace", _nothing),
    Case("6.3.d", "ok", "no default", lambda w: w.permissions(chat__temporary=False)),
    Case("6.3.e", "fail", "are shown", _nothing),
    Case("6.3.e", "ok", "No links", lambda w: w.store("ui.enable_community_sharing", False)),
    Case("6.3.g", "fail", "redis://10.0.0.5", lambda w: w.boot(websocket_redis_url="redis://10.0.0.5:6379/0")),
    Case(
        *("6.3.g", "fail", "protected mode"),
        _both(_set(REDIS_URL="redis://127.0.0.1/0"), lambda w: w.redis(bind="*", protected_mode="no")),
    ),
    Case("6.3.g", "warn", "refuses", _both(_set(REDIS_URL="redis://localhost"), lambda w: w.redis(fault="It refuses"))),
    Case("6.3.g", "ok", "this machine only", _both(_set(REDIS_URL="redis://127.0.0.1/0"), lambda w: w.redis())),
    Case("6.3.g", "ok", "with a password", _set(REDIS_URL="redis://:pw@10.0.0.5/0")),
    Case("6.3.i", "fail", "not encrypted", lambda w: w.database(uses_tls=False)),
    Case("6.3.i", "ok", "TLSv1.3", lambda w: w.database()),
    Case("6.3.j", "fail", "superuser", lambda w: w.database(is_superuser=True)),
    Case("6.3.j", "warn", "row security", lambda w: w.database(bypasses=True)),
    Case("6.3.j", "warn", "owns", lambda w: w.database(owns_audit=True)),
    Case("6.3.j", "ok", "no superuser", lambda w: w.database()),
    Case("6.3.k", "fail", "0755", lambda w: w.uploads(0o755)),
    Case("6.3.k", "ok", "this user only", lambda w: w.uploads(0o700)),
    Case("6.3.l", "fail", "PostgreSQL", lambda w: w.database(host="8.8.8.8")),
    Case("6.3.l", "warn", "PostgreSQL", lambda w: w.database(host="db.example.org")),
    Case("6.3.l", "ok", "private", lambda w: w.database()),
    Case(
        *("6.3.m", "warn", "Pharmacovigilance (chat.delete)"),
        lambda w: (w.permissions(chat__delete=False), w.group(chat__delete=True, chat__edit=True)),
    ),
    Case("6.3.m", "warn", "workspace.tools", lambda w: w.group(workspace__tools=True)),
    Case("6.3.m", "ok", "No group", lambda w: w.group(workspace__prompts=True, chat__delete=True)),
    Case(
        *("6.3.n", "fail", "chat.delete"),
        lambda w: (w.permissions(chat__delete=True), w.env(USER_PERMISSIONS_CHAT_DELETE="False")),
    ),
    Case("6.3.n", "ok", "nothing", lambda w: w.env(USER_PERMISSIONS_CHAT_DELETE="False")),
    Case("6.3.o", "warn", "knowledge: 1", lambda w: w.shared("knowledge", "write")),
    Case("6.3.o", "ok", "No object", lambda w: w.shared("knowledge", "read")),
    Case("6.3.p", "warn", "shared_chat: 1", lambda w: w.shared("shared_chat", "anyone")),
    Case("6.3.p", "ok", "No object", lambda w: w.shared("shared_chat", "read")),
    Case("6.3.q", "warn", "1 deny grants", lambda w: w.denial(switch=False)),
    Case("6.3.q", "ok", "in force", lambda w: w.denial(switch=True)),
]
SECRETS = [
    Case("6.4.a", "fail", "0644", lambda w: w.home(0o644)),
    Case("6.4.a", "unknown", "No env file", lambda w: w.home()),
    Case("6.4.a", "ok", "Files seen: 1", lambda w: w.home(0o600)),
    Case("6.4.b", "fail", ".env", lambda w: (w.home(0o600), w.git("README", ".env"))),
    Case("6.4.b", "unknown", "No env file", lambda w: w.home()),
    Case("6.4.b", "ok", "none", lambda w: (w.home(0o600), w.git("old.env", ".env.example"))),
    Case("6.4.c", "fail", "fewer than 32", _set(SECRET_KEY="t0p-s3cr3t")),
    Case("6.4.c", "fail", "pattern", _set(SECRET_KEY="ab" * 30)),
    Case("6.4.c", "fail", "example", _set(SECRET_KEY="please-changeme-0123456789-abcdefghijklm")),
    Case("6.4.c", "ok", "looks random", _set(SECRET_KEY="Zx8q2LpW7vN4tRkY1mB6cD9fG3hJ5sAo0uEi")),
    Case("6.4.d", "warn", "WEBUI_SECRET_KEY", lambda w: w.env(WEBUI_SECRET_KEY="x")),
    Case("6.4.d", "ok", "No secret", lambda w: w.patch.setattr("owui.env.origin", lambda name: "/run/secrets/x")),
    Case("6.4.e", "warn", "still set", lambda w: w.env(WEBUI_ADMIN_PASSWORD="hunter2")),
    Case("6.4.e", "ok", "not set", _nothing),
    Case("6.4.f", "fail", "http://vllm:8000", lambda w: w.servers("http://vllm:8000/v1")),
    Case("6.4.f", "ok", "this machine only", lambda w: w.servers("http://localhost:8000/v1")),
    Case("6.4.f", "ok", "each with a key", lambda w: w.servers("http://vllm:8000/v1", keys=("sk-1",))),
    Case("6.4.g", "warn", "HF_TOKEN", lambda w: w.env(HF_TOKEN="hf_x")),
    Case("6.4.g", "ok", "No such token", lambda w: [w.patch.delenv(n, False) for n in ("HF_TOKEN",)]),
    Case("6.4.h", "fail", "Redis (2)", lambda w: w.boot(websocket_redis_url="redis://:short@10.0.0.5/0")),
    Case("6.4.h", "ok", "Redis (2)", lambda w: w.boot(websocket_redis_url=f"redis://:{LONG}@10.0.0.5/0")),
]
CODE = [
    Case(
        *("6.6.a", "unknown", "filter"),
        lambda w: w.patch.setattr("owui.security.checks.functions._functions_exist", lambda: True),
    ),
    Case("6.6.a", "not_applicable", "no functions", _nothing),
    Case("6.6.b", "warn", "switched on", lambda w: w.env(ENABLE_PIP_INSTALL_FRONTMATTER_REQUIREMENTS="True")),
    Case("6.6.b", "ok", "not installed", _nothing),
    Case("6.6.c", "fail", "workspace.tools", lambda w: w.permissions(workspace__tools=True)),
    Case("6.6.c", "warn", "Pharmacovigilance", lambda w: w.group(workspace__tools=True)),
    Case("6.6.c", "ok", "No default", lambda w: w.group(workspace__prompts=True)),
    Case("6.6.d", "fail", "RERANKING", lambda w: w.env(RAG_RERANKING_MODEL_TRUST_REMOTE_CODE="true")),
    Case("6.6.d", "ok", "not trusted", _nothing),
    Case("6.7.a", "fail", "Lab", lambda w: w.terminal(key="short")),
    Case("6.7.a", "unknown", "secret", lambda w: (w.terminal(), w.new_key())),
    Case("6.7.a", "ok", "1 terminals", lambda w: w.terminal()),
    Case("6.7.b", "fail", "8.8.8.8", lambda w: w.terminal("http://8.8.8.8")),
    Case("6.7.b", "warn", "shell.example.org", lambda w: w.terminal("https://shell.example.org")),
    Case("6.7.b", "ok", "http://terminal:8000", lambda w: w.terminal()),
    Case("6.7.c", "fail", "everyone", lambda w: w.terminal(to="*")),
    Case("6.7.c", "warn", "Without a grant", lambda w: w.terminal()),
    Case("6.7.c", "ok", "granted to groups", lambda w: w.terminal(to="Biostatistics")),
    Case("6.7.d", "unknown", "Limits", lambda w: w.terminal()),
    Case("6.7.d", "not_applicable", "No terminal", _nothing),
    Case(
        *("6.7.e", "fail", "/"),
        lambda w: w.patch.setattr("owui.security.checks.terminal.SOCKETS", (str(w.tmp),)),
    ),
    Case("6.7.e", "ok", "no container", lambda w: w.patch.setattr("owui.security.checks.terminal.SOCKETS", ("/no",))),
]
RUNNING = [
    Case("6.8.a", "unknown", "other nodes", lambda w: w.boot(enable_db_migrations=True)),
    Case("6.8.a", "not_applicable", "manage.py migrate", _nothing),
    Case("6.8.b", "fail", "1 migrations wait: chat.", lambda w: w.unapply_a_migration()),
    Case("6.8.b", "ok", "applied", _nothing),
    Case("6.8.c", "warn", "fewer", lambda w: w.redis(maxclients="100")),
    Case("6.8.c", "warn", "It refuses", lambda w: w.redis(fault="It refuses", is_forbidden=True)),
    Case("6.8.c", "unknown", "away", lambda w: w.redis(fault="It is away")),
    Case("6.8.c", "ok", "10000", lambda w: w.redis()),
    Case("6.8.d", "warn", "is 0", lambda w: w.redis(timeout="0")),
    Case("6.8.d", "ok", "1800", lambda w: w.redis()),
    Case("6.8.e", "fail", "allkeys-lru", lambda w: w.redis(maxmemory_policy="allkeys-lru")),
    Case("6.8.e", "warn", "volatile-ttl", lambda w: w.redis(maxmemory_policy="volatile-ttl")),
    Case("6.8.e", "warn", "It refuses", lambda w: w.redis(fault="It refuses", is_forbidden=True)),
    Case("6.8.e", "ok", "noeviction", lambda w: w.redis()),
    Case("6.8.i", "fail", "DEBUG is on", _set(DEBUG=True)),
    Case("6.8.i", "warn", "dev", lambda w: w.boot(env="dev")),
    Case("6.8.i", "warn", "DEBUG", lambda w: w.boot(global_log_level="DEBUG")),
    Case("6.8.i", "ok", "prod", _nothing),
    Case("6.8.j", "warn", "rag.top_k", lambda w: (w.store("rag.top_k", 9), w.env(RAG_TOP_K="5"))),
    Case("6.8.j", "ok", "No stored", lambda w: (w.store("rag.top_k", 5), w.env(RAG_TOP_K="5"))),
    Case("6.8.k", "warn", "texts of chats", lambda w: w.database(log_statement="all")),
    Case("6.8.k", "warn", "log_connections is off", lambda w: w.database(log_connections="off")),
    Case("6.8.k", "ok", "log_connections is on", lambda w: w.database()),
    Case("6.8.l", "warn", "is it ENABLE_SIGNUP?", lambda w: w.env(ENABLE_SINGUP="False")),
    Case(
        *("6.8.l", "ok", "is read"),
        lambda w: w.env(ENABLE_SIGNUP="False", USER_PERMISSIONS_CHAT_DELETE="False", BYPASS_MODEL_ACCESS_CONTROL="x"),
    ),
    Case("6.9.a", "fail", "only when", _set(SESSION_COOKIE_SECURE=False)),
    Case("6.9.a", "ok", "All cookies", _set(SESSION_COOKIE_SECURE=True, CSRF_COOKIE_SECURE=True)),
    Case("6.9.b", "fail", "None", _set(SESSION_COOKIE_SAMESITE="None")),
    Case("6.9.b", "ok", "Lax", _nothing),
    Case("6.9.c", "fail", "readable", _set(SESSION_COOKIE_HTTPONLY=False)),
    Case("6.9.c", "ok", "HttpOnly", _nothing),
    Case("6.9.d", "fail", "never", lambda w: w.store("auth.jwt_expires_in", "-1")),
    Case("6.9.d", "warn", "28 days", _nothing),
    Case("6.9.d", "ok", "8h", lambda w: w.store("auth.jwt_expires_in", "8h")),
    Case("6.9.e", "fail", "(*)", lambda w: w.boot(cors_allow_origin="*")),
    Case("6.9.e", "warn", "http://chat", lambda w: w.boot(cors_allow_origin="http://chat.example.org")),
    Case("6.9.e", "ok", "https://chat", lambda w: w.boot(cors_allow_origin="https://chat.example.org")),
    Case("6.9.f", "warn", "1 open", lambda w: w.session(days=None)),
    Case("6.9.f", "warn", "1 open", lambda w: w.session(days=20)),
    Case("6.9.f", "ok", "No open", lambda w: w.session(days=2)),
    Case(
        *("6.10.a", "fail", "audit_event_append_only"),
        lambda w: w.sql("ALTER TABLE audit_auditevent DISABLE TRIGGER audit_event_append_only"),
    ),
    Case("6.10.a", "fail", "1 are missing", lambda w: w.sql("DROP TRIGGER audit_event_queue ON audit_auditevent")),
    Case("6.10.a", "ok", "chats included", _nothing),
    Case("6.10.b", "fail", "signature", lambda w: w.sql("UPDATE audit_audithead SET mac = 'x'")),
    Case("6.10.b", "fail", "missing", lambda w: w.sql("DELETE FROM audit_audithead")),
    Case("6.10.b", "fail", "not sealed", lambda w: w.event(days=1)),
    Case("6.10.b", "ok", "chain ends", lambda w: w.event()),
    Case("6.10.c", "warn", "never", _nothing),
    Case("6.10.c", "warn", "a week", lambda w: w.event(days=8, action="audit.verified")),
    Case("6.10.c", "fail", "3 faults", lambda w: w.event(action="audit.verified", faults=3)),
    Case("6.10.c", "ok", "Verified whole", lambda w: w.verified()),
]
INFERENCE = [
    Case("6.11.a", "fail", "api.openai.com", lambda w: w.servers("https://api.openai.com/v1", keys=("sk-1",))),
    Case("6.11.a", "fail", "8.8.8.8", lambda w: w.servers("http://8.8.8.8/v1")),
    Case("6.11.a", "warn", "llm.example.org", lambda w: w.servers("https://llm.example.org/v1")),
    Case("6.11.a", "ok", "http://vllm:8000", lambda w: w.servers("http://vllm:8000/v1")),
    Case("6.11.b", "fail", "openai.com", lambda w: w.store("rag.embedding_engine", "openai")),
    Case("6.11.b", "ok", "localhost", lambda w: w.store("rag.embedding_engine", "ollama")),
    Case("6.11.c", "warn", "INTEGRATIONS", lambda w: w.store("ui.enable_direct_integrations", True)),
    Case("6.11.c", "ok", "are off", _nothing),
    Case("6.11.d", "warn", "hooks.slack.com", lambda w: w.store("ui.webhook_url", "https://hooks.slack.com/T/secret")),
    Case("6.11.d", "ok", "mattermost", lambda w: w.store("ui.webhook_url", "https://mattermost.internal/hooks/x")),
    Case("6.11.e", "warn", "http://vllm:8000", lambda w: w.servers("http://vllm:8000/v1")),
    Case("6.11.e", "ok", "over TLS", lambda w: w.servers("https://vllm:8000/v1")),
    Case("6.11.f", "fail", "8.8.8.8", lambda w: w.terminal("http://8.8.8.8", kind="tool")),
    Case("6.11.f", "ok", "http://tools:1", lambda w: w.terminal("http://tools:1", kind="tool")),
    Case("6.11.g", "warn", "browser's maker", lambda w: w.store("audio.stt_engine", "web")),
    Case("6.11.g", "ok", "on the device", _nothing),
    Case("6.12.a", "fail", "ui.webhook_url", lambda w: (w.store("ui.webhook_url", "https://x"), w.new_key())),
    Case("6.12.a", "warn", "former", lambda w: (w.store("ui.webhook_url", "https://x"), w.new_key(keep=True))),
    Case("6.12.a", "ok", "present key", lambda w: w.store("ui.webhook_url", "https://x")),
    Case("6.12.b", "warn", "1 former", _set(SECRET_KEY_FALLBACKS=["former"])),
    Case("6.12.b", "ok", "Only the present", _nothing),
    Case("6.12.d", "warn", "1 of 1", lambda w: (w.key(), w.new_key())),
    Case("6.12.d", "ok", "1 keys", lambda w: w.key()),
    Case("6.12.e", "warn", "Lab", lambda w: (w.terminal(), w.new_key())),
    Case("6.12.e", "ok", "1 connections", lambda w: w.terminal()),
]
CASES = [*NETWORK, *AUTH, *DATA, *SECRETS, *CODE, *RUNNING, *INFERENCE]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.id}-{case.status}-{case.says}")
def test_a_check_tells_its_world(case: Case, world: World) -> None:
    case.make(world)
    (result,) = run_checks({case.id})
    assert (result.status.value, case.says in result.finding.found) == (case.status, True), result.finding


def test_every_check_has_a_bad_and_a_good_world() -> None:
    """A check that never finds anything, or never is content, would be no check."""
    bad = {case.id for case in CASES if case.status in ("fail", "warn", "unknown")}
    good = {case.id for case in CASES if case.status in ("ok", "not_applicable")}
    by_people = {check.id for check in all_checks() if check.look.__qualname__.startswith("declared.")}
    wanted = {check.id for check in all_checks()} - by_people
    assert wanted - bad == set()
    assert wanted - good == set()
    assert {case.id for case in CASES} == wanted


def test_every_row_of_the_checklist_has_a_check() -> None:
    rows = {check.area.value for check in all_checks()}
    assert rows == {f"6.{number}" for number in range(1, 13)}


def test_what_only_people_can_know_is_unknown_until_it_is_declared_with_evidence(world: World) -> None:
    by_people = [check.id for check in all_checks() if check.look.__qualname__.startswith("declared.")]
    assert {result.status for result in run_checks(set(by_people))} == {Status.UNKNOWN}
    world.store("security.declarations", [f"{by_people[0]} pinned, see CR-104", f"{by_people[1]}:"])
    first, second = run_checks(set(by_people[:2]))
    assert (first.status, "CR-104" in first.finding.found) == (Status.DECLARED, True)
    assert second.status is Status.UNKNOWN, "a number alone is no evidence"


def test_a_declaration_does_not_cover_what_a_check_found(world: World) -> None:
    world.home(0o644)
    world.store("security.declarations", ["6.4.a all modes are right", "6.2.a sign-up is closed, I promise"])
    assert {result.status for result in run_checks({"6.4.a", "6.2.a"})} == {Status.FAIL}
