INSERT INTO by_default VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO by_index VALUES (1, 'one', 'a'), (2, 'two', 'b'), (3, 'three', 'c'); COMMIT;
INSERT INTO by_whole VALUES (1, 'one', 1, repeat('x', 20000)), (2, 'two', 2, repeat('y', 20000)), (3, 'three', 3, NULL); INSERT INTO by_pair VALUES (1, 'a', 1), (1, 'b', 2), (2, 'a', 3); COMMIT;
BEGIN; UPDATE by_default SET id = 10 WHERE id = 1; UPDATE by_default SET v = 'z' WHERE id = 10; DELETE FROM by_default WHERE id = 2; COMMIT;
BEGIN; UPDATE by_index SET id = 10 WHERE id = 1; UPDATE by_index SET code = 'deux' WHERE id = 2; UPDATE by_index SET id = 11, code = 'uno', v = 'z' WHERE id = 10; DELETE FROM by_index WHERE id = 3; INSERT INTO by_index VALUES (3, 'tres', 'd'); COMMIT;
BEGIN; UPDATE by_whole SET n = 9 WHERE id = 1; UPDATE by_whole SET id = 20 WHERE id = 2; UPDATE by_whole SET code = 'deux' WHERE id = 20; UPDATE by_whole SET n = 8 WHERE id = 20; DELETE FROM by_whole WHERE id = 3; COMMIT;
BEGIN; UPDATE by_pair SET n = 7 WHERE a = 1 AND b = 'b'; UPDATE by_pair SET b = 'c' WHERE a = 1 AND b = 'a'; DELETE FROM by_pair WHERE a = 2; COMMIT;
