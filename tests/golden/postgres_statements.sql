-- upsert, every type, key of two columns
INSERT INTO "shop"."every" ("id", "region", "flag", "small", "number", "price", "f4", "f8", "code", "raw", "day", "clock", "wall", "moment", "ref", "doc", "docb", "mood") SELECT s.c0::int8, s.c1, s.c2::boolean, s.c3::int2, s.c4::int4, s.c5::numeric, s.c6::float4, s.c7::float8, s.c8::bpchar, s.c9, s.c10::date, s.c11::time, s.c12::timestamp, s.c13::timestamptz, s.c14::uuid, s.c15::json, s.c16::jsonb, s.c17::public."My mood" FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[]) AS s(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17) ON CONFLICT ("id", "region") DO UPDATE SET "flag" = excluded."flag", "small" = excluded."small", "number" = excluded."number", "price" = excluded."price", "f4" = excluded."f4", "f8" = excluded."f8", "code" = excluded."code", "raw" = excluded."raw", "day" = excluded."day", "clock" = excluded."clock", "wall" = excluded."wall", "moment" = excluded."moment", "ref" = excluded."ref", "doc" = excluded."doc", "docb" = excluded."docb", "mood" = excluded."mood";

-- upsert, identity
INSERT INTO "shop"."odd ""one""" ("id", "na""me") OVERRIDING SYSTEM VALUE SELECT s.c0::int4, s.c1 FROM unnest($1::text[], $2::text[]) AS s(c0, c1) ON CONFLICT ("id") DO UPDATE SET "na""me" = excluded."na""me";

-- upsert, all columns are key
INSERT INTO "shop"."by_text" ("na""me") SELECT s.c0 FROM unnest($1::text[]) AS s(c0) ON CONFLICT ("na""me") DO NOTHING;

-- load, every type
COPY "shop"."every" ("id", "region", "flag", "small", "number", "price", "f4", "f8", "code", "raw", "day", "clock", "wall", "moment", "ref", "doc", "docb", "mood") FROM STDIN (FORMAT binary);

-- load, identity
COPY "shop"."odd ""one""" ("id", "na""me") FROM STDIN;

-- lock
LOCK TABLE ONLY "shop"."odd ""one""" IN ROW EXCLUSIVE MODE;

-- form, every type
SELECT "id", "region", "flag", "small", "number", "price", "f4", "f8", "code", "raw", "day", "clock", "wall", "moment", "ref", "doc", "docb", "mood" FROM "shop"."every" LIMIT 0;

-- update, every type
WITH hit AS (UPDATE "shop"."every" AS t SET "flag" = s.c2::boolean, "small" = s.c3::int2, "number" = s.c4::int4, "price" = s.c5::numeric, "f4" = s.c6::float4, "f8" = s.c7::float8, "code" = s.c8::bpchar, "raw" = s.c9, "day" = s.c10::date, "clock" = s.c11::time, "wall" = s.c12::timestamp, "moment" = s.c13::timestamptz, "ref" = s.c14::uuid, "doc" = s.c15::json, "docb" = s.c16::jsonb, "mood" = s.c17::public."My mood" FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[]) WITH ORDINALITY AS s(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, i) WHERE t."id" = s.c0::int8 AND t."region" = s.c1 RETURNING s.i) SELECT g.i FROM generate_series(1::int8, cardinality($1::text[])) AS g(i) WHERE g.i NOT IN (SELECT hit.i FROM hit);

-- update, some columns
WITH hit AS (UPDATE "shop"."every" AS t SET "price" = s.c5::numeric, "raw" = s.c9 FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) WITH ORDINALITY AS s(c0, c1, c5, c9, i) WHERE t."id" = s.c0::int8 AND t."region" = s.c1 RETURNING s.i) SELECT g.i FROM generate_series(1::int8, cardinality($1::text[])) AS g(i) WHERE g.i NOT IN (SELECT hit.i FROM hit);

-- update, nothing but the key: which rows are missing
SELECT s.i FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS s(c0, c1, i) WHERE NOT EXISTS (SELECT FROM "shop"."every" AS t WHERE t."id" = s.c0::int8 AND t."region" = s.c1);

-- update, key of bytes
SELECT s.i FROM unnest($1::bytea[]) WITH ORDINALITY AS s(c0, i) WHERE NOT EXISTS (SELECT FROM "shop"."by_bytes" AS t WHERE t."digest" = s.c0);

-- rekey
UPDATE "shop"."every" AS t SET "id" = $3::text::int8, "region" = $4::text, "price" = $5::text::numeric, "raw" = $6::bytea WHERE t."id" = $1::text::int8 AND t."region" = $2::text;

-- delete, key of two columns
DELETE FROM "shop"."every" AS t USING unnest($1::text[], $2::text[]) AS s(c0, c1) WHERE t."id" = s.c0::int8 AND t."region" = s.c1;

-- delete, key of one column
DELETE FROM "shop"."odd ""one""" AS t WHERE t."id" = ANY ($1::text[]::int4[]);

-- delete, key of text
DELETE FROM "shop"."by_text" AS t WHERE t."na""me" = ANY ($1::text[]);

-- delete, key of bytes
DELETE FROM "shop"."by_bytes" AS t WHERE t."digest" = ANY ($1::bytea[]);

-- delete, unless referred to
WITH referred AS (SELECT CASE WHEN EXISTS (SELECT FROM "shop"."no""te" AS c WHERE c."a" = t."id" AND c."b""" = t."region") THEN 0::int8 WHEN EXISTS (SELECT FROM "shop"."every" AS c WHERE c."number" = t."id" AND (c.tableoid, c.ctid) <> (t.tableoid, t.ctid)) THEN 1::int8 END AS key FROM "shop"."every" AS t, unnest($1::text[], $2::text[]) AS s(c0, c1) WHERE t."id" = s.c0::int8 AND t."region" = s.c1), gone AS (DELETE FROM "shop"."every" AS t USING unnest($1::text[], $2::text[]) AS s(c0, c1) WHERE t."id" = s.c0::int8 AND t."region" = s.c1 AND NOT EXISTS (SELECT FROM referred AS r WHERE r.key IS NOT NULL)) SELECT r.key FROM referred AS r WHERE r.key IS NOT NULL;

-- truncate
DELETE FROM "shop"."odd ""one""";

-- witness: read
SELECT installation::text, seq, position, restart, hops, pending, source_identity, target_identity FROM weir.witness WHERE name = $1::text AND link = $2::text AND part = 0;

-- witness: create
INSERT INTO weir.witness (name, link, part, installation, seq, position, restart, hops, pending, source_identity, target_identity, updated_at) VALUES ($1::text, $2::text, 0, $3::text, $4::int8, $5::text, $6::text, $7::int4, $8::text, $9::text, $10::text, clock_timestamp());

-- witness: compare and swap
UPDATE weir.witness SET seq = seq + 1, position = $5::text, restart = $6::text, hops = $7::int4, updated_at = clock_timestamp() WHERE name = $1::text AND link = $2::text AND part = 0 AND installation = $3::text AND seq = $4::int8;

-- witness: move
UPDATE weir.witness SET position = $5::text, updated_at = clock_timestamp() WHERE name = $1::text AND link = $2::text AND part = 0 AND installation = $3::text AND seq = $4::int8;

-- witness: what was accepted
SELECT pending FROM weir.witness WHERE name = $1::text AND link = $2::text AND part = 1;

-- witness: accept
INSERT INTO weir.witness (name, link, part, installation, seq, position, hops, pending, source_identity, target_identity, updated_at) VALUES ($1::text, $2::text, 1, $3::text, 0, $4::text, 0, $5::text, $6::text, $7::text, clock_timestamp()) ON CONFLICT (name, link, part) DO UPDATE SET installation = excluded.installation, position = excluded.position, pending = excluded.pending, source_identity = excluded.source_identity, target_identity = excluded.target_identity, updated_at = excluded.updated_at;

-- missed: note
INSERT INTO weir.missed (name, link, table_name, key_values, reason, noted_at) SELECT $1::text, $2::text, $3::text, k, $5::text, clock_timestamp() FROM unnest($4::text[]) AS k;

-- missed: settle
DELETE FROM weir.missed WHERE name = $1::text AND link = $2::text AND table_name = $3::text AND key_values = ANY ($4::text[]) AND id <= $5::int8;

-- missed: list
SELECT id, table_name::text, key_values, reason::text, (SELECT max(id) FROM weir.missed) FROM weir.missed WHERE name = $1::text AND link = $2::text AND table_name = ANY ($3::text[]) ORDER BY id LIMIT $4::int8;

-- dead letters: end those of tables
DELETE FROM weir.dead_letter WHERE name = $1::text AND link = $2::text AND table_name = ANY ($3::text[]);

-- dead letters: end those of rows
DELETE FROM weir.dead_letter WHERE id = ANY (ARRAY(SELECT x.id FROM unnest($3::text[], $4::text[]) AS s(table_name, row_name) CROSS JOIN LATERAL (SELECT d.id FROM weir.dead_letter AS d WHERE d.name = $1::text AND d.link = $2::text AND d.table_name = s.table_name AND hashtextextended(d.row_name, 0) = hashtextextended(s.row_name, 0) AND d.row_name = s.row_name OFFSET 0) AS x));

-- dead letters: tried
WITH mine AS MATERIALIZED (SELECT x.id, s.kind, s.error, s.hint, row_number() OVER (PARTITION BY s.i ORDER BY x.id) AS place FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY AS s(table_name, row_name, kind, error, hint, i) CROSS JOIN LATERAL (SELECT d.id FROM weir.dead_letter AS d WHERE d.name = $1::text AND d.link = $2::text AND d.table_name = s.table_name AND hashtextextended(d.row_name, 0) = hashtextextended(s.row_name, 0) AND d.row_name = s.row_name OFFSET 0) AS x) UPDATE weir.dead_letter AS d SET attempts = d.attempts + 1, tried_at = clock_timestamp(), asked_at = NULL, kind = CASE m.place WHEN 1 THEN m.kind ELSE d.kind END, error = CASE m.place WHEN 1 THEN m.error ELSE d.error END, hint = CASE m.place WHEN 1 THEN m.hint ELSE d.hint END FROM mine AS m WHERE d.id = ANY (ARRAY[m.id]);

-- dead letters: new
WITH s AS MATERIALIZED (SELECT * FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int8[], $10::text[], $11::text[], $12::text[], $13::text[], $14::int8[], $15::int4[], $16::bool[]) WITH ORDINALITY AS s(source_table, table_name, row_name, old_row_name, operation, position, ordinal, kind, error, hint, change_values, changes, attempts, folds, i)), newest AS MATERIALIZED (SELECT s.i, max(x.id) AS id FROM s CROSS JOIN LATERAL (SELECT d.id FROM weir.dead_letter AS d WHERE d.name = $1::text AND d.link = $2::text AND d.table_name = s.table_name AND hashtextextended(d.row_name, 0) = hashtextextended(s.row_name, 0) AND d.row_name = s.row_name OFFSET 0) AS x WHERE s.folds GROUP BY s.i), folded AS (UPDATE weir.dead_letter AS d SET changes = d.changes + s.changes, position = s.position, ordinal = s.ordinal, operation = s.operation, change_values = s.change_values FROM newest AS n JOIN s USING (i) WHERE d.id = ANY (ARRAY[n.id]) RETURNING s.i, d.id, d.position), made AS (INSERT INTO weir.dead_letter (name, link, source_table, table_name, row_name, old_row_name, operation, position, ordinal, kind, error, hint, change_values, changes, attempts, made_at) SELECT $1::text, $2::text, s.source_table, s.table_name, s.row_name, s.old_row_name, s.operation, s.position, s.ordinal, s.kind, s.error, s.hint, s.change_values, s.changes, s.attempts, clock_timestamp() FROM s WHERE NOT EXISTS (SELECT FROM folded AS f WHERE f.i = s.i) ORDER BY s.i RETURNING id, position) SELECT f.id FROM folded AS f WHERE f.position = '' UNION ALL SELECT m.id FROM made AS m WHERE m.position = '';

-- dead letters: their position
UPDATE weir.dead_letter SET position = $1::text WHERE id = ANY ($2::int8[]);

-- dead letters: what is open
SELECT id, table_name::text, row_name, old_row_name, kind::text, attempts, asked_at IS NOT NULL, (extract(epoch FROM made_at) * 1000000)::int8 FROM weir.dead_letter WHERE name = $1::text AND link = $2::text ORDER BY id;

-- dead letters: count
SELECT table_name::text, count(*), count(asked_at) FROM weir.dead_letter WHERE name = $1::text AND link = $2::text GROUP BY table_name;

-- dead letters: list
SELECT id, table_name::text, source_table::text, row_name, old_row_name, operation::text, position, ordinal, kind::text, error, hint, change_values, changes, attempts, (extract(epoch FROM made_at) * 1000000)::int8, (extract(epoch FROM tried_at) * 1000000)::int8, asked_at IS NOT NULL FROM weir.dead_letter WHERE name = $1::text AND link = $2::text AND id > $3::int8 ORDER BY id LIMIT $4::int8;

-- dead letters: ask
UPDATE weir.dead_letter SET asked_at = clock_timestamp() WHERE id = ANY (ARRAY(SELECT x.id FROM unnest($3::text[], $4::text[]) AS s(table_name, row_name) CROSS JOIN LATERAL (SELECT d.id FROM weir.dead_letter AS d WHERE d.name = $1::text AND d.link = $2::text AND d.table_name = s.table_name AND hashtextextended(d.row_name, 0) = hashtextextended(s.row_name, 0) AND d.row_name = s.row_name OFFSET 0) AS x));

-- copies: how far one is
INSERT INTO weir.snapshot AS s (name, link, table_name, progress) VALUES ($1::text, $2::text, $3::text, $4::text) ON CONFLICT (name, link, table_name) DO UPDATE SET progress = excluded.progress, asked = nullif(s.asked, $5::text);

-- copies: list
SELECT table_name::text, progress, asked FROM weir.snapshot WHERE name = $1::text AND link = $2::text ORDER BY table_name;

-- copies: what is asked
SELECT table_name::text, progress, asked FROM weir.snapshot WHERE name = $1::text AND link = $2::text AND asked IS NOT NULL ORDER BY table_name;

-- copies: ask
INSERT INTO weir.snapshot (name, link, table_name, asked) VALUES ($1::text, $2::text, $3::text, $4::text) ON CONFLICT (name, link, table_name) DO UPDATE SET asked = excluded.asked;

