//! Statements on `weir.dead_letter`. The first two parameters of those that look for letters are name and
//! link.
//!
//! A row's letters are looked for without locks, and changed by their numbers: a change by anything else
//! may go over all letters, and would wait for those that other links are writing.

use std::fmt::Write as _;

/// Its columns.
pub(crate) const COLUMNS: &str = "`id`, `name`, `link`, `source_table`, `table_name`, `row_name`, \
    `old_row_name`, `operation`, `position`, `ordinal`, `kind`, `error`, `hint`, `change_values`, \
    `changes`, `attempts`, `made_at`, `tried_at`, `asked_at`";

/// Parameters of one new letter.
const NEW_PARAMETERS: usize = 15;

/// The letters with the numbers of a JSON array; they are looked up one by one.
macro_rules! numbered {
    () => {
        "JSON_TABLE(?, '$[*]' COLUMNS (`id` bigint unsigned PATH '$')) AS `n` \
         STRAIGHT_JOIN `weir`.`dead_letter` ON `weir`.`dead_letter`.`id`=`n`.`id`"
    };
}

/// The numbers of a table's letters.
pub(crate) const OF_TABLE: &str = "SELECT `id` FROM `weir`.`dead_letter` \
    WHERE `name`=? AND `link`=? AND `table_name`=?";

/// Ends letters. Parameters: numbers.
pub(crate) const END: &str = concat!("DELETE FROM `weir`.`dead_letter` USING ", numbered!());

/// One try more. Parameters: numbers.
pub(crate) const TRY: &str = concat!(
    "UPDATE ",
    numbered!(),
    " SET `attempts`=`attempts`+1,`tried_at`=UTC_TIMESTAMP(6),`asked_at`=NULL"
);

/// Another reason. Parameters: numbers, kind, error, hint.
pub(crate) const REASON: &str = concat!("UPDATE ", numbered!(), " SET `kind`=?,`error`=?,`hint`=?");

/// The position of letters. Parameters: numbers, position.
pub(crate) const PLACE: &str = concat!("UPDATE ", numbered!(), " SET `position`=?");

/// Asks for a try. Parameters: numbers.
pub(crate) const ASK: &str = concat!("UPDATE ", numbered!(), " SET `asked_at`=UTC_TIMESTAMP(6)");

/// What a letter says of the newest of more changes than one. Parameters: how many more, position,
/// ordinal, operation, change, number.
pub(crate) const FOLD: &str = "UPDATE `weir`.`dead_letter` SET `changes`=`changes`+?,`position`=?,\
    `ordinal`=?,`operation`=?,`change_values`=? WHERE `id`=?";

/// The numbers of letters without a position, from one on. Parameters: name, link, number.
pub(crate) const UNPLACED: &str = "SELECT `id` FROM `weir`.`dead_letter` \
    WHERE `name`=? AND `link`=? AND `id`>=? AND `position`=''";

/// The link's letters, oldest first.
pub(crate) const HEADS: &str = concat!(
    "SELECT `id`,`table_name`,`row_name`,`old_row_name`,`kind`,`attempts`,`asked_at` IS NOT NULL,",
    us!("`made_at`"),
    " FROM `weir`.`dead_letter` WHERE `name`=? AND `link`=? ORDER BY `id`"
);

/// How many letters each table has, and how many of them are asked for.
pub(crate) const COUNT: &str = "SELECT `table_name`,COUNT(*),COUNT(`asked_at`) \
    FROM `weir`.`dead_letter` WHERE `name`=? AND `link`=? GROUP BY `table_name`";

/// The link's letters from a number on. Parameters: name, link, number, limit.
pub(crate) const LIST: &str = concat!(
    "SELECT `id`,`table_name`,`source_table`,`row_name`,`old_row_name`,`operation`,`position`,\
     `ordinal`,`kind`,`error`,`hint`,`change_values`,`changes`,`attempts`,",
    us!("`made_at`"),
    ",",
    us!("`tried_at`"),
    ",`asked_at` IS NOT NULL FROM `weir`.`dead_letter` \
     WHERE `name`=? AND `link`=? AND `id`>? ORDER BY `id` LIMIT ?"
);

/// The ordinals, from 0, of `rows` rows with the numbers of their letters. Parameters: for each row name,
/// link, table, row.
pub(crate) fn of_rows(rows: usize) -> String {
    let mut text = String::new();
    for row in 0..rows {
        let union = if row == 0 { "" } else { " UNION ALL " };
        let _ = write!(
            text,
            "{union}SELECT {row},`id` FROM `weir`.`dead_letter` \
             WHERE `name`=? AND `link`=? AND `table_name`=? AND `row_name`=?"
        );
    }
    text
}

/// New letters. Parameters: for each name, link, source table, table, row, old row, operation, position,
/// ordinal, kind, error, hint, change, number of changes, attempts.
pub(crate) fn new(letters: usize) -> String {
    let row = format!("({},UTC_TIMESTAMP(6))", vec!["?"; NEW_PARAMETERS].join(","));
    format!(
        "INSERT INTO `weir`.`dead_letter` (`name`,`link`,`source_table`,`table_name`,`row_name`,\
         `old_row_name`,`operation`,`position`,`ordinal`,`kind`,`error`,`hint`,`change_values`,\
         `changes`,`attempts`,`made_at`) VALUES {}",
        vec![row; letters].join(",")
    )
}
