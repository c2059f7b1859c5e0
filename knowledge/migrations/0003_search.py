"""Chunks are searched by their vectors' signs and by a word index of our own; the tsvector column, its GIN index and the
HNSW indexes that grew row by row go."""

from pathlib import Path

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import knowledge.models

_SQL = Path(__file__).resolve().parents[1] / "retrieval" / "sql"
_TABLES = """
ALTER TABLE knowledge_chunk ALTER COLUMN embedding SET STORAGE MAIN, SET (toast_tuple_target = 1024);
DO $$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT indexname FROM pg_indexes WHERE indexname ~ '^chunk_space_[0-9]+$' LOOP
    EXECUTE format('DROP INDEX %I', name);
  END LOOP;
END $$
"""
# The words of the chunks that are there already.
_FILL = """
DO $$
DECLARE
  chunks bigint[];
BEGIN
  FOR chunks IN SELECT array_agg(id) FROM knowledge_chunk GROUP BY knowledge_base_id LOOP
    PERFORM knowledge_words_add(chunks);
  END LOOP;
END $$
"""


class Migration(migrations.Migration):

    dependencies = [
        ('knowledge', '0002_grants_end_and_deny'),
    ]

    operations = [
        migrations.CreateModel(
            name='Posting',
            fields=[
                ('pk', models.CompositePrimaryKey('segment_id', 'lexeme', blank=True, editable=False, primary_key=True, serialize=False)),
                ('segment_id', models.BigIntegerField()),
                ('lexeme', models.TextField()),
                ('count', models.IntegerField()),
                ('slots', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), null=True, size=None)),
                ('weights', django.contrib.postgres.fields.ArrayField(base_field=models.SmallIntegerField(), null=True, size=None)),
                ('dense', models.BinaryField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='WordSegment',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('space_id', models.BigIntegerField()),
                ('knowledge_base_id', models.UUIDField(null=True)),
                ('document_id', models.UUIDField(help_text='of chunks that are in no base', null=True)),
                ('language', models.TextField()),
                ('chunk_count', models.IntegerField()),
                ('word_count', models.BigIntegerField()),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name='WordSlot',
            fields=[
                ('chunk_id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('key', models.BigIntegerField(help_text='the segment, and in the last 24 bits the place in it', unique=True)),
            ],
        ),
        migrations.RemoveIndex(
            model_name='chunk',
            name='knowledge_c_knowled_587753_idx',
        ),
        migrations.RemoveIndex(
            model_name='chunk',
            name='chunk_words',
        ),
        migrations.RemoveField(
            model_name='chunk',
            name='tsv',
        ),
        migrations.AddField(
            model_name='chunk',
            name='code',
            field=models.GeneratedField(db_persist=True, expression=models.Func(models.F('embedding'), function='binary_quantize', template='%(function)s(%(expressions)s)::varbit'), output_field=knowledge.models.SignsField()),
        ),
        migrations.AddField(
            model_name='embeddingspace',
            name='graph_until',
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='chunk',
            name='document',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='chunks', to='knowledge.document'),
        ),
        migrations.AlterField(
            model_name='chunk',
            name='knowledge_base',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='chunks', to='knowledge.knowledgebase'),
        ),
        migrations.AlterField(
            model_name='chunk',
            name='space',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='chunks', to='knowledge.embeddingspace'),
        ),
        migrations.AddIndex(
            model_name='chunk',
            index=models.Index(fields=['knowledge_base', 'space', 'id'], include=('code',), name='chunk_signs'),
        ),
        migrations.AddIndex(
            model_name='wordsegment',
            index=models.Index(fields=['space_id', 'knowledge_base_id'], name='word_segment_of_base'),
        ),
        migrations.AddIndex(
            model_name='wordsegment',
            index=models.Index(condition=models.Q(('document_id', None), _negated=True), fields=['document_id'], name='word_segment_of_document'),
        ),
        migrations.RunSQL(_TABLES, migrations.RunSQL.noop),
        migrations.RunSQL((_SQL / "words.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((_SQL / "search.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL(_FILL, migrations.RunSQL.noop),
    ]
