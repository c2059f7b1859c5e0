-- The word index: BM25 in plain PostgreSQL, kept by triggers in the transaction that changes the chunks.
--
-- A segment holds the words of some chunks of one base, one language and one space; each chunk has a slot in it. What a
-- statement inserts becomes a segment, small segments are merged in the background, and nothing in one is ever changed.
-- A chunk that goes takes its slot with it: what the postings still say about that slot leads nowhere.
-- The slot's key is the segment's number and, in the last 24 bits, its place.

CREATE OR REPLACE FUNCTION knowledge_language(sample text) RETURNS text LANGUAGE sql STABLE AS $$
  -- The language whose stop words the text is full of. English where it is not much better than English: titles, codes,
  -- tables and other scripts say too little.
  WITH words AS (
    SELECT coalesce(sum(cardinality(positions)), 0) AS count FROM unnest(to_tsvector('simple', sample))
  ), stopped AS (
    SELECT number, name, words.count AS words, words.count - (
      SELECT coalesce(sum(cardinality(positions)), 0) FROM unnest(to_tsvector(name::regconfig, sample))) AS count
    FROM words, unnest(ARRAY['english', 'german', 'french', 'spanish', 'italian', 'portuguese', 'dutch', 'swedish',
      'danish', 'norwegian', 'finnish', 'hungarian', 'russian', 'turkish']) WITH ORDINALITY AS language(name, number)
  )
  SELECT CASE WHEN one.count >= greatest(3, 0.15 * one.words, 1.3 * english.count + 1) THEN one.name ELSE 'english' END
  FROM stopped AS one JOIN stopped AS english ON english.name = 'english'
  ORDER BY one.count DESC, one.number LIMIT 1
$$;

CREATE OR REPLACE FUNCTION knowledge_words_of(language text, filename text, headings jsonb, said text)
RETURNS tsvector LANGUAGE sql STABLE AS $$
  -- Names of files and headings are words of each chunk: `SOP-MFG-042_cleaning.pdf` is asked for by its parts.
  SELECT to_tsvector(language::regconfig, left(concat_ws(' ', translate(filename, '._', '  '),
    (SELECT string_agg(heading, ' ') FROM jsonb_array_elements_text(headings) AS heading), said), 200000))
$$;

CREATE OR REPLACE FUNCTION knowledge_dense(slots integer[], weights smallint[], size integer) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
  -- One byte a slot. Shorter than a list where a word is in every sixth chunk, and any slot is read without the others.
  SELECT decode(string_agg(coalesce(lpad(to_hex(held.weight::integer), 2, '0'), '00'), '' ORDER BY place), 'hex')
  FROM generate_series(0, size - 1) AS place
  LEFT JOIN unnest(slots, weights) AS held(slot, weight) ON held.slot = place
$$;

CREATE OR REPLACE FUNCTION knowledge_words_add(ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  part record;
  segment bigint;
  known record;
  words bigint;
BEGIN
  FOR part IN
    WITH spoken AS (
      SELECT document_id, knowledge_language(string_agg(left(text, 400), ' ')) AS language
      FROM knowledge_chunk WHERE id = ANY (ids) AND position < 2 GROUP BY document_id
    )
    SELECT chunk.space_id AS space, chunk.knowledge_base_id AS base, coalesce(spoken.language, 'english') AS language,
      CASE WHEN chunk.knowledge_base_id IS NULL THEN chunk.document_id END AS document,
      array_agg(chunk.id ORDER BY chunk.document_id, chunk.position) AS chunks
    FROM knowledge_chunk AS chunk LEFT JOIN spoken USING (document_id)
    WHERE chunk.id = ANY (ids) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
  LOOP
    -- Lengths are compared with the base's mean; a hundred words stand for it while there is little to go by.
    SELECT coalesce(sum(chunk_count), 0) + 5 AS chunks, coalesce(sum(word_count), 0) + 500 AS words INTO known
    FROM knowledge_wordsegment WHERE space_id = part.space AND knowledge_base_id = part.base;
    segment := nextval(pg_get_serial_sequence('knowledge_wordsegment', 'id'));
    WITH text AS MATERIALIZED (
      SELECT place.slot::integer - 1 AS slot, place.id,
        knowledge_words_of(part.language, document.filename, chunk.headings, chunk.text) AS words
      FROM unnest(part.chunks) WITH ORDINALITY AS place(id, slot)
      JOIN knowledge_chunk AS chunk ON chunk.id = place.id
      JOIN knowledge_document AS document ON document.id = chunk.document_id
    ), held AS MATERIALIZED (
      SELECT slot, lexeme, coalesce(cardinality(positions), 1) AS times FROM text, unnest(words)
    ), length AS MATERIALIZED (
      SELECT slot, sum(times)::float8 AS words FROM held GROUP BY slot
    ), mean AS (
      SELECT (known.words + coalesce(sum(length.words), 0)) / (known.chunks + cardinality(part.chunks)) AS words
      FROM length
    ), listed AS (
      SELECT lexeme, count(*)::integer AS count, array_agg(slot ORDER BY slot) AS slots,
        array_agg(greatest(1, round(255 * times
          / (times + 1.2 * (0.25 + 0.75 * length.words / mean.words))))::smallint ORDER BY slot) AS weights
      FROM held JOIN length USING (slot) CROSS JOIN mean GROUP BY lexeme
    ), placed AS (
      INSERT INTO knowledge_wordslot (chunk_id, key) SELECT id, (segment << 24) | slot FROM text
    ), posted AS (
      INSERT INTO knowledge_posting (segment_id, lexeme, count, slots, weights, dense)
      SELECT segment, lexeme, count,
        CASE WHEN is_dense THEN NULL ELSE slots END, CASE WHEN is_dense THEN NULL ELSE weights END,
        CASE WHEN is_dense THEN knowledge_dense(slots, weights, cardinality(part.chunks)) END
      FROM listed CROSS JOIN LATERAL (
        SELECT cardinality(part.chunks) >= 256 AND 6 * count >= cardinality(part.chunks) AS is_dense
      ) AS form
    )
    SELECT coalesce(sum(length.words), 0) INTO words FROM length;
    INSERT INTO knowledge_wordsegment (id, space_id, knowledge_base_id, document_id, language, chunk_count, word_count)
    VALUES (segment, part.space, part.base, part.document, part.language, cardinality(part.chunks), words);
    -- Little ones at once, which costs little; the larger ones are merged by a task.
    IF 8 <= (SELECT count(*) FROM knowledge_wordsegment
             WHERE space_id = part.space AND knowledge_base_id = part.base AND chunk_count <= 64) THEN
      PERFORM knowledge_words_merge(part.space, part.base, 64, 8);
    END IF;
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION knowledge_words_remove(ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  touched bigint[];
BEGIN
  WITH gone AS (DELETE FROM knowledge_wordslot WHERE chunk_id = ANY (ids) RETURNING key >> 24 AS segment)
  SELECT array_agg(DISTINCT segment) INTO touched FROM gone;
  WITH gone AS (
    DELETE FROM knowledge_wordsegment AS segment WHERE id = ANY (touched) AND NOT EXISTS (
      SELECT FROM knowledge_wordslot WHERE key BETWEEN segment.id << 24 AND (segment.id << 24) | 16777215
    ) RETURNING id
  )
  DELETE FROM knowledge_posting WHERE segment_id IN (SELECT id FROM gone);
END $$;

CREATE OR REPLACE FUNCTION knowledge_chunk_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM knowledge_words_add((SELECT array_agg(id) FROM fresh));
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION knowledge_chunk_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM knowledge_words_remove((SELECT array_agg(id) FROM gone));
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION knowledge_chunk_updated() RETURNS trigger LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  moved bigint[];
BEGIN
  SELECT array_agg(id) INTO moved FROM gone JOIN fresh USING (id)
  WHERE (gone.knowledge_base_id, gone.space_id, gone.document_id, gone.text, gone.headings)
    IS DISTINCT FROM (fresh.knowledge_base_id, fresh.space_id, fresh.document_id, fresh.text, fresh.headings);
  IF moved IS NOT NULL THEN
    PERFORM knowledge_words_remove(moved);
    PERFORM knowledge_words_add(moved);
  END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER knowledge_words_insert AFTER INSERT ON knowledge_chunk
  REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION knowledge_chunk_inserted();
CREATE OR REPLACE TRIGGER knowledge_words_delete AFTER DELETE ON knowledge_chunk
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION knowledge_chunk_deleted();
CREATE OR REPLACE TRIGGER knowledge_words_update AFTER UPDATE ON knowledge_chunk
  REFERENCING OLD TABLE AS gone NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION knowledge_chunk_updated();

CREATE OR REPLACE FUNCTION knowledge_words_merge(space bigint, base uuid, most integer, crowd integer)
RETURNS integer LANGUAGE plpgsql AS $$
#variable_conflict use_column
-- Makes one segment of those with up to `most` chunks, where `crowd` of them are of a size; and of one that has lost a
-- fifth of its chunks a new one. Sizes grow eightfold, so a posting is written anew once for each step. 0 when there is
-- nothing to do or somebody is at it.
DECLARE
  part record;
  segment bigint;
  merged integer := 0;
  chunks integer;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended(concat('knowledge words ', space, ' ', base), 0)) THEN
    RETURN 0;
  END IF;
  FOR part IN
    WITH sized AS (
      SELECT one.id, one.language, one.word_count, floor(log(8, greatest(one.chunk_count, 8)))::integer AS level,
        most > 64 AND 0.8 * one.chunk_count > (SELECT count(*) FROM knowledge_wordslot
          WHERE key BETWEEN one.id << 24 AND (one.id << 24) | 16777215) AS is_holed
      FROM knowledge_wordsegment AS one
      WHERE one.space_id = space AND one.knowledge_base_id = base AND one.chunk_count <= most
    ), crowded AS (
      SELECT language, max(level) AS level FROM (
        SELECT language, level FROM sized GROUP BY language, level HAVING count(*) >= crowd
      ) AS levels GROUP BY language
    )
    SELECT language, array_agg(id ORDER BY id) AS old, sum(word_count)::bigint AS words
    FROM sized LEFT JOIN crowded USING (language)
    WHERE is_holed OR sized.level <= crowded.level
    GROUP BY language HAVING count(*) > 1 OR bool_or(is_holed)
  LOOP
    -- Who deletes waits for us; we wait for nobody, so nobody waits in a circle.
    CONTINUE WHEN (
      SELECT count(*) FROM unnest(part.old) AS old(id)
      JOIN knowledge_wordslot AS slot ON slot.key BETWEEN old.id << 24 AND (old.id << 24) | 16777215
    ) > (
      SELECT count(*) FROM (
        SELECT FROM unnest(part.old) AS old(id)
        JOIN knowledge_wordslot AS slot ON slot.key BETWEEN old.id << 24 AND (old.id << 24) | 16777215
        FOR UPDATE OF slot SKIP LOCKED
      ) AS locked
    );
    segment := nextval(pg_get_serial_sequence('knowledge_wordsegment', 'id'));
    WITH moved AS MATERIALIZED (
      SELECT slot.chunk_id, slot.key, (row_number() OVER (ORDER BY slot.key) - 1)::integer AS place
      FROM unnest(part.old) AS old(id)
      JOIN knowledge_wordslot AS slot ON slot.key BETWEEN old.id << 24 AND (old.id << 24) | 16777215
    ), total AS (
      SELECT count(*)::integer AS chunks FROM moved
    ), held AS (
      SELECT posting.lexeme, (posting.segment_id << 24) | held.slot AS key, held.weight
      FROM knowledge_posting AS posting CROSS JOIN LATERAL unnest(posting.slots, posting.weights) AS held(slot, weight)
      WHERE posting.segment_id = ANY (part.old) AND posting.dense IS NULL
      UNION ALL
      SELECT posting.lexeme, (posting.segment_id << 24) | held.slot, held.weight
      FROM knowledge_posting AS posting CROSS JOIN LATERAL (
        SELECT slot, get_byte(dense, slot)::smallint AS weight
        FROM (SELECT posting.dense || '' AS dense) AS whole, generate_series(0, length(posting.dense) - 1) AS slot
      ) AS held
      WHERE posting.segment_id = ANY (part.old) AND posting.dense IS NOT NULL AND held.weight > 0
    ), listed AS (
      SELECT lexeme, count(*)::integer AS count, array_agg(place ORDER BY place) AS slots,
        array_agg(weight ORDER BY place) AS weights
      FROM held JOIN moved USING (key) GROUP BY lexeme
    ), posted AS (
      INSERT INTO knowledge_posting (segment_id, lexeme, count, slots, weights, dense)
      SELECT segment, lexeme, count,
        CASE WHEN is_dense THEN NULL ELSE slots END, CASE WHEN is_dense THEN NULL ELSE weights END,
        CASE WHEN is_dense THEN knowledge_dense(slots, weights, total.chunks) END
      FROM listed CROSS JOIN total CROSS JOIN LATERAL (
        SELECT total.chunks >= 256 AND 6 * count >= total.chunks AS is_dense
      ) AS form
    ), placed AS (
      UPDATE knowledge_wordslot AS slot SET key = (segment << 24) | moved.place
      FROM moved WHERE slot.chunk_id = moved.chunk_id
    )
    SELECT total.chunks INTO chunks FROM total;
    INSERT INTO knowledge_wordsegment (id, space_id, knowledge_base_id, language, chunk_count, word_count)
    SELECT segment, space, base, part.language, chunks, part.words WHERE chunks > 0;
    DELETE FROM knowledge_wordsegment WHERE id = ANY (part.old);
    DELETE FROM knowledge_posting WHERE segment_id = ANY (part.old);
    merged := merged + cardinality(part.old);
  END LOOP;
  RETURN merged;
END $$;
