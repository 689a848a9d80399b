SELECT count(*) FROM {space}.v
SELECT id, hits, d::numeric(65,30), u::numeric(65,30) FROM {space}.v ORDER BY id
SELECT id, length(tx), encode(sha256(convert_to(tx, 'UTF8')), 'hex'), encode(convert_to(vc, 'UTF8'), 'hex'), encode(convert_to(rtrim(ch::text), 'UTF8'), 'hex'), length(bt), encode(sha256(bt), 'hex') FROM {space}.v ORDER BY id
SELECT id, encode(convert_to(e::text, 'UTF8'), 'hex'), to_char(tz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') FROM {space}.v ORDER BY id
SELECT count(*) FROM {space}.v a JOIN {space}.v b ON b.id = a.id + 6 AND b.f4 = a.f4 AND b.f8 = a.f8 AND b.jb::text = a.jb::text
SELECT count(*) FROM {space}.v WHERE f4 = 1.401298464324817e-45 OR f4 = -1.401298464324817e-45 OR f4 = 0.30000001192092896 OR f4 = 16777216 OR f4 = 3.4028234663852886e38
SELECT count(*) FROM {space}.v WHERE f8 IN (4.9406564584124654e-324, -4.9406564584124654e-324, 0.1, 9007199254740992, 2.2250738585072011e-308)
SELECT id, jb -> 'a' -> '' ->> 7, jb -> 'a' -> '' ->> 8, jb ->> 'é' FROM {space}.v WHERE jb IS NOT NULL AND jsonb_typeof(jb) = 'object' AND jb <> '{}' ORDER BY id
SELECT id, encode(convert_to(jb #>> '{}', 'UTF8'), 'hex') FROM {space}.v WHERE jsonb_typeof(jb) = 'string' ORDER BY id
