BEGIN; INSERT INTO parent VALUES (1, 'p1'), (2, 'p2'), (3, 'p3'); INSERT INTO child VALUES (10, 1, 'a'), (11, 1, 'b'), (20, 2, 'c'); INSERT INTO leaf VALUES (100, 10), (110, 11), (200, 20); COMMIT;
UPDATE parent SET id = 101 WHERE id = 1;
BEGIN; UPDATE child SET note = 'before' WHERE id = 20; UPDATE parent SET id = 102 WHERE id = 2; UPDATE child SET note = 'after' WHERE id = 20; COMMIT;
UPDATE child SET id = 12 WHERE id = 10;
BEGIN; INSERT INTO parent VALUES (4, 'p4'); INSERT INTO child VALUES (40, 4, 'd'); UPDATE parent SET id = 104 WHERE id = 4; UPDATE child SET id = 41 WHERE id = 40; INSERT INTO leaf VALUES (400, 41); COMMIT;
BEGIN; UPDATE parent SET id = 1 WHERE id = 101; UPDATE parent SET id = 101, name = 'swapped' WHERE id = 102; UPDATE parent SET id = 102 WHERE id = 1; COMMIT;
