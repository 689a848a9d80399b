//! Statements on `weir.snapshot`, which keeps how far copies are and what people ask of them.

/// Its columns.
pub(crate) const COLUMNS: &str = "`name`, `link`, `table_name`, `progress`, `asked`";

/// What an order becomes that is answered: nothing, unless another has come since. Compared byte for
/// byte, with blanks at the end. Parameter: the order.
macro_rules! answered {
    () => {
        "`asked`=IF(CAST(`asked` AS BINARY)=CAST(? AS BINARY),NULL,`asked`)"
    };
}

/// The link's rows. Parameters: name, link.
pub(crate) const LIST: &str = "SELECT `table_name`,`progress`,`asked` FROM `weir`.`snapshot` \
    WHERE `name`=? AND `link`=? ORDER BY `table_name`";

/// Those of which something is asked. Parameters: name, link.
pub(crate) const ORDERS: &str = "SELECT `table_name`,`progress`,`asked` FROM `weir`.`snapshot` \
    WHERE `name`=? AND `link`=? AND `asked` IS NOT NULL ORDER BY `table_name`";

/// How far a copy is. Parameters: progress, name, link, table.
pub(crate) const KEEP: &str = "UPDATE `weir`.`snapshot` SET `progress`=? \
    WHERE `name`=? AND `link`=? AND `table_name`=?";

/// The same, with the answer to an order. Parameters: progress, order, name, link, table.
pub(crate) const ANSWER: &str = concat!(
    "UPDATE `weir`.`snapshot` SET `progress`=?,",
    answered!(),
    " WHERE `name`=? AND `link`=? AND `table_name`=?"
);

/// As [`ANSWER`], of a table that had no row just now. Parameters: name, link, table, progress, progress,
/// order.
pub(crate) const FIRST: &str = concat!(
    "INSERT INTO `weir`.`snapshot` (`name`,`link`,`table_name`,`progress`) VALUES (?,?,?,?) \
     ON DUPLICATE KEY UPDATE `progress`=?,",
    answered!()
);

/// Asks for something in place of what was asked before. Parameters: name, link, table, order, order.
pub(crate) const ASK: &str = "INSERT INTO `weir`.`snapshot` (`name`,`link`,`table_name`,`asked`) \
    VALUES (?,?,?,?) ON DUPLICATE KEY UPDATE `asked`=?";
