CREATE TABLE p (id int PRIMARY KEY, v varchar(600), b blob, j json);
CREATE TABLE q (id int PRIMARY KEY, v varchar(90));
INSERT INTO p VALUES (1, 'before', NULL, JSON_OBJECT('a', 1, 'list', JSON_ARRAY(1, 2, 3), 'long', REPEAT('x', 400)));
