"""What must be known before Django starts: the boot environment, typed.

Three sources, first hit wins: the process environment, a mounted secret named by `NAME_FILE`, and the file
`OWUI_HOME/run/env` that a running embedded instance leaves (so that `manage.py` works beside `make run`).
Nothing else in the project reads the environment; stored settings ask `raw(name)` for their seeds.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AliasChoices, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

BASE_DIR = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The one directory that holds all data of this instance."""
    return Path(os.environ.get("OWUI_HOME") or BASE_DIR / "var").resolve()  # noqa: TID251


@lru_cache(maxsize=1)
def _instance_file() -> dict[str, str]:
    """Variables of the running embedded instance, empty when there is none."""
    try:
        lines = (home() / "run" / "env").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def raw(name: str) -> str | None:
    """The text of a boot variable, or None when it is not set anywhere."""
    if (value := os.environ.get(name)) is not None:  # noqa: TID251
        return value
    if path := os.environ.get(f"{name}_FILE"):  # noqa: TID251
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise SystemExit(f"{name}_FILE names {path}, which cannot be read: {error.strerror}.") from error
    return _instance_file().get(name)


def names() -> set[str]:
    """The names of all variables that are set here, wherever they come from; `NAME_FILE` stands under NAME."""
    given = {name.removesuffix("_FILE") if _is_secret_file(name) else name for name in os.environ}  # noqa: TID251
    return given | set(_instance_file())


def origin(name: str) -> str:
    """Where a variable comes from: `environment`, `instance`, the path of its `NAME_FILE`, or nothing when unset."""
    if name in os.environ:  # noqa: TID251
        return "environment"
    if path := os.environ.get(f"{name}_FILE"):  # noqa: TID251
        return path
    return "instance" if name in _instance_file() else ""


def _is_secret_file(name: str) -> bool:
    """Whether a `…_FILE` variable names a mounted secret: some of the field's own names end like that."""
    return name.endswith("_FILE") and name not in ("AIOHTTP_CLIENT_SSL_CERT_FILE", "ENABLE_AUDIT_LOGS_FILE")


def boot_names() -> set[str]:
    """Every variable that gives a boot value, older names included."""
    found = set()
    for name, field in Boot.model_fields.items():
        alias = field.validation_alias
        found |= {str(c) for c in alias.choices} if isinstance(alias, AliasChoices) else {name.upper()}
    return found


def truth(text: str | None, default: bool = False) -> bool:
    """The field's rule: `true` in any letter case is true, everything else false; unset keeps the default."""
    return default if text is None or text == "" else text.strip().lower() == "true"


def empty_is_unset(cls: type[BaseSettings], value: object, info: ValidationInfo) -> object:
    """An empty variable counts as unset; truth values are read as the field reads them."""
    field = cls.model_fields[str(info.field_name)]
    if isinstance(value, str) and value.strip() == "" and field.annotation is not str:
        return field.get_default()
    return truth(value) if field.annotation is bool and isinstance(value, str) else value


S = TypeVar("S", bound=BaseSettings)


class Boot(BaseSettings):
    """Boot values. A bad one stops the start with one sentence."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    database_url: str = ""
    redis_url: str = ""
    websocket_redis_url: str = ""
    redis_key_prefix: str = "open-webui"
    webui_secret_key: str = Field("", validation_alias=AliasChoices("WEBUI_SECRET_KEY", "WEBUI_JWT_SECRET_KEY"))
    webui_name: str = "owui"
    webui_url: str = ""
    env: str = "prod"
    debug: bool = False
    data_dir: str = ""
    # The organisation's own logo and icons; the names of files are in owui/lib/brand.py.
    static_dir: str = ""
    allowed_hosts: str = "*"
    cors_allow_origin: str = "*"
    forwarded_allow_ips: str = "127.0.0.1"
    webui_auth_cookie_secure: bool = Field(
        False, validation_alias=AliasChoices("WEBUI_AUTH_COOKIE_SECURE", "WEBUI_SESSION_COOKIE_SECURE")
    )
    webui_auth_cookie_same_site: str = Field(
        "lax", validation_alias=AliasChoices("WEBUI_AUTH_COOKIE_SAME_SITE", "WEBUI_SESSION_COOKIE_SAME_SITE")
    )
    webui_auth_trusted_email_header: str = ""
    webui_auth_trusted_name_header: str = ""
    webui_auth_trusted_groups_header: str = ""
    webui_auth_trusted_role_header: str = ""
    trusted_proxy_cidrs: str = ""
    webui_auth_signout_redirect_url: str = ""
    database_pool_size: int = 20
    # The field's default is 30; a person should not look at a dead page for that long.
    database_pool_timeout: int = 10
    # Off for poolers that give each transaction another session of the database (PgBouncer before 1.21).
    database_prepared_statements: bool = True
    # How long a connection may take nothing of what is sent to it.
    slow_reader_timeout: float = Field(60, gt=0)
    global_log_level: str = "INFO"
    bypass_admin_access_control: bool = Field(
        True,
        validation_alias=AliasChoices("BYPASS_ADMIN_ACCESS_CONTROL", "ENABLE_ADMIN_WORKSPACE_CONTENT_ACCESS"),
    )
    bypass_model_access_control: bool = False
    enable_deny_grants: bool = False
    enable_group_sync_keep_manual: bool = False
    bypass_retrieval_access_control: bool = False
    enable_retrieval_unscoped_collections: bool = False
    enable_admin_chat_access: bool = True
    enable_admin_export: bool = True
    enable_persistent_config: bool = True
    reset_config_on_start: bool = False
    webui_auth: bool = True
    enable_password_auth: bool = True
    enable_initial_admin_signup: bool = False
    enable_password_validation: bool = False
    password_validation_regex_pattern: str = r"^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[^\w\s]).{8,}$"  # noqa: S105
    password_validation_hint: str = ""
    # Taken and not followed: new hashes are argon2id; what bcrypt made still verifies, and is renewed at sign-in.
    password_hash_algorithm: Literal["bcrypt", "argon2"] = "bcrypt"  # noqa: S105
    enable_signup_password_confirmation: bool = False
    mfa_encryption_key: str = ""
    email_host: str = ""
    email_port: int = 25
    email_host_user: str = ""
    email_host_password: str = ""
    email_use_tls: bool = False
    email_use_ssl: bool = False
    default_from_email: str = ""
    custom_api_key_header: str = "x-api-key"
    enable_forward_user_info_headers: bool = False
    forward_user_info_header_user_name: str = "X-OpenWebUI-User-Name"
    forward_user_info_header_user_id: str = "X-OpenWebUI-User-Id"
    forward_user_info_header_user_email: str = "X-OpenWebUI-User-Email"
    forward_user_info_header_user_role: str = "X-OpenWebUI-User-Role"
    forward_user_info_header_auth_type: str = "X-OpenWebUI-Auth-Type"
    forward_session_info_header_chat_id: str = "X-OpenWebUI-Chat-Id"
    forward_session_info_header_message_id: str = "X-OpenWebUI-Message-Id"
    forward_user_info_header_jwt_secret: str = ""
    forward_user_info_header_jwt: str = "X-OpenWebUI-User-Jwt"
    forward_user_info_header_jwt_expires_seconds: int = 300
    aiohttp_client_timeout: float | None = 300
    aiohttp_client_stream_idle_timeout: float | None = 120
    aiohttp_client_timeout_model_list: float = 10
    aiohttp_client_ssl_cert_file: str = ""
    aiohttp_client_session_ssl: str = "True"
    rag_system_context: bool = False
    database_user_active_status_update_interval: float = 60
    #: how long answers that are being written may go on when the process is asked to end
    shutdown_drain_seconds: int = Field(30, ge=0)
    # Other secrets than WEBUI_SECRET_KEY for what providers give us, where the operator wants them apart.
    oauth_session_token_encryption_key: str = ""
    oauth_client_info_encryption_key: str = ""
    webui_admin_email: str = ""
    webui_admin_password: str = ""
    webui_admin_name: str = "Admin"

    @field_validator("trusted_proxy_cidrs")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        """`unix` stands for connections through a unix socket."""
        for entry in value.replace(",", " ").split():
            if entry != "unix":
                ip_network(entry)
        return value

    @field_validator("webui_auth_signout_redirect_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://", "/")):
            raise ValueError("it must be an https:// address or a path")
        return value

    @model_validator(mode="after")
    def _headers_need_proxies(self) -> Self:
        """Without it everybody could write the header; ignoring the header would lock everybody out. So: no start."""
        if self.webui_auth_trusted_email_header and not self.trusted_proxy_cidrs.strip():
            raise ValueError(
                "WEBUI_AUTH_TRUSTED_EMAIL_HEADER needs TRUSTED_PROXY_CIDRS: the addresses of the proxies that may say "
                "who is there, such as 10.0.0.5/32 or `unix` for a unix socket"
            )
        return self

    _empty_is_unset = field_validator("*", mode="before")(classmethod(empty_is_unset))


class Serving(BaseSettings):
    """What `owui.serve` needs before there is Django."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    uvicorn_workers: int = Field(1, ge=1, le=256)
    # The field's default is True; fragments of a few hundred bytes are not worth a window of memory for every page.
    uvicorn_ws_per_message_deflate: bool = False
    shutdown_drain_seconds: int = Field(30, ge=0)
    global_log_level: str = "INFO"
    forwarded_allow_ips: str = "127.0.0.1"

    _empty_is_unset = field_validator("*", mode="before")(classmethod(empty_is_unset))

    @classmethod
    def load(cls) -> Self:
        return _read(cls)


def load() -> Boot:
    """Reads every boot value; exits with one clear sentence when one is unusable."""
    return _read(Boot)


def _read(kind: type[S]) -> S:
    values: dict[str, str] = {}
    for name, field in kind.model_fields.items():
        alias = field.validation_alias
        names = [str(c) for c in alias.choices] if isinstance(alias, AliasChoices) else [name.upper()]
        for candidate in names:
            if (text := raw(candidate)) is not None:
                values[name] = text
                break
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            sys.exit(f"{first['msg'].removeprefix('Value error, ')}. Correct it and start again.")
        sys.exit(f"{str(first['loc'][0]).upper()} has an unusable value: {first['msg']}. Correct it and start again.")


def origin_of(url: str) -> list[str]:
    """Scheme and host of an address, as a content security policy names it; nothing for a path."""
    parts = urlsplit(url)
    return [f"{parts.scheme}://{parts.netloc}"] if parts.netloc else []


def database(url: str, pool_size: int, pool_timeout: int) -> dict[str, object]:
    """Django's DATABASES entry for a PostgreSQL URL; `?host=/dir` in the query names a unix socket."""
    parts = urlsplit(url)
    if parts.scheme.split("+")[0] not in ("postgres", "postgresql"):
        sys.exit(f"DATABASE_URL must be a postgresql:// address, not {parts.scheme or 'an empty one'}://.")
    query = dict(parse_qsl(parts.query))
    options: dict[str, object] = {k: v for k, v in query.items() if k not in ("host", "port", "schema")}
    options["pool"] = {"min_size": 1, "max_size": pool_size, "timeout": pool_timeout, "max_idle": 120}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "owui",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host") or parts.hostname or "",
        "PORT": query.get("port") or str(parts.port or ""),
        "CONN_MAX_AGE": 0,
        "OPTIONS": options,
    }
