"""Django settings. Boot values come from `owui.env`; what administrators change lives in `owui.config`."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

import django_stubs_ext
from csp.constants import NONE, SELF

from owui import env
from owui.lib import http

django_stubs_ext.monkeypatch()

BASE_DIR = env.BASE_DIR
BOOT = env.load()
OWUI_HOME = env.home()
DATA_DIR = Path(BOOT.data_dir) if BOOT.data_dir else OWUI_HOME / "data"
DEBUG = BOOT.debug
# Commands that need no server (checks, migrations' files, static files) may run before anything is configured.
_offline = len(sys.argv) > 1 and sys.argv[1] in {"makemigrations", "collectstatic", "check", "texts", "help"}
if not BOOT.database_url and not _offline and "mypy" not in sys.argv[0] and "pytest" not in sys.argv[0]:
    sys.exit(
        "DATABASE_URL is not set and no embedded instance is running. "
        "Start everything with `make run`, or set DATABASE_URL."
    )
if not BOOT.webui_secret_key and BOOT.database_url:
    sys.exit("WEBUI_SECRET_KEY is empty. Set it to a long random text, the same on every node.")
SECRET_KEY = BOOT.webui_secret_key or "only-for-commands-that-never-serve"
ALLOWED_HOSTS = [host.strip() for host in BOOT.allowed_hosts.split(",") if host.strip()]
# A `*` is nobody here: who may send cookies along, and open sockets with them, is named.
_named = [origin.strip().rstrip("/") for origin in BOOT.cors_allow_origin.split(";")]
CSRF_TRUSTED_ORIGINS = [origin for origin in _named if origin.startswith("http")]
if BOOT.webui_url:
    _url = urlsplit(BOOT.webui_url)
    CSRF_TRUSTED_ORIGINS.append(f"{_url.scheme}://{_url.netloc}")

INSTALLED_APPS = [
    "owui.apps.AdministrationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "guardian",
    "django_htmx",
    "ninja",
    "csp",
    "owui",
    "owui.config",
    "owui.audit",
    "owui.security",
    "rbac",
    "accounts",
    "inference",
    "knowledge",
    "chat",
    "owui.provision",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "accounts.middleware.TokenAuthenticationMiddleware",
    "owui.audit.middleware.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "owui.lib.errors.ErrorPageMiddleware",
]
ROOT_URLCONF = "owui.urls"
ASGI_APPLICATION = "owui.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.context.page",
                "chat.context.sidebar",
            ],
            "builtins": ["owui.templatetags.icons"],
        },
    }
]

DATABASES = {
    "default": env.database(
        BOOT.database_url or "postgresql://unconfigured@127.0.0.1:1/owui",
        BOOT.database_pool_size,
        BOOT.database_pool_timeout,
    )
}
DATABASE_PREPARED_STATEMENTS = BOOT.database_prepared_statements
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.password.PasswordBackend", "rbac.backends.GrantBackend"]
PASSWORD_HASHERS = [
    "accounts.hashers.Argon2",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "accounts.hashers.Bcrypt",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "accounts:sign-in"
LOGIN_REDIRECT_URL = "/"
ANONYMOUS_USER_NAME = None
# guardian's own backend is replaced by rbac.backends.GrantBackend, so that `has_perm` agrees with the querysets.
# Django admin asks for its own AuthenticationMiddleware; ours puts the person on the request from the session token.
SILENCED_SYSTEM_CHECKS = ["guardian.W001", "admin.E408"]

SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BOOT.webui_auth_cookie_secure
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = BOOT.webui_auth_cookie_same_site.capitalize()
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
CSRF_FAILURE_VIEW = "owui.lib.errors.csrf_failure"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        # The room where diagrams are drawn and the one where an artifact runs; both are sandboxed by their own policy.
        "frame-src": [SELF],
        "manifest-src": [SELF],
        # Signing out is a form, and its answer may lead away.
        "form-action": [SELF, *env.origin_of(BOOT.webui_auth_signout_redirect_url)],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
# No SECURE_PROXY_SSL_HEADER: it would believe anybody. The ASGI server sets the scheme for FORWARDED_ALLOW_IPS only.

STATIC_URL = "/static/"
STATIC_ROOT = OWUI_HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "owui.lib.packaged.PackagedFinder",
]
SERVESTATIC_KEEP_ONLY_HASHED_FILES = True
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        # For this user alone, whatever the umask: other accounts of the machine are not in the grants.
        "OPTIONS": {
            "location": DATA_DIR / "uploads",
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
}
# Uploads above this size are spooled to disk by Django, so a large file never sits in memory.
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024

REDIS_URL = BOOT.redis_url or "redis://127.0.0.1:1/0"
REDIS_KEY_PREFIX = BOOT.redis_key_prefix
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [BOOT.websocket_redis_url or REDIS_URL], "prefix": f"{REDIS_KEY_PREFIX}:layer"},
    }
}
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": f"{REDIS_KEY_PREFIX}:celery:",
    "visibility_timeout": 3600,
    "socket_connect_timeout": 3,
    "retry_policy": {"timeout": 3.0},
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

http.configure(
    ca_file=BOOT.aiohttp_client_ssl_cert_file or None, verify=env.truth(BOOT.aiohttp_client_session_ssl, default=True)
)

EMAIL_HOST, EMAIL_PORT = BOOT.email_host or "localhost", BOOT.email_port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = BOOT.email_host_user, BOOT.email_host_password
EMAIL_USE_TLS, EMAIL_USE_SSL = BOOT.email_use_tls, BOOT.email_use_ssl
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = (
    BOOT.default_from_email or BOOT.email_host_user or f"no-reply@{urlsplit(BOOT.webui_url).hostname or 'localhost'}"
)
if EMAIL_USE_TLS and EMAIL_USE_SSL:
    sys.exit("EMAIL_USE_TLS (STARTTLS, port 587) and EMAIL_USE_SSL (port 465) exclude each other. Set one of them.")

LANGUAGE_CODE = "en"
# Each by its own name. How one gets in: docs/decisions/0011-languages.md.
LANGUAGES = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("es", "Español"),
    ("fr", "Français"),
    ("ja", "日本語"),
    ("zh-hans", "简体中文"),
]
LANGUAGE_COOKIE_NAME = "owui-language"
LANGUAGE_COOKIE_AGE = 365 * 86400
LANGUAGE_COOKIE_HTTPONLY, LANGUAGE_COOKIE_SECURE = True, SESSION_COOKIE_SECURE
LANGUAGE_COOKIE_SAMESITE = SESSION_COOKIE_SAMESITE
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["owui.formats"]

# Governance switches of the field (spec: environment only, never stored).
BYPASS_ADMIN_ACCESS_CONTROL = BOOT.bypass_admin_access_control
BYPASS_MODEL_ACCESS_CONTROL = BOOT.bypass_model_access_control
ENABLE_DENY_GRANTS = BOOT.enable_deny_grants
ENABLE_GROUP_SYNC_KEEP_MANUAL = BOOT.enable_group_sync_keep_manual
BYPASS_RETRIEVAL_ACCESS_CONTROL = BOOT.bypass_retrieval_access_control
ENABLE_RETRIEVAL_UNSCOPED_COLLECTIONS = BOOT.enable_retrieval_unscoped_collections
ENABLE_ADMIN_CHAT_ACCESS = BOOT.enable_admin_chat_access
ENABLE_ADMIN_EXPORT = BOOT.enable_admin_export
ENABLE_PERSISTENT_CONFIG = BOOT.enable_persistent_config
RAG_SYSTEM_CONTEXT = BOOT.rag_system_context

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": BOOT.global_log_level.upper()},
    "loggers": {"httpx": {"level": "WARNING"}, "django.request": {"level": "ERROR"}},
}
