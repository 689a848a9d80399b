INSERT INTO parent VALUES (1, 'a'), (2, 'b'); INSERT INTO child VALUES (1, 1, 1), (2, 2, 2); INSERT INTO grandchild VALUES (1, 1), (2, NULL);
INSERT INTO node VALUES (1, NULL), (2, 1), (3, 2), (4, 4); INSERT INTO other VALUES (1, 'x'), (2, 'y');
TRUNCATE TABLE node; TRUNCATE TABLE grandchild; INSERT INTO node VALUES (7, NULL), (6, 7), (5, 6); INSERT INTO grandchild VALUES (6, 1); TRUNCATE TABLE other; INSERT INTO other VALUES (1, 'again');
