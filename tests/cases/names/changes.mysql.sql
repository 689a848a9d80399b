INSERT INTO `Order "x"` VALUES (1, 'ü', 2, 3, 4, 5), (2, 'v', 2, 3, 4, 5);
UPDATE `Order "x"` SET `Größe` = 'w' WHERE `select` = 2; DELETE FROM `Order "x"` WHERE `select` = 1;
