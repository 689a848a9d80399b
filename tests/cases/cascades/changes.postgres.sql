BEGIN; INSERT INTO parent VALUES (1, 'p1'), (2, 'p2'), (3, 'p3'); INSERT INTO child VALUES (10, 1), (11, 1), (20, 2), (30, 3); INSERT INTO leaf VALUES (100, 10), (110, 11), (200, 20), (300, 30); COMMIT;
BEGIN; DELETE FROM parent WHERE id = 1; INSERT INTO parent VALUES (1, 'again'); INSERT INTO child VALUES (10, 1); UPDATE leaf SET child_id = 10 WHERE id = 110; COMMIT;
BEGIN; UPDATE parent SET name = 'two' WHERE id = 2; INSERT INTO parent VALUES (22, 'new'); UPDATE child SET parent_id = 22 WHERE id = 30; COMMIT;
BEGIN; UPDATE child SET parent_id = 2 WHERE parent_id = 22; DELETE FROM parent WHERE id = 22; DELETE FROM child WHERE id = 30; INSERT INTO child VALUES (30, 1); COMMIT;
BEGIN; DELETE FROM parent WHERE id = 2; COMMIT;
