SELECT id, n, length(body), substring(body, 1, 1) FROM {space}.doc ORDER BY id
SELECT id, n, length(body) FROM {space}.doc_full ORDER BY id
