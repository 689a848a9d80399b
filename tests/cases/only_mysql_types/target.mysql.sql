CREATE TABLE v (id int PRIMARY KEY, v vector(3), w vector(200), g geomcollection, n int DEFAULT 5);
