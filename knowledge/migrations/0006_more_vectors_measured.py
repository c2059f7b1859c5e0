"""The functions of search as they are now."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).resolve().parents[1] / "retrieval" / "sql"


class Migration(migrations.Migration):

    dependencies = [
        ('knowledge', '0005_fusion_by_score'),
    ]

    operations = [
        migrations.RunSQL((_SQL / "search.sql").read_text(), migrations.RunSQL.noop),
    ]
