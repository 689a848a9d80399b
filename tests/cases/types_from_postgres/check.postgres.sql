SELECT id, b::int, i2, i4, i8, d, dw, du::numeric(65,30), (f4::float8::text::float8 = f4::float8)::int, c::text, encode(convert_to(v, 'UTF8'), 'hex'), length(tx), encode(substring(by from 1 for 10), 'hex'), length(by) FROM {space}.t ORDER BY id
SELECT id, da::text, to_char(ts, 'YYYY-MM-DD HH24:MI:SS.US'), to_char(ts0, 'YYYY-MM-DD HH24:MI:SS'), to_char(tz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), u::text, e::text FROM {space}.t ORDER BY id
SELECT id, ti::text || CASE WHEN ti::text LIKE '%.%' THEN '' ELSE '.000000' END FROM {space}.t ORDER BY id
SELECT id, jb::text FROM {space}.t WHERE jb IS NOT NULL ORDER BY id
SELECT id, f8 FROM {space}.t WHERE id IN (1, 5) ORDER BY id
SELECT count(*) FROM {space}.t WHERE f4 = 0.1::real OR f4 = 16777216 OR f4 = 3.4028235e38::real OR f4 = 1.17549435e-38::real
SELECT count(*) FROM {space}.t WHERE f8 = 1.7976931348623157e308 OR f8 = 2.2250738585072014e-308
SELECT tx FROM {space}.t WHERE id = 1
