CREATE TABLE s (id int PRIMARY KEY, s set('a','b''c','ö') CHARACTER SET utf8mb4, b10 bit(10), b64 bit(64), g geometry, pt point, y year, t time(6), u bigint unsigned, bn binary(5), vb varbinary(9), e enum('x','','z') CHARACTER SET latin1, n int DEFAULT 4);
CREATE TABLE k (b bit(9) NOT NULL PRIMARY KEY, v varchar(9));
CREATE TABLE big (id int PRIMARY KEY, s set('1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16','17','18','19','20','21','22','23','24','25','26','27','28','29','30','31','32','33','34','35','36','37','38','39','40','41','42','43','44','45','46','47','48','49','50','51','52','53','54','55','56','57','58','59','60','61','62','63','64'));
SET SESSION sql_mode = '';
CREATE TABLE d (id int PRIMARY KEY, d date NOT NULL DEFAULT '0000-00-00', dt datetime(3), ts timestamp(2) NULL, n int DEFAULT 1);
CREATE TABLE dk (d date NOT NULL, dt datetime NOT NULL, v int, PRIMARY KEY (d, dt));
CREATE TABLE n (id int PRIMARY KEY, b tinyint(1), c boolean NOT NULL, f float(7,4), d double(10,3), fu float(9,2) unsigned, i int DEFAULT 5);
CREATE TABLE tk (a tinyint(1) PRIMARY KEY, v int);
CREATE TABLE tiny (id int PRIMARY KEY, a tinyint(1), b tinyint);
