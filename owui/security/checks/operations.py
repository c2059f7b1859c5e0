"""6.8 Operations: migrations, Redis, logs, debugging."""

from __future__ import annotations

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext_lazy as _

from owui.security.checks.database import database_facts
from owui.security.checks.redis import redis_facts
from owui.security.registry import Finding, check, declared, fail, not_applicable, ok, unknown, warn

LEAST_CLIENTS = 10_000
LONGEST_IDLE = 1800


@check(
    "6.8.a",
    _("One node migrates"),
    repair=_("Run `manage.py migrate` from one place before the new release starts."),
    names=("ENABLE_DB_MIGRATIONS",),
)
def one_migrates() -> Finding:
    if not hasattr(settings.BOOT, "enable_db_migrations"):
        return not_applicable(_("No web process or worker migrates; only `manage.py migrate` does."))
    return unknown(_("This node cannot see what other nodes are told."))


@check(
    "6.8.b",
    _("The database fits this release"),
    repair=_("Run `manage.py migrate`."),
    beyond=True,
)
def migrations() -> Finding:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _backwards in plan[:5])
        return fail(_("%(count)d migrations wait: %(names)s.") % {"count": len(plan), "names": names})
    return ok(_("All migrations are applied."))


def _redis_number(name: str) -> tuple[int | None, Finding | None]:
    facts = redis_facts()
    if facts.is_forbidden:
        return None, warn(facts.fault)
    if facts.fault:
        return None, unknown(facts.fault)
    text = facts.config.get(name, "")
    return (int(text), None) if text.isdigit() else (None, unknown(_("Redis does not say.")))


@check(
    "6.8.c",
    _("Redis takes enough connections"),
    repair=_("Set maxclients to 10000 or more, and the limit of open files with it."),
)
def redis_clients() -> Finding:
    number, fault = _redis_number("maxclients")
    if number is None:
        return fault or unknown("")
    if number < LEAST_CLIENTS:
        return warn(_("maxclients is %(number)d, fewer than %(least)d.") % {"number": number, "least": LEAST_CLIENTS})
    return ok(_("maxclients is %(number)d.") % {"number": number})


@check(
    "6.8.d",
    _("Redis closes idle connections"),
    repair=_("Set timeout to 1800 in the configuration of Redis."),
)
def redis_timeout() -> Finding:
    number, fault = _redis_number("timeout")
    if number is None:
        return fault or unknown("")
    if not 0 < number <= LONGEST_IDLE:
        return warn(
            _("timeout is %(number)d; 1 to %(most)d seconds are expected.") % {"number": number, "most": LONGEST_IDLE}
        )
    return ok(_("timeout is %(number)d seconds.") % {"number": number})


@check(
    "6.8.e",
    _("Redis drops nothing that was not meant to end"),
    repair=_("Set maxmemory-policy to noeviction: with allkeys-* queued work and events can vanish."),
    beyond=True,
)
def redis_eviction() -> Finding:
    facts = redis_facts()
    policy = facts.config.get("maxmemory-policy", "")
    if not policy:
        return warn(facts.fault) if facts.is_forbidden else unknown(facts.fault or _("Redis does not say."))
    values = {"policy": policy}
    if policy == "noeviction":
        return ok(_("maxmemory-policy is %(policy)s.") % values)
    if policy.startswith("volatile"):
        return warn(_("maxmemory-policy is %(policy)s.") % values)
    return fail(_("maxmemory-policy is %(policy)s.") % values)


declared(
    "6.8.f",
    _("Logs are collected in one place"),
    found=_("This process writes its log to the standard error stream; where that goes cannot be seen from here."),
    repair=_("Collect the logs of all nodes, database and proxy in one place, and declare it."),
)
declared(
    "6.8.g",
    _("Somebody is alerted"),
    found=_("This process cannot see your alerts."),
    repair=_("Alert on restarts, a database or Redis that fails, and GPU memory; declare it."),
)
declared(
    "6.8.h",
    _("Updates are installed regularly"),
    found=_("This process cannot see when it was updated, and asks no server for newer releases."),
    repair=_("Plan updates of this program, its database and its host, and declare the plan."),
)


@check(
    "6.8.i",
    _("Debugging is off"),
    repair=_("Set DEBUG=False and ENV=prod, and a log level of INFO or above."),
    names=("DEBUG", "ENV", "GLOBAL_LOG_LEVEL"),
    beyond=True,
)
def debugging() -> Finding:
    if settings.DEBUG:
        return fail(_("DEBUG is on: error pages show settings and code to everybody."))
    boot = settings.BOOT
    if boot.env.lower() in ("dev", "development"):
        return warn(_("ENV is %(env)s.") % {"env": boot.env})
    if boot.global_log_level.upper() in ("DEBUG", "TRACE", "NOTSET"):
        return warn(
            _("The log level is %(level)s: what people ask may reach the log.") % {"level": boot.global_log_level}
        )
    return ok(
        _("DEBUG is off, ENV is %(env)s, the log level is %(level)s.")
        % {"env": boot.env, "level": boot.global_log_level}
    )


@check(
    "6.8.k",
    _("The database logs who connects, not what is written"),
    repair=_("Set log_connections = on and log_statement = none (or ddl) in PostgreSQL."),
    beyond=True,
)
def database_log() -> Finding:
    facts = database_facts()
    values = {"statement": facts.log_statement, "connections": facts.log_connections or "off"}
    if facts.log_statement in ("mod", "all"):
        return warn(_("log_statement is %(statement)s: texts of chats reach the log of the database.") % values)
    if facts.log_connections in ("", "off"):
        return warn(_("log_connections is %(connections)s.") % values)
    return ok(_("log_connections is %(connections)s, log_statement is %(statement)s.") % values)
