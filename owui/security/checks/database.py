"""What PostgreSQL says of this connection, asked once a run."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from owui.security.registry import once


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """Encryption of our connection, rights of our role, and what the server logs."""

    host: str
    uses_tls: bool
    tls_version: str
    role: str
    is_superuser: bool
    bypasses: bool
    owns_audit: bool
    log_connections: str
    log_statement: str


@once
def database_facts() -> DatabaseFacts:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(tls.ssl, false), coalesce(tls.version, ''), current_user::text,"
            " role.rolsuper, role.rolbypassrls OR role.rolcreaterole,"
            " coalesce((SELECT pg_get_userbyid(relowner) = current_user FROM pg_class"
            "  WHERE oid = to_regclass('audit_auditevent')), false),"
            " coalesce(current_setting('log_connections', true), ''),"
            " coalesce(current_setting('log_statement', true), '')"
            " FROM pg_roles AS role LEFT JOIN pg_stat_ssl AS tls ON tls.pid = pg_backend_pid()"
            " WHERE role.rolname = current_user"
        )
        row = cursor.fetchone()
    return DatabaseFacts(str(connection.settings_dict["HOST"] or ""), *row)
