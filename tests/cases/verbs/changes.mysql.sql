BEGIN; INSERT INTO item VALUES (1, 'one', 10), (2, 'two', 20), (3, 'three', NULL); INSERT INTO note VALUES (1, 'x', 'first'), (1, 'y', ''); COMMIT;
BEGIN; UPDATE item SET amount = amount + 1 WHERE id < 3; UPDATE item SET name = 'zwei' WHERE id = 2; DELETE FROM item WHERE id = 3; INSERT INTO item VALUES (3, 'again', 3); COMMIT;
BEGIN; UPDATE item SET id = 30, amount = 31 WHERE id = 3; UPDATE note SET b = 'z' WHERE a = 1 AND b = 'y'; COMMIT;
BEGIN; INSERT INTO item VALUES (4, 'short-lived', 1); DELETE FROM item WHERE id = 4; COMMIT;
BEGIN; UPDATE item SET id = 5 WHERE id = 1; INSERT INTO item VALUES (1, 'new one', 0); COMMIT;
BEGIN; DELETE FROM note WHERE a = 1 AND b = 'x'; INSERT INTO note VALUES (2, 'x', NULL); COMMIT;
