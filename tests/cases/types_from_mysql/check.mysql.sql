SELECT id, b, bi + 0, i1, u1, i2, u2, i3, u3, i4, u4, i8, u8, d, dw FROM {space}.t ORDER BY id
SELECT id, HEX(c), HEX(v), HEX(CONVERT(l1 USING utf8mb4)), CHAR_LENGTH(tx), LENGTH(tx), HEX(bn), HEX(vb), LENGTH(bb), HEX(SUBSTRING(bb, 1, 4)) FROM {space}.t ORDER BY id
SELECT id, da, CAST(ti AS CHAR), CAST(dt AS CHAR), CAST(dt0 AS CHAR), y, e FROM {space}.t ORDER BY id
SELECT id, CAST(UNIX_TIMESTAMP(ts) * 1000000 AS DECIMAL(20, 0)), UNIX_TIMESTAMP(ts0) FROM {space}.t ORDER BY id
SELECT count(*) FROM {space}.t WHERE f4 = CAST(0.1 AS FLOAT) OR f4 = 16777216 OR f4 > 3.4e38
SELECT count(*) FROM {space}.t WHERE f8 = 1.7976931348623157e308 OR f8 = 2.2250738585072014e-308 OR f8 = 0.1
SELECT id, REPLACE(REPLACE(CAST(j AS CHAR), ' ', ''), '"aa":[1,2.5,"x",null,true],"b":1', '"b":1,"aa":[1,2.5,"x",null,true]') FROM {space}.t WHERE j IS NOT NULL ORDER BY id
SELECT tx FROM {space}.t WHERE id = 1
