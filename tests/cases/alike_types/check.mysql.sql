SELECT id, s, b10 + 0, hex(b64), hex(g), hex(pt), y, t, u, hex(bn), hex(vb), e, n FROM {space}.s ORDER BY id
SELECT b + 0, v FROM {space}.k ORDER BY b
SELECT id, s FROM {space}.big ORDER BY id
SELECT id, d, dt, ts, n FROM {space}.d ORDER BY id
SELECT d, dt, v FROM {space}.dk ORDER BY v
SELECT id, b, c, f, d, fu, i FROM {space}.n ORDER BY id
SELECT a, v FROM {space}.tk ORDER BY a
SELECT id, a, b FROM {space}.tiny ORDER BY id
