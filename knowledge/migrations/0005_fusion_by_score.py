"""The functions of search as they are now."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).resolve().parents[1] / "retrieval" / "sql"


class Migration(migrations.Migration):

    dependencies = [
        ('knowledge', '0004_held_passages'),
    ]

    operations = [
        migrations.RunSQL((_SQL / "words.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((_SQL / "search.sql").read_text(), migrations.RunSQL.noop),
    ]
