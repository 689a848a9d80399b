INSERT INTO "Order ""x""" VALUES (1, 'ü', 2, 3, 4, 5), (2, 'v', 2, 3, 4, 5); COMMIT;
UPDATE "Order ""x""" SET "Größe" = 'w' WHERE "select" = 2; COMMIT; DELETE FROM "Order ""x""" WHERE "select" = 1;
