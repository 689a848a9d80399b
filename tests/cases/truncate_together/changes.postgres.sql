BEGIN; INSERT INTO parent VALUES (1, 'a'), (2, 'b'); INSERT INTO child VALUES (1, 1, 1), (2, 2, 2); INSERT INTO grandchild VALUES (1, 1), (2, NULL); COMMIT;
BEGIN; INSERT INTO node VALUES (1, NULL), (2, 1), (3, 2), (4, 4); INSERT INTO other (a) VALUES ('x'), ('y'); COMMIT;
BEGIN; INSERT INTO parent VALUES (3, 'c'); UPDATE child SET n = 9 WHERE id = 1; TRUNCATE parent CASCADE; INSERT INTO parent VALUES (3, 'new'); INSERT INTO child VALUES (3, 3, 3); COMMIT;
BEGIN; UPDATE other SET a = 'z' WHERE id = 1; TRUNCATE other, node RESTART IDENTITY; INSERT INTO other (a) VALUES ('again'); INSERT INTO node VALUES (7, NULL), (6, 7), (5, 6); COMMIT;
BEGIN; INSERT INTO grandchild VALUES (5, 3); TRUNCATE parent, grandchild, child; COMMIT;
BEGIN; INSERT INTO parent VALUES (4, 'd'); SAVEPOINT s; TRUNCATE node; ROLLBACK TO s; INSERT INTO child VALUES (4, 4, 4); TRUNCATE grandchild; INSERT INTO grandchild VALUES (6, 4); COMMIT;
