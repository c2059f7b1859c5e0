"""Who made their account themselves, as far as the audit log and the external logins tell."""

from django.db import migrations, models

MARK = """
UPDATE accounts_user SET is_address_claimed = true
WHERE EXISTS (SELECT 1 FROM audit_auditevent e WHERE e.action = 'user.sign_up' AND e.object_id = accounts_user.id::text)
AND NOT EXISTS (SELECT 1 FROM accounts_externallogin l WHERE l.user_id = accounts_user.id);
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0009_oauth_sessions'),
        ('audit', '0001_initial'),
    ]

    operations = [
        migrations.AddField('user', 'is_address_claimed', models.BooleanField(default=False, editable=False, verbose_name='address is their own word')),
        migrations.RunSQL(MARK, migrations.RunSQL.noop),
    ]
