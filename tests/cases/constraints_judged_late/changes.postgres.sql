INSERT INTO node SELECT g, CASE WHEN g < 300 THEN g + 1 END FROM generate_series(1, 300) g;
INSERT INTO node VALUES (1000, 1001), (1001, 1002), (1002, NULL), (1003, 1000);
WITH moved AS (UPDATE node SET up = 2000 WHERE id = 1003 RETURNING id) INSERT INTO node SELECT 2000, NULL FROM moved;
DELETE FROM node WHERE id = 150;
BEGIN; INSERT INTO child VALUES (1, 7), (2, 8); INSERT INTO parent VALUES (8), (7); UPDATE child SET parent_id = 8 WHERE id = 1; COMMIT;
BEGIN; DELETE FROM parent; UPDATE child SET parent_id = 9; INSERT INTO parent VALUES (9); COMMIT;
INSERT INTO place SELECT g, g FROM generate_series(1, 200) g;
UPDATE place SET n = n + 1;
