INSERT INTO usr VALUES (1, 'a', 'x'), (2, 'b', 'x'); INSERT INTO tmp_x VALUES (1); DELETE FROM usr WHERE id = 1; UPDATE usr SET name = 'bb' WHERE id = 2; UPDATE usr SET loaded_at = 'y' WHERE id = 2;
