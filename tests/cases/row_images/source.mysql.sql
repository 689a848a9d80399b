CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY, v varchar(20) DEFAULT 'dft', n int, moved datetime NOT NULL DEFAULT '2020-02-20 00:00:00', t text, g int AS (n + 1) STORED, u int UNIQUE, c int NOT NULL DEFAULT 7);
CREATE TABLE parent (id int PRIMARY KEY, v varchar(20) DEFAULT 'dft', n int);
CREATE TABLE child (id int PRIMARY KEY, parent int, v varchar(20) DEFAULT 'dft', FOREIGN KEY (parent) REFERENCES parent (id));
CREATE TABLE uniq (x int NOT NULL UNIQUE, y varchar(10) DEFAULT 'y', z text);
CREATE TABLE bare (x int NOT NULL, y varchar(10), z text, w int DEFAULT 3, PRIMARY KEY (x, y));
CREATE TABLE blobkey (k varbinary(20) NOT NULL, b blob, j int DEFAULT 9, PRIMARY KEY (k));
