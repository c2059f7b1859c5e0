"""What the list in the administration is called."""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [('accounts', '0010_claimed_addresses')]

    operations = [
        migrations.AlterModelOptions('directoryrun', {'verbose_name': 'directory sync', 'verbose_name_plural': 'directory syncs'}),
    ]
