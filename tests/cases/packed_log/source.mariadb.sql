CREATE TABLE p (id int PRIMARY KEY, v varchar(600) COMPRESSED, b blob COMPRESSED, j longtext COMPRESSED) CHARACTER SET utf8mb4;
CREATE TABLE q (id int PRIMARY KEY, v varchar(90));
INSERT INTO p VALUES (1, 'before', NULL, 'short');
