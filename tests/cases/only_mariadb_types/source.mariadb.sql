CREATE TABLE v (id int PRIMARY KEY, a inet6, b inet4, u uuid, g geometrycollection, n int DEFAULT 5);
