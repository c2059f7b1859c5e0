"""Worlds for the security checks: for each check a bad one and a good one, made of real rows, settings and files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from owui.lib import crypto
from owui.security.checks.database import DatabaseFacts
from owui.security.checks.redis import RedisFacts

LONG = "k" * 8 + "0123456789abcdefghijklmnopqr"
DATABASE = DatabaseFacts("db.internal", True, "TLSv1.3", "owui", False, False, False, "on", "none")
REDIS = {"maxclients": "10000", "timeout": "1800", "maxmemory-policy": "noeviction", "bind": "127.0.0.1"}


@dataclass
class World:
    """What a case may change; all of it is undone after the test."""

    settings: Any
    boot: Callable[..., None]
    store: Callable[[str, Any], None]
    patch: pytest.MonkeyPatch
    tmp: Path
    people: SimpleNamespace

    def env(self, **values: str) -> None:
        from owui.config import store
        from rbac.permissions import environment_defaults

        for name, value in values.items():
            self.patch.setenv(name, value)
        environment_defaults.cache_clear()
        store._from_env.clear()

    def without_middleware(self, name: str) -> None:
        self.settings.MIDDLEWARE = [found for found in self.settings.MIDDLEWARE if found != name]

    def database(self, **values: Any) -> None:
        from dataclasses import replace

        for module in ("data", "operations"):
            self.patch.setattr(f"owui.security.checks.{module}.database_facts", lambda: replace(DATABASE, **values))

    def redis(self, *, fault: str = "", is_forbidden: bool = False, **values: str) -> None:
        config = {} if fault else REDIS | {name.replace("_", "-"): value for name, value in values.items()}
        facts = RedisFacts(config, fault, is_forbidden)
        for module in ("data", "operations"):
            self.patch.setattr(f"owui.security.checks.{module}.redis_facts", lambda: facts)

    def home(self, mode: int | None = None) -> Path:
        """An empty home; with a mode an env file in it."""
        self.settings.OWUI_HOME = self.tmp
        self.patch.chdir(self.tmp)
        self.patch.setattr("owui.security.checks.secrets.env.origin", lambda name: "")
        path = self.tmp / ".env"
        if mode is not None:
            path.write_text("WEBUI_SECRET_KEY=x\n")
            path.chmod(mode)
        return path

    def git(self, *tracked: str) -> None:
        """An index of git, version 2, as `git add` writes it."""
        (self.tmp / ".git").mkdir()
        index = b"DIRC" + (2).to_bytes(4, "big") + len(tracked).to_bytes(4, "big")
        for name in tracked:
            entry = bytes(60) + len(name).to_bytes(2, "big") + name.encode()
            index += entry + bytes(8 - len(entry) % 8)
        (self.tmp / ".git" / "index").write_bytes(index)

    def uploads(self, mode: int) -> None:
        self.settings.DATA_DIR = self.tmp
        (self.tmp / "uploads").mkdir()
        (self.tmp / "uploads").chmod(mode)

    def session(self, *, method: str = "password", days: int | None = 1) -> None:
        from accounts.models import Session

        expires = None if days is None else timezone.now() + timedelta(days=days)
        Session.objects.create(user=self.people.alice, auth_method=method, expires_at=expires)

    def person(self, name: str, **fields: Any) -> None:
        person = getattr(self.people, name)
        type(person).objects.filter(pk=person.pk).update(**fields)

    def admins(self, number: int) -> None:
        from tests.factories.accounts import UserFactory

        # Dana is one already.
        for _ in range(number - 1):
            UserFactory(role="admin")

    def nobody(self) -> None:
        # The guard of the last administrator would refuse.
        self.sql("ALTER TABLE accounts_user DISABLE TRIGGER USER; DELETE FROM accounts_user")

    def app(self, **fields: Any) -> None:
        from accounts.models import Authenticator

        Authenticator.objects.create(user=self.people.dana, **fields)

    def passkey(self) -> None:
        from accounts.models import Passkey

        Passkey.objects.create(user=self.people.dana, name="Key", credential_id=b"1", public_key=b"1", host="localhost")

    def key(self, name: str = "alice") -> None:
        from accounts import tokens

        tokens.new_api_key(getattr(self.people, name))

    def old_key(self, **fields: Any) -> None:
        from accounts.models import ApiKey

        self.store("auth_api_key.enable", True)
        self.store("auth_api_key.endpoint_restrictions", True)
        self.key()
        ApiKey.objects.update(**fields)

    def permissions(self, **flat: bool) -> None:
        """`permissions(chat__delete=False)` stores the default."""
        tree: dict[str, dict[str, bool]] = {}
        for key, value in flat.items():
            section, _, name = key.partition("__")
            tree.setdefault(section, {})[name] = value
        self.store("user.permissions", tree)

    def group(self, **flat: bool) -> None:
        from tests.factories.rbac import make_group

        tree: dict[str, dict[str, bool]] = {}
        for key, value in flat.items():
            section, _, name = key.partition("__")
            tree.setdefault(section, {})[name] = value
        make_group("Pharmacovigilance", permissions=tree)

    def shared(self, kind: str, access: str) -> None:
        from tests.factories.rbac import make_shared

        make_shared(kind, self.people.alice, general_access=access)

    def denial(self, *, switch: bool) -> None:
        from rbac.grants import Grant
        from rbac.services import set_grants
        from tests.factories.accounts import a_system_admin
        from tests.factories.rbac import make_shared

        self.settings.ENABLE_DENY_GRANTS = True
        denial = Grant("user", str(self.people.bob.pk), "read")
        set_grants(make_shared("knowledge", self.people.alice), [], by=a_system_admin(), denials=[denial])
        self.settings.ENABLE_DENY_GRANTS = switch

    def servers(self, *urls: str, keys: tuple[str, ...] = ()) -> None:
        self.store("ollama.enable", False)
        self.store("openai.enable", True)
        self.store("openai.api_base_urls", list(urls))
        self.store("openai.api_keys", list(keys))

    def terminal(self, url: str = "http://terminal:8000", key: str = LONG, *, to: str = "", kind: str = "") -> None:
        from inference.models import TerminalServer, ToolServer
        from rbac.grants import Grant
        from rbac.services import set_grants
        from tests.factories.accounts import a_system_admin
        from tests.factories.rbac import make_group

        model = ToolServer if kind else TerminalServer
        sealed = crypto.encrypt(json.dumps({"key": key}), purpose="server-connection")
        row = model.objects.create(server_id="lab", name="Lab", url=url, sealed=sealed)
        if to:
            principal = ("user", "*") if to == "*" else ("group", str(make_group(to).pk))
            set_grants(row, [Grant(*principal, "read")], by=a_system_admin())

    def sql(self, text: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(text)

    def new_key(self, *, keep: bool = False) -> None:
        former, self.settings.SECRET_KEY = self.settings.SECRET_KEY, "another-key-that-is-long-enough-for-everything"
        self.settings.SECRET_KEY_FALLBACKS = [former] if keep else []

    def event(self, *, days: int = 0, action: str = "chat.delete", **detail: Any) -> None:
        from owui.audit.models import AuditEvent

        at = timezone.now() - timedelta(days=days)
        AuditEvent.objects.create(at=at, actor_label="x", action=action, detail=detail, hash="h", mac="m")

    def unapply_a_migration(self) -> None:
        from django.db.migrations.executor import MigrationExecutor

        executor = MigrationExecutor(connection)
        executor.recorder.record_unapplied(*executor.loader.graph.leaf_nodes("chat")[0])

    def verified(self) -> None:
        from io import StringIO

        call_command("audit", "verify", stdout=StringIO())
