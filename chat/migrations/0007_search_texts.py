"""Trigram indexes under the search of chats. Written as SQL: Django's `OpClass` would ask for `django.contrib.postgres`
among the apps, which asks the database for types that nothing here uses, at each connection."""

from __future__ import annotations

from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations, models

_INDEX = "CREATE INDEX {name} ON {table} USING gin (UPPER({column}::text) gin_trgm_ops)"


class Migration(migrations.Migration):
    dependencies = [("chat", "0006_feedback")]

    operations = [
        migrations.AddIndex(
            "chat",
            models.Index(
                fields=["owner", "-updated_at"], condition=models.Q(("pinned", True)), name="chat_pinned"
            ),
        ),
        TrigramExtension(),
        migrations.RunSQL(
            _INDEX.format(name="chat_title_words", table="chat_chat", column="title"), "DROP INDEX chat_title_words"
        ),
        migrations.RunSQL(
            _INDEX.format(name="chat_message_words", table="chat_message", column="content"),
            "DROP INDEX chat_message_words",
        ),
    ]
