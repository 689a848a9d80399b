BEGIN; INSERT INTO parent VALUES (1, 'p1'), (2, 'p2'); INSERT INTO child VALUES (10, 1), (11, 1), (20, 2); COMMIT;
BEGIN; DELETE FROM child WHERE parent_id = 1; DELETE FROM parent WHERE id = 1; INSERT INTO parent VALUES (3, 'p3'); UPDATE child SET parent_id = 3 WHERE id = 20; DELETE FROM parent WHERE id = 2; COMMIT;
