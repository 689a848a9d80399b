CREATE TABLE a (id int PRIMARY KEY, v varchar(20), n int, moved timestamp(0) NOT NULL, t text, u int UNIQUE, c int NOT NULL);
CREATE TABLE parent (id int PRIMARY KEY, v varchar(20), n int);
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent (id), v varchar(20));
CREATE TABLE uniq (x int NOT NULL UNIQUE, y varchar(10), z text);
CREATE TABLE bare (x int NOT NULL, y varchar(10), z text, w int, PRIMARY KEY (x, y));
CREATE TABLE blobkey (k bytea NOT NULL PRIMARY KEY, b bytea, j int);
