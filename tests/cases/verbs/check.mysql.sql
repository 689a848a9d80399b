SELECT id, name, amount FROM {space}.item ORDER BY id
SELECT a, b, body FROM {space}.note ORDER BY a, b
