INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1);
SET foreign_key_checks = 0; INSERT INTO child VALUES (2, 7);
