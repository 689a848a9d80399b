SELECT id, b::int, bi::int, i1, u1, i2, u2, i3, u3, i4, u4, i8, u8, d, dw FROM {space}.t ORDER BY id
SELECT id, upper(encode(convert_to(c::text, 'UTF8'), 'hex')), upper(encode(convert_to(v, 'UTF8'), 'hex')), upper(encode(convert_to(l1, 'UTF8'), 'hex')), length(tx), octet_length(tx), upper(encode(bn, 'hex')), upper(encode(vb, 'hex')), length(bb), upper(encode(substring(bb from 1 for 4), 'hex')) FROM {space}.t ORDER BY id
SELECT id, da::text, ti::text || CASE WHEN ti::text LIKE '%.%' THEN repeat('0', 15 - length(ti::text)) ELSE '.000000' END, to_char(dt, 'YYYY-MM-DD HH24:MI:SS.US'), to_char(dt0, 'YYYY-MM-DD HH24:MI:SS'), lpad(y::text, 4, '0'), e::text FROM {space}.t ORDER BY id
SELECT id, (extract(epoch from ts) * 1000000)::numeric(20, 0), extract(epoch from ts0)::bigint FROM {space}.t ORDER BY id
SELECT count(*) FROM {space}.t WHERE f4 = 0.1::real OR f4 = 16777216 OR f4 > 3.4e38
SELECT count(*) FROM {space}.t WHERE f8 = 1.7976931348623157e308 OR f8 = 2.2250738585072014e-308 OR f8 = 0.1
SELECT id, replace(replace(j::text, ' ', ''), '"aa":[1,2.5,"x",null,true],"b":1', '"b":1,"aa":[1,2.5,"x",null,true]') FROM {space}.t WHERE j IS NOT NULL ORDER BY id
SELECT tx FROM {space}.t WHERE id = 1
