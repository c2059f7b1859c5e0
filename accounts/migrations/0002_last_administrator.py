"""The history of roles, and a guard: an instance that had an active administrator keeps one.

Deleting everybody is refused as well: on an empty instance the next stranger to sign up would be the administrator.
"""

from django.db import migrations

from rbac.history import TrackAccess

# The lock makes two administrators who demote each other come one after the other; the second sees what the first did.
GUARD = """
CREATE FUNCTION accounts_keep_an_administrator() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1869968746);
    IF NOT EXISTS (SELECT FROM accounts_user WHERE role = 'admin' AND is_active) THEN
        RAISE EXCEPTION 'The last active administrator cannot be removed.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'last_administrator';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER accounts_administrator_stays AFTER UPDATE OF role, is_active ON accounts_user
    DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW
    WHEN (OLD.role = 'admin' AND OLD.is_active AND NOT (NEW.role = 'admin' AND NEW.is_active))
    EXECUTE FUNCTION accounts_keep_an_administrator();
CREATE CONSTRAINT TRIGGER accounts_administrator_left AFTER DELETE ON accounts_user
    DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW
    WHEN (OLD.role = 'admin' AND OLD.is_active)
    EXECUTE FUNCTION accounts_keep_an_administrator();
"""
NO_GUARD = """
DROP TRIGGER accounts_administrator_left ON accounts_user;
DROP TRIGGER accounts_administrator_stays ON accounts_user;
DROP FUNCTION accounts_keep_an_administrator();
"""


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0001_initial"),
        ("rbac", "0002_grants_end_and_deny"),
    ]

    operations = [
        migrations.RunSQL(GUARD, NO_GUARD),
        TrackAccess(
            "accounts_user",
            (
                *("'role'", "'user'", "r.id", "''", "NULL::uuid"),
                "jsonb_build_object('role', r.role, 'is_active', r.is_active)",
            ),
            watched=["role", "is_active"],
        ),
    ]
