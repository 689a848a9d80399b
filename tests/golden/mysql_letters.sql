-- numbers of a table's
SELECT `id` FROM `weir`.`dead_letter` WHERE `name`=? AND `link`=? AND `table_name`=?;

-- numbers of those of rows
SELECT 0,`id` FROM `weir`.`dead_letter` WHERE `name`=? AND `link`=? AND `table_name`=? AND `row_name`=? UNION ALL SELECT 1,`id` FROM `weir`.`dead_letter` WHERE `name`=? AND `link`=? AND `table_name`=? AND `row_name`=?;

-- end
DELETE FROM `weir`.`dead_letter` USING JSON_TABLE(?, '$[*]' COLUMNS (`id` bigint unsigned PATH '$')) AS `n` STRAIGHT_JOIN `weir`.`dead_letter` ON `weir`.`dead_letter`.`id`=`n`.`id`;

-- tried
UPDATE JSON_TABLE(?, '$[*]' COLUMNS (`id` bigint unsigned PATH '$')) AS `n` STRAIGHT_JOIN `weir`.`dead_letter` ON `weir`.`dead_letter`.`id`=`n`.`id` SET `attempts`=`attempts`+1,`tried_at`=UTC_TIMESTAMP(6),`asked_at`=NULL;

-- reason
UPDATE JSON_TABLE(?, '$[*]' COLUMNS (`id` bigint unsigned PATH '$')) AS `n` STRAIGHT_JOIN `weir`.`dead_letter` ON `weir`.`dead_letter`.`id`=`n`.`id` SET `kind`=?,`error`=?,`hint`=?;

-- new
INSERT INTO `weir`.`dead_letter` (`name`,`link`,`source_table`,`table_name`,`row_name`,`old_row_name`,`operation`,`position`,`ordinal`,`kind`,`error`,`hint`,`change_values`,`changes`,`attempts`,`made_at`) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,UTC_TIMESTAMP(6)),(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,UTC_TIMESTAMP(6));

-- folded
UPDATE `weir`.`dead_letter` SET `changes`=`changes`+?,`position`=?,`ordinal`=?,`operation`=?,`change_values`=? WHERE `id`=?;

-- without a position
SELECT `id` FROM `weir`.`dead_letter` WHERE `name`=? AND `link`=? AND `id`>=? AND `position`='';

-- position
UPDATE JSON_TABLE(?, '$[*]' COLUMNS (`id` bigint unsigned PATH '$')) AS `n` STRAIGHT_JOIN `weir`.`dead_letter` ON `weir`.`dead_letter`.`id`=`n`.`id` SET `position`=?;

-- what is open
SELECT `id`,`table_name`,`row_name`,`old_row_name`,`kind`,`attempts`,`asked_at` IS NOT NULL,TIMESTAMPDIFF(MICROSECOND,'1970-01-01',`made_at`) FROM `weir`.`dead_letter` WHERE `name`=? AND `link`=? ORDER BY `id`;

-- count
SELECT `table_name`,COUNT(*),COUNT(`asked_at`) FROM `weir`.`dead_letter` WHERE `name`=? AND `link`=? GROUP BY `table_name`;

-- list
SELECT `id`,`table_name`,`source_table`,`row_name`,`old_row_name`,`operation`,`position`,`ordinal`,`kind`,`error`,`hint`,`change_values`,`changes`,`attempts`,TIMESTAMPDIFF(MICROSECOND,'1970-01-01',`made_at`),TIMESTAMPDIFF(MICROSECOND,'1970-01-01',`tried_at`),`asked_at` IS NOT NULL FROM `weir`.`dead_letter` WHERE `name`=? AND `link`=? AND `id`>? ORDER BY `id` LIMIT ?;

-- ask
UPDATE JSON_TABLE(?, '$[*]' COLUMNS (`id` bigint unsigned PATH '$')) AS `n` STRAIGHT_JOIN `weir`.`dead_letter` ON `weir`.`dead_letter`.`id`=`n`.`id` SET `asked_at`=UTC_TIMESTAMP(6);

