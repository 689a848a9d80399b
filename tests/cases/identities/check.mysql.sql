SELECT id, v FROM {space}.by_default ORDER BY id
SELECT id, code, v FROM {space}.by_index ORDER BY id
SELECT id, code, n, length(body), substring(body, 1, 1) FROM {space}.by_whole ORDER BY id
SELECT a, b, n FROM {space}.by_pair ORDER BY a, b
