-- Search: one function, asked by one statement. The arrays of bases and documents are what the person may read; every
-- step starts from them. All functions are STABLE, so that all their steps see the state of one moment.

DROP FUNCTION IF EXISTS knowledge_nearest(bigint, uuid[], uuid[], boolean, halfvec, integer, text, bigint);

CREATE OR REPLACE FUNCTION knowledge_words_best(
  space bigint, bases uuid[], documents uuid[], homeless boolean, question text, most integer
) RETURNS TABLE (chunk_id bigint, score float8) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_mergejoin = off SET enable_material = off SET jit = off AS $$
#variable_conflict use_column
-- BM25 (k1 = 1.2, b = 0.75) over the readable chunks: the words' frequencies are counted among these alone. Every
-- posting of the rare words is read. Where that names enough chunks, the common words, which are most of the work and
-- little of the score, only count for the best of them.
DECLARE
  whole bigint[];      -- segments that may be read as a whole
  shared bigint[];     -- segments of which only some chunks may be read
  allowed bigint[];    -- these chunks' keys
  total float8;
  lexemes text[];
  counts bigint[];
  places text[];
  idf float8[];
  read bigint := 0;
  rare integer := 0;
  budget constant integer := 8000;
BEGIN
  SELECT array_agg(id), sum(chunk_count) INTO whole, total FROM knowledge_wordsegment AS segment
  WHERE segment.space_id = space
    AND (segment.knowledge_base_id = ANY (bases) OR segment.document_id = ANY (documents));
  total := coalesce(total, 0);
  IF NOT homeless AND documents <> '{}' THEN
    SELECT array_agg(slot.key) INTO allowed
    FROM knowledge_chunk AS chunk JOIN knowledge_wordslot AS slot ON slot.chunk_id = chunk.id
    WHERE chunk.document_id = ANY (documents) AND chunk.space_id = space
      AND chunk.knowledge_base_id IS NOT NULL AND chunk.knowledge_base_id <> ALL (bases);
    SELECT array_agg(DISTINCT key >> 24) INTO shared FROM unnest(allowed) AS key;
    total := total + coalesce((SELECT sum(chunk_count) FROM knowledge_wordsegment WHERE id = ANY (shared)), 0);
  END IF;
  IF total = 0 THEN
    RETURN;
  END IF;

  -- Asked of several languages, a question loses the stop words of its own before each stems it: "of" would be a rare
  -- word in French.
  IF 1 < (SELECT count(DISTINCT language) FROM knowledge_wordsegment WHERE id = ANY (whole || shared)) THEN
    SELECT string_agg(word, ' ') INTO question
    FROM knowledge_language(question) AS spoken, regexp_split_to_table(question, '\s+') AS word
    WHERE to_tsvector(spoken::regconfig, word) <> '';
    IF question IS NULL THEN
      RETURN;
    END IF;
  END IF;
  -- The rows' places are kept, so that the index is asked once.
  SELECT array_agg(one.lexeme ORDER BY one.count, one.lexeme), array_agg(one.count ORDER BY one.count, one.lexeme),
    array_agg(one.tids ORDER BY one.count, one.lexeme)
  INTO lexemes, counts, places
  FROM (
    SELECT posting.lexeme, sum(posting.count)::bigint AS count, array_agg(posting.ctid)::text AS tids
    FROM (
      SELECT language, array_agg(id) AS ids FROM knowledge_wordsegment WHERE id = ANY (whole || shared) GROUP BY language
    ) AS segment
    CROSS JOIN LATERAL (
      SELECT lexeme FROM unnest(to_tsvector(segment.language::regconfig, question)) ORDER BY positions[1] LIMIT 40
    ) AS word
    JOIN knowledge_posting AS posting ON posting.segment_id = ANY (segment.ids) AND posting.lexeme = word.lexeme
    GROUP BY posting.lexeme
  ) AS one;
  IF lexemes IS NULL THEN
    RETURN;
  END IF;
  SELECT array_agg(ln(1 + (greatest(total, count) - count + 0.5) / (count + 0.5)) * 2.2 / 255 ORDER BY place) INTO idf
  FROM unnest(counts) WITH ORDINALITY AS of(count, place);
  FOR place IN 1 .. cardinality(lexemes) LOOP
    read := read + counts[place];
    EXIT WHEN rare > 0 AND read > budget AND shared IS NULL;
    rare := place;
  END LOOP;

  RETURN QUERY
  WITH held AS MATERIALIZED (
    SELECT posting.segment_id, posting.slots, posting.weights, posting.dense || '' AS dense, word.idf,
      word.place <= rare AS is_rare
    FROM unnest(places, idf) WITH ORDINALITY AS word(tids, idf, place)
    CROSS JOIN LATERAL unnest(word.tids::tid[]) AS row(tid)
    JOIN knowledge_posting AS posting ON posting.ctid = row.tid
  ), partial AS MATERIALIZED (
    SELECT listed.key, sum(listed.score) AS score FROM (
      SELECT (held.segment_id << 24) | list.slot AS key, held.idf * list.weight AS score
      FROM held CROSS JOIN LATERAL unnest(held.slots, held.weights) AS list(slot, weight)
      WHERE held.is_rare AND held.dense IS NULL
      UNION ALL
      SELECT (held.segment_id << 24) | list.slot, held.idf * list.weight
      FROM held CROSS JOIN LATERAL (
        SELECT slot, get_byte(held.dense, slot) AS weight FROM generate_series(0, length(held.dense) - 1) AS slot
      ) AS list
      WHERE held.is_rare AND held.dense IS NOT NULL AND list.weight > 0
    ) AS listed
    WHERE shared IS NULL OR listed.key >> 24 = ANY (whole) OR listed.key = ANY (allowed)
    GROUP BY listed.key ORDER BY 2 DESC LIMIT greatest(2000, 4 * most)
  ), common AS MATERIALIZED (
    SELECT * FROM held WHERE NOT held.is_rare
  ), scored AS (
    SELECT added.key, sum(added.score) AS score FROM (
      SELECT partial.key, partial.score FROM partial
      UNION ALL
      SELECT one.key, common.idf * get_byte(common.dense, (one.key & 16777215)::integer)
      FROM (
        SELECT partial.key >> 24 AS segment_id, array_agg(partial.key) AS keys FROM partial GROUP BY 1
      ) AS of JOIN common USING (segment_id) CROSS JOIN LATERAL unnest(of.keys) AS one(key)
      WHERE common.dense IS NOT NULL
      UNION ALL
      SELECT listed.key, listed.score
      FROM (
        SELECT (common.segment_id << 24) | list.slot AS key, common.idf * list.weight AS score
        FROM common CROSS JOIN LATERAL unnest(common.slots, common.weights) AS list(slot, weight)
      ) AS listed
      -- A join would be a loop: nobody can tell the planner how many there are.
      WHERE (listed.key IN (SELECT partial.key FROM partial)) IS TRUE
    ) AS added GROUP BY added.key ORDER BY 2 DESC, 1 OFFSET 0
  )
  -- In this order, until enough of them are there: slots of chunks that are gone lead nowhere.
  SELECT slot.chunk_id, scored.score::float8
  FROM scored CROSS JOIN LATERAL (
    SELECT of.chunk_id FROM knowledge_wordslot AS of WHERE of.key = scored.key OFFSET 0
  ) AS slot
  LIMIT most;
END $$;

CREATE OR REPLACE FUNCTION knowledge_nearest(
  space bigint, bases uuid[], documents uuid[], homeless boolean, wanted halfvec, most integer, way text, newest bigint,
  total bigint
) RETURNS TABLE (chunk_id bigint, distance float8) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
-- Ways over the bases: `exact` measures every readable chunk; `coarse` reads their vectors' signs alone, from the index,
-- and measures those that could be among the best; `graph` asks HNSW, which reaches up to the chunk `newest`, and reads
-- what came later. Documents are always measured.
DECLARE
  signs constant varbit := binary_quantize(wanted)::varbit;
  size constant float8 := length(signs);
  -- Without any structure the first ten are among the likeliest fifth by signs; no question needs more.
  first constant integer := greatest(2 * most, 100);
  further constant integer := least(greatest(total / 5, first), 10000);
  after bigint := 0;
BEGIN
  IF documents <> '{}' THEN
    RETURN QUERY
    SELECT chunk.id, chunk.embedding <=> wanted FROM knowledge_chunk AS chunk
    WHERE chunk.document_id = ANY (documents) AND chunk.space_id = space
      AND (chunk.knowledge_base_id IS NULL OR NOT homeless AND chunk.knowledge_base_id <> ALL (bases))
    ORDER BY 2 LIMIT most;
  END IF;
  IF way = 'exact' THEN
    RETURN QUERY
    SELECT chunk.id, chunk.embedding <=> wanted FROM knowledge_chunk AS chunk
    WHERE chunk.space_id = space AND chunk.knowledge_base_id = ANY (bases) ORDER BY 2 LIMIT most;
    RETURN;
  ELSIF way = 'graph' THEN
    -- The index is of one space and one length, and the planner must see both. Filtered, it has to look further.
    PERFORM set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', '200', true);
    RETURN QUERY EXECUTE format(
      'SELECT id, embedding::halfvec(%1$s) <=> $1::halfvec(%1$s) FROM knowledge_chunk '
      'WHERE space_id = %2$s AND id <= %3$s AND knowledge_base_id = ANY ($2) '
      'ORDER BY embedding::halfvec(%1$s) <=> $1::halfvec(%1$s) LIMIT $3', size, space, newest
    ) USING wanted, bases, most;
    after := newest;
  END IF;
  RETURN QUERY
  WITH coarse AS MATERIALIZED (
    SELECT chunk.id, chunk.code <~> signs AS flips FROM knowledge_chunk AS chunk
    WHERE chunk.space_id = space AND chunk.knowledge_base_id = ANY (bases) AND chunk.id > after
    ORDER BY 2 LIMIT first + further
  ), near AS MATERIALIZED (
    SELECT one.id, chunk.embedding <=> wanted AS distance
    FROM (SELECT coarse.id FROM coarse ORDER BY coarse.flips LIMIT first) AS one
    CROSS JOIN LATERAL (SELECT embedding FROM knowledge_chunk WHERE id = one.id OFFSET 0) AS chunk
  ), worst AS (
    -- As far away as the worst of the best so far, a vector would turn so many signs, give or take.
    SELECT acos(greatest(-1, least(1, 1 - max(best.distance)))) / pi() AS turn
    FROM (SELECT near.distance FROM near WHERE near.distance <> 'NaN' ORDER BY 1 LIMIT least(most, 10)) AS best
  ), further AS (
    SELECT one.id, chunk.embedding <=> wanted AS distance
    FROM (
      SELECT coarse.id FROM coarse, worst
      WHERE coarse.flips <= size * worst.turn + 2 * sqrt(size * worst.turn * (1 - worst.turn))
      ORDER BY coarse.flips OFFSET first
    ) AS one
    CROSS JOIN LATERAL (SELECT embedding FROM knowledge_chunk WHERE id = one.id OFFSET 0) AS chunk
  )
  SELECT * FROM near UNION ALL SELECT * FROM further ORDER BY 2 LIMIT most;
END $$;

CREATE OR REPLACE FUNCTION knowledge_search(
  engine text, model text, bases uuid[], documents uuid[], homeless boolean, questions text[], vectors halfvec[],
  word_weight float8, depth integer, kept integer, threshold float8, codes text[], forced text
) RETURNS TABLE (
  chunk_id bigint, document_id uuid, knowledge_base_id uuid, filename text, owner_id uuid, page_position integer,
  page_number integer, page_label text, "position" integer, start_index integer, text text, headings jsonb,
  score float8, vector_rank bigint, word_rank bigint, word_score float8, points float8, way text
) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
-- `homeless`: of the documents only what is in no base. `depth`: candidates of each half and question. `codes`: who
-- names a document by its number means it, so chunks that hold one come first; fusion alone buries them below texts
-- that are a little like the question in both ways.
DECLARE
  space record;
  chosen text := forced;
  total bigint;
BEGIN
  SELECT of.id, of.dimensions, of.graph_until INTO space FROM knowledge_embeddingspace AS of
  WHERE of.is_active AND of.engine = knowledge_search.engine AND of.model = knowledge_search.model;
  IF space.id IS NULL OR space.dimensions <> ALL (SELECT vector_dims(one) FROM unnest(vectors) AS one) THEN
    RETURN;
  END IF;
  SELECT coalesce(sum(chunk_count), 0) INTO total FROM knowledge_wordsegment AS segment
  WHERE segment.space_id = space.id AND segment.knowledge_base_id = ANY (bases);
  IF chosen = '' THEN
    chosen := CASE WHEN total > 250000 AND space.graph_until IS NOT NULL THEN 'graph'
                   WHEN total > 4000 THEN 'coarse' ELSE 'exact' END;
  END IF;
  RETURN QUERY
  WITH asked AS MATERIALIZED (
    SELECT one.number, one.question, one.vector
    FROM unnest(questions, vectors) WITH ORDINALITY AS one(question, vector, number)
  ), near AS MATERIALIZED (
    SELECT asked.number, found.chunk_id,
      row_number() OVER (PARTITION BY asked.number ORDER BY found.distance, found.chunk_id) AS rank
    FROM asked CROSS JOIN LATERAL knowledge_nearest(
      space.id, bases, documents, homeless, asked.vector, depth, chosen, space.graph_until, total) AS found
    WHERE word_weight < 1
  ), said AS MATERIALIZED (
    SELECT asked.number, found.chunk_id, found.score,
      row_number() OVER (PARTITION BY asked.number ORDER BY found.score DESC, found.chunk_id) AS rank
    FROM asked CROSS JOIN LATERAL knowledge_words_best(
      space.id, bases, documents, homeless, asked.question, depth) AS found
    WHERE word_weight > 0
  ), measured AS MATERIALIZED (
    -- Both kinds of score as parts of the best: ranks alone do not say that one answer is far better than the rest. A
    -- vector of zeros is like nothing; what a full list of words does not name scores at most like its last.
    SELECT found.*, greatest(0, least(1, coalesce(1 - nullif(chunk.embedding <=> asked.vector, 'NaN'), 0))) AS likeness
    FROM (
      SELECT number, chunk_id, near.rank AS near, said.rank AS said, said.score
      FROM (SELECT * FROM near WHERE near.rank <= depth) AS near FULL JOIN said USING (number, chunk_id)
    ) AS found
    JOIN asked USING (number) JOIN knowledge_chunk AS chunk ON chunk.id = found.chunk_id
  ), weighed AS (
    SELECT measured.*, (1 - word_weight) * coalesce(likeness / nullif(max(likeness) OVER of, 0), 0)
      + word_weight * coalesce(
        coalesce(score, CASE WHEN count(score) OVER of < depth THEN 0 ELSE min(score) OVER of END)
        / nullif(max(score) OVER of, 0), 0) AS points
    FROM measured WINDOW of AS (PARTITION BY number)
  ), fused AS MATERIALIZED (
    SELECT chunk_id, max(points) AS points, min(near) AS near, min(said) AS said, max(score) AS word_score,
      max(likeness) AS score
    FROM weighed GROUP BY chunk_id
  ), told AS (
    SELECT fused.*, chunk.document_id, chunk.knowledge_base_id, document.filename, document.owner_id, chunk.page_id,
      chunk.position, chunk.start_index, chunk.text, chunk.headings,
      (SELECT count(*) FROM unnest(codes) AS code
       WHERE strpos(lower(document.filename || E'\n' || chunk.text), code) > 0) AS named
    FROM fused
    JOIN knowledge_chunk AS chunk ON chunk.id = fused.chunk_id
    JOIN knowledge_document AS document ON document.id = chunk.document_id
    WHERE chunk.knowledge_base_id = ANY (bases) OR chunk.document_id = ANY (documents)
  ), once AS (
    SELECT told.*, row_number() OVER (
      PARTITION BY told.text ORDER BY told.named DESC, CASE WHEN word_weight = 0 THEN told.score END DESC,
        told.points DESC, told.chunk_id) AS copy
    FROM told WHERE told.score >= threshold
  )
  SELECT once.chunk_id, once.document_id, once.knowledge_base_id, once.filename::text, once.owner_id, page.position,
    page.number, page.label::text, once.position, once.start_index, once.text, once.headings,
    once.score::float8, once.near, once.said, once.word_score, once.points::float8, chosen
  FROM once LEFT JOIN knowledge_documentpage AS page ON page.id = once.page_id
  WHERE once.copy = 1
  ORDER BY once.named DESC, CASE WHEN word_weight = 0 THEN once.score END DESC, once.points DESC, once.chunk_id
  LIMIT kept;
END $$;
