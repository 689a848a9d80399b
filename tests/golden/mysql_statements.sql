-- simple
insert [0, 1, 2, 3]
INSERT INTO `app`.`goods` (`id`,`we``ird`,`doc`,`moved`) VALUES (?,?,?,?),(?,?,?,?)
upsert [0, 1, 2, 3]
INSERT INTO `app`.`goods` (`id`,`we``ird`,`doc`,`moved`) VALUES (?,?,?,?),(?,?,?,?) AS `nw` ON DUPLICATE KEY UPDATE `we``ird`=`nw`.`we``ird`,`doc`=`nw`.`doc`,`moved`=`nw`.`moved`
update [0, 1, 2]
UPDATE (VALUES ROW(CAST(? AS SIGNED),CONVERT(? USING utf8mb4),CONVERT(? USING utf8mb4)),ROW(CAST(? AS SIGNED),CONVERT(? USING utf8mb4),CONVERT(? USING utf8mb4))) AS s (c0,c1,c2) STRAIGHT_JOIN `app`.`goods` AS t ON t.`id`=s.c0 SET t.`we``ird`=s.c1,t.`doc`=s.c2,t.`moved`=t.`moved`
rekey [1, 2, 3, 4, 0]
UPDATE `app`.`goods` SET `id`=?,`we``ird`=?,`doc`=?,`moved`=? WHERE `id`=CAST(? AS SIGNED)
delete [0]
DELETE FROM `app`.`goods` USING (VALUES ROW(CAST(? AS SIGNED)),ROW(CAST(? AS SIGNED))) AS s (c0) STRAIGHT_JOIN `app`.`goods` ON `app`.`goods`.`id`=s.c0
absent [0]
SELECT 0 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`goods` WHERE `id`=CAST(? AS SIGNED)) UNION ALL SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`goods` WHERE `id`=CAST(? AS SIGNED))
truncate
DELETE FROM `app`.`goods`

-- composite with a loose key
insert [0, 1, 2, 3, 4]
INSERT INTO `app`.`stock` (`n`,`code`,`at`,`raw`,`f`) VALUES (?,?,?,?,?),(?,?,?,?,?)
upsert [0, 1, 2, 3, 4]
INSERT INTO `app`.`stock` (`n`,`code`,`at`,`raw`,`f`) VALUES (?,?,?,?,?),(?,?,?,?,?) AS `nw` ON DUPLICATE KEY UPDATE `at`=`nw`.`at`,`raw`=`nw`.`raw`,`f`=`nw`.`f`
update [0, 1, 2]
UPDATE (VALUES ROW(CAST(? AS UNSIGNED),CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci,CONVERT(? USING utf8mb4)),ROW(CAST(? AS UNSIGNED),CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci,CONVERT(? USING utf8mb4))) AS s (c0,c1,c2) STRAIGHT_JOIN `app`.`stock` AS t ON t.`n`=s.c0 AND t.`code`=s.c1 AND CAST(CONVERT(t.`code` USING utf8mb4) AS BINARY)=CAST(CONVERT(s.c1 USING utf8mb4) AS BINARY) SET t.`at`=s.c2
rekey [2, 3, 4, 5, 6, 0, 1, 1]
UPDATE `app`.`stock` SET `n`=?,`code`=?,`at`=?,`raw`=?,`f`=? WHERE `n`=CAST(? AS UNSIGNED) AND `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY)
delete [0, 1]
DELETE FROM `app`.`stock` USING (VALUES ROW(CAST(? AS UNSIGNED),CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci),ROW(CAST(? AS UNSIGNED),CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci)) AS s (c0,c1) STRAIGHT_JOIN `app`.`stock` ON `app`.`stock`.`n`=s.c0 AND `app`.`stock`.`code`=s.c1 AND CAST(CONVERT(`app`.`stock`.`code` USING utf8mb4) AS BINARY)=CAST(CONVERT(s.c1 USING utf8mb4) AS BINARY)
absent [0, 1, 1]
SELECT 0 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`stock` WHERE `n`=CAST(? AS UNSIGNED) AND `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY)) UNION ALL SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`stock` WHERE `n`=CAST(? AS UNSIGNED) AND `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY))
truncate
DELETE FROM `app`.`stock`

-- one exact text key alone
insert [0]
INSERT INTO `app`.`nw` (`code`) VALUES (?),(?)
upsert [0]
INSERT INTO `app`.`nw` (`code`) VALUES (?),(?) AS `nw_` ON DUPLICATE KEY UPDATE `code`=`app`.`nw`.`code`
update [0]
UPDATE (VALUES ROW(CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_bin),ROW(CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_bin)) AS s (c0) STRAIGHT_JOIN `app`.`nw` AS t ON t.`code`=s.c0 SET t.`code`=t.`code`
rekey [1, 0]
UPDATE `app`.`nw` SET `code`=? WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_bin
delete [0]
DELETE FROM `app`.`nw` USING (VALUES ROW(CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_bin),ROW(CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_bin)) AS s (c0) STRAIGHT_JOIN `app`.`nw` ON `app`.`nw`.`code`=s.c0
absent [0]
SELECT 0 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`nw` WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_bin) UNION ALL SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`nw` WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_bin)
truncate
DELETE FROM `app`.`nw`

-- one loose text key
insert [0, 1]
INSERT INTO `app`.`tag` (`code`,`n`) VALUES (?,?),(?,?)
upsert [0, 1]
INSERT INTO `app`.`tag` (`code`,`n`) VALUES (?,?),(?,?) AS `nw` ON DUPLICATE KEY UPDATE `n`=`nw`.`n`
update [0, 1]
UPDATE (VALUES ROW(CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci,CAST(? AS SIGNED)),ROW(CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci,CAST(? AS SIGNED))) AS s (c0,c1) STRAIGHT_JOIN `app`.`tag` AS t ON t.`code`=s.c0 AND CAST(CONVERT(t.`code` USING utf8mb4) AS BINARY)=CAST(CONVERT(s.c0 USING utf8mb4) AS BINARY) SET t.`n`=s.c1
rekey [1, 2, 0, 0]
UPDATE `app`.`tag` SET `code`=?,`n`=? WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY)
delete [0]
DELETE FROM `app`.`tag` USING (VALUES ROW(CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci),ROW(CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci)) AS s (c0) STRAIGHT_JOIN `app`.`tag` ON `app`.`tag`.`code`=s.c0 AND CAST(CONVERT(`app`.`tag`.`code` USING utf8mb4) AS BINARY)=CAST(CONVERT(s.c0 USING utf8mb4) AS BINARY)
absent [0, 0]
SELECT 0 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`tag` WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY)) UNION ALL SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `app`.`tag` WHERE `code`=CONVERT(? USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND CAST(CONVERT(`code` USING utf8mb4) AS BINARY)=CAST(? AS BINARY))
truncate
DELETE FROM `app`.`tag`

