SELECT id, code, body FROM {space}.ring ORDER BY id
SELECT a, b, n FROM {space}.pair ORDER BY a, b
