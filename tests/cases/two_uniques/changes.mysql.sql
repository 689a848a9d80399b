BEGIN; INSERT INTO seat VALUES (1, 'A1', 'ann'), (2, 'A2', 'bob'); COMMIT;
BEGIN; UPDATE seat SET code = 'tmp' WHERE id = 1; UPDATE seat SET code = 'A1' WHERE id = 2; UPDATE seat SET code = 'A2' WHERE id = 1; COMMIT;
BEGIN; DELETE FROM seat WHERE id = 1; INSERT INTO seat VALUES (3, 'A2', 'cid'); COMMIT;
