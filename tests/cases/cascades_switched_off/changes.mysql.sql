BEGIN; INSERT INTO parent VALUES (1, 1, 'p1'), (2, 2, 'p2'), (3, 3, 'p3'); INSERT INTO child VALUES (10, 1), (20, 2); DELETE FROM parent WHERE id = 3; COMMIT;
SET foreign_key_checks = 0; UPDATE parent SET name = 'one' WHERE id = 1; DELETE FROM child WHERE id = 20; INSERT INTO child VALUES (21, 2);
DELETE FROM parent WHERE id = 1;
