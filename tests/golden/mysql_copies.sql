-- list
SELECT `table_name`,`progress`,`asked` FROM `weir`.`snapshot` WHERE `name`=? AND `link`=? ORDER BY `table_name`;

-- what is asked
SELECT `table_name`,`progress`,`asked` FROM `weir`.`snapshot` WHERE `name`=? AND `link`=? AND `asked` IS NOT NULL ORDER BY `table_name`;

-- how far it is
UPDATE `weir`.`snapshot` SET `progress`=? WHERE `name`=? AND `link`=? AND `table_name`=?;

-- with an answer
UPDATE `weir`.`snapshot` SET `progress`=?,`asked`=IF(CAST(`asked` AS BINARY)=CAST(? AS BINARY),NULL,`asked`) WHERE `name`=? AND `link`=? AND `table_name`=?;

-- for the first time
INSERT INTO `weir`.`snapshot` (`name`,`link`,`table_name`,`progress`) VALUES (?,?,?,?) ON DUPLICATE KEY UPDATE `progress`=?,`asked`=IF(CAST(`asked` AS BINARY)=CAST(? AS BINARY),NULL,`asked`);

-- ask
INSERT INTO `weir`.`snapshot` (`name`,`link`,`table_name`,`asked`) VALUES (?,?,?,?) ON DUPLICATE KEY UPDATE `asked`=?;

