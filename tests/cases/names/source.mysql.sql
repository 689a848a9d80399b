CREATE TABLE `Order "x"` (`select` INT PRIMARY KEY, `Größe` VARCHAR(10), `a b` INT, `back``tick` INT, `it's` INT, `dollar$1` INT);
