"""Several keys a person. The key each person has stays as it is: it becomes the classic one.

Backwards the classic keys are kept; named ones, of which there is only a hash, have no place in the former table.
"""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

# The primary key was the person. Django cannot exchange one primary key for another without losing the rows.
FORWARDS = """
ALTER TABLE accounts_apikey ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid();
ALTER TABLE accounts_apikey DROP CONSTRAINT accounts_apikey_pkey;
ALTER TABLE accounts_apikey ADD CONSTRAINT accounts_apikey_pkey PRIMARY KEY (id);
ALTER TABLE accounts_apikey ALTER COLUMN id DROP DEFAULT;
CREATE INDEX accounts_apikey_user_id_idx ON accounts_apikey (user_id);
"""
BACKWARDS = """
DROP INDEX accounts_apikey_user_id_idx;
ALTER TABLE accounts_apikey DROP CONSTRAINT accounts_apikey_pkey;
ALTER TABLE accounts_apikey ADD CONSTRAINT accounts_apikey_pkey PRIMARY KEY (user_id);
ALTER TABLE accounts_apikey DROP COLUMN id;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_directory'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(FORWARDS, BACKWARDS)],
            state_operations=[
                migrations.AlterField(
                    'apikey', 'user',
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='api_keys', to=settings.AUTH_USER_MODEL, verbose_name='person'),
                ),
                migrations.AddField(
                    'apikey', 'id',
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
            ],
        ),
        migrations.AddField('apikey', 'is_classic', models.BooleanField(default=True, verbose_name='can be read back')),
        migrations.RunSQL(migrations.RunSQL.noop, 'DELETE FROM accounts_apikey WHERE NOT is_classic'),
        migrations.AddField('apikey', 'name', models.CharField(default='API key', max_length=100, verbose_name='name')),
        migrations.AddField('apikey', 'last_used_ip', models.GenericIPAddressField(blank=True, null=True, verbose_name='from')),
        migrations.AddField('apikey', 'allowed_paths', models.JSONField(blank=True, default=list, verbose_name='paths')),
        migrations.AddField('apikey', 'allowed_models', models.JSONField(blank=True, default=list, verbose_name='models')),
        migrations.AddField('apikey', 'allowed_addresses', models.JSONField(blank=True, default=list, verbose_name='addresses')),
        migrations.AlterField('apikey', 'is_classic', models.BooleanField(default=False, verbose_name='can be read back')),
        migrations.AlterField('apikey', 'name', models.CharField(max_length=100, verbose_name='name')),
        migrations.AlterField('apikey', 'secret', models.TextField(blank=True)),
        migrations.AlterField('apikey', 'last_four', models.CharField(max_length=4, verbose_name='last four')),
        migrations.AlterField('apikey', 'created_at', models.DateTimeField(auto_now_add=True, verbose_name='made')),
        migrations.AlterField('apikey', 'expires_at', models.DateTimeField(blank=True, null=True, verbose_name='ends')),
        migrations.AlterField('apikey', 'last_used_at', models.DateTimeField(blank=True, null=True, verbose_name='last use')),
        migrations.AlterModelOptions('apikey', {'ordering': ['-created_at'], 'verbose_name': 'API key', 'verbose_name_plural': 'API keys'}),
        migrations.AddConstraint('apikey', models.UniqueConstraint(condition=Q(('is_classic', True)), fields=('user',), name='api_key_one_classic')),
        migrations.AddConstraint('apikey', models.UniqueConstraint(fields=('user', 'name'), name='api_key_name_once')),
    ]
