"""An index of words under the search of chats, in the place of the trigrams of `0007_search_texts`: of two words that
many messages share letters of, the trigrams gave every message to be looked at (100,000 chats: a second instead of 10
ms). Of titles, which are short, the trigrams stay.

Texts of more than 100,000 characters are known by their beginning: a text may have more words than a vector holds.
"""

from __future__ import annotations

from django.db import migrations

_WORDS = (
    "CREATE INDEX CONCURRENTLY chat_message_said ON chat_message USING gin (to_tsvector('simple', translate(left(content, 100000),"
    """ '-_./@:+#&=?%~<>()[]{}"''`*|\\,;!$^“”„‘’«»–—…·•、。，！？：（）「」', repeat(' ', 80))))"""
)


class Migration(migrations.Migration):
    # Hundreds of thousands of messages take minutes, in which people go on writing; one that was broken off begins anew.
    atomic = False
    dependencies = [("chat", "0008_read_at")]

    operations = [
        migrations.RunSQL("DROP INDEX IF EXISTS chat_message_said", migrations.RunSQL.noop),
        migrations.RunSQL(_WORDS, "DROP INDEX chat_message_said"),
        migrations.RunSQL(
            "DROP INDEX IF EXISTS chat_message_words",
            "CREATE INDEX chat_message_words ON chat_message USING gin (UPPER(content::text) gin_trgm_ops)",
        ),
    ]
