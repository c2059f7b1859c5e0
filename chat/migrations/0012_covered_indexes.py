"""Three indexes go whose column begins another one: each reply wrote them for nothing.

By SQL, as Django would drop the foreign keys as well and then check every message anew.
"""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

_COVERED = (
    ("chat_chat_owner_id_d921aa0b", "chat_chat (owner_id)"),
    ("chat_message_chat_id_21483fa7", "chat_message (chat_id)"),
    ("chat_turnevent_turn_id_8b94ec9e", "chat_turnevent (turn_id)"),
)


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0011_former_thoughts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(f"DROP INDEX IF EXISTS {name}", f"CREATE INDEX {name} ON {columns}")
                for name, columns in _COVERED
            ],
            state_operations=[
                migrations.AlterField(
                    "chat",
                    "owner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="chats",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                migrations.AlterField(
                    "message",
                    "chat",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="messages",
                        to="chat.chat",
                    ),
                ),
                migrations.AlterField(
                    "turnevent",
                    "turn",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="chat.turn",
                    ),
                ),
            ],
        ),
    ]
