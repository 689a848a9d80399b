-- simple
insert [0, 1, 2, 3]
INSERT INTO `app`.`goods` (`id`,`we``ird`,`doc`,`moved`) VALUES (?,?,?,?),(?,?,?,?)
upsert [0, 1, 2, 3]
INSERT INTO `app`.`goods` (`id`,`we``ird`,`doc`,`moved`) VALUES (?,?,?,?),(?,?,?,?) ON DUPLICATE KEY UPDATE `we``ird`=VALUES(`we``ird`),`doc`=VALUES(`doc`),`moved`=VALUES(`moved`)
update [1, 2, 0]
UPDATE `app`.`goods` SET `we``ird`=?,`doc`=?,`moved`=`moved` WHERE `id`=CAST(? AS SIGNED)
rekey [1, 2, 3, 4, 0]
UPDATE `app`.`goods` SET `id`=?,`we``ird`=?,`doc`=?,`moved`=? WHERE `id`=CAST(? AS SIGNED)
delete [0]
DELETE FROM `app`.`goods` WHERE `id`=CAST(? AS SIGNED)
absent [0]
SELECT 0 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`goods` WHERE `id`=CAST(? AS SIGNED)) UNION ALL SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`goods` WHERE `id`=CAST(? AS SIGNED))
truncate
DELETE FROM `app`.`goods`

-- composite with a loose key
insert [0, 1, 2, 3, 4]
INSERT INTO `app`.`stock` (`n`,`code`,`at`,`raw`,`f`) VALUES (?,?,?,?,?),(?,?,?,?,?)
upsert [0, 1, 2, 3, 4]
INSERT INTO `app`.`stock` (`n`,`code`,`at`,`raw`,`f`) VALUES (?,?,?,?,?),(?,?,?,?,?) ON DUPLICATE KEY UPDATE `at`=VALUES(`at`),`raw`=VALUES(`raw`),`f`=VALUES(`f`)
update [2, 0, 1, 1]
UPDATE `app`.`stock` SET `at`=? WHERE `n`=CAST(? AS UNSIGNED) AND `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY)
rekey [2, 3, 4, 5, 6, 0, 1, 1]
UPDATE `app`.`stock` SET `n`=?,`code`=?,`at`=?,`raw`=?,`f`=? WHERE `n`=CAST(? AS UNSIGNED) AND `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY)
delete [0, 1, 1]
DELETE FROM `app`.`stock` WHERE `n`=CAST(? AS UNSIGNED) AND `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY)
absent [0, 1, 1]
SELECT 0 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`stock` WHERE `n`=CAST(? AS UNSIGNED) AND `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY)) UNION ALL SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`stock` WHERE `n`=CAST(? AS UNSIGNED) AND `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY))
truncate
DELETE FROM `app`.`stock`

-- one exact text key alone
insert [0]
INSERT INTO `app`.`nw` (`code`) VALUES (?),(?)
upsert [0]
INSERT INTO `app`.`nw` (`code`) VALUES (?),(?) ON DUPLICATE KEY UPDATE `code`=`app`.`nw`.`code`
update [0]
UPDATE `app`.`nw` SET `code`=`code` WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_bin
rekey [1, 0]
UPDATE `app`.`nw` SET `code`=? WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_bin
delete [0]
DELETE FROM `app`.`nw` WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_bin
absent [0]
SELECT 0 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`nw` WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_bin) UNION ALL SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`nw` WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_bin)
truncate
DELETE FROM `app`.`nw`

-- one loose text key
insert [0, 1]
INSERT INTO `app`.`tag` (`code`,`n`) VALUES (?,?),(?,?)
upsert [0, 1]
INSERT INTO `app`.`tag` (`code`,`n`) VALUES (?,?),(?,?) ON DUPLICATE KEY UPDATE `n`=VALUES(`n`)
update [1, 0, 0]
UPDATE `app`.`tag` SET `n`=? WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY)
rekey [1, 2, 0, 0]
UPDATE `app`.`tag` SET `code`=?,`n`=? WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY)
delete [0, 0]
DELETE FROM `app`.`tag` WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY)
absent [0, 0]
SELECT 0 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`tag` WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY)) UNION ALL SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`tag` WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY))
truncate
DELETE FROM `app`.`tag`

