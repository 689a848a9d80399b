INSERT INTO word VALUES ('abc', 1), ('ABC', 2), ('abc ', 3), ('äbc', 4), ('', 5), ('straße', 6), ('strasse', 7);

UPDATE word SET n = n + 10 WHERE n IN (2, 3);

DELETE FROM word WHERE n = 1;
UPDATE word SET w = 'aBC' WHERE n = 12;

