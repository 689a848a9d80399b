INSERT INTO doc VALUES (1, 1, repeat('x', 20000)), (2, 1, repeat('y', 20000)); INSERT INTO doc_full SELECT * FROM doc; COMMIT;
UPDATE doc SET n = 2 WHERE id = 1; UPDATE doc_full SET n = 2 WHERE id = 1; COMMIT;
BEGIN; UPDATE doc SET n = 3 WHERE id = 2; UPDATE doc SET id = 20 WHERE id = 2; UPDATE doc SET n = 4 WHERE id = 20; COMMIT;
BEGIN; UPDATE doc_full SET id = 20 WHERE id = 2; UPDATE doc_full SET body = NULL WHERE id = 1; COMMIT;
