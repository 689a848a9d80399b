BEGIN; INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four'), (5, 'five'); COMMIT;
BEGIN; DELETE FROM t WHERE id IN (2, 4, 5); COMMIT;
BEGIN; UPDATE t SET id = 2 WHERE id = 1; COMMIT;
BEGIN; INSERT INTO t VALUES (4, 'new four'); UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2, a = 'was three' WHERE id = 3; COMMIT;
