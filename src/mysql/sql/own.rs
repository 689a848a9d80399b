//! Statements on `weir.witness` and `weir.missed`, and those that handle slices.

/// Opens a transaction: the compare-and-swap of the witness with its hops, without the position.
pub(crate) const SWAP: &str = "UPDATE `weir`.`witness` SET `seq`=`seq`+1,`hops`=?,\
    `updated_at`=UTC_TIMESTAMP(6) \
    WHERE `name`=? AND `link`=? AND `part`=? AND `installation`=? AND `seq`=?";
/// The same, with the position of a transaction that is one slice.
pub(crate) const SWAP_POSITION: &str = "UPDATE `weir`.`witness` SET `seq`=`seq`+1,`hops`=?,\
    `position`=?,`updated_at`=UTC_TIMESTAMP(6) \
    WHERE `name`=? AND `link`=? AND `part`=? AND `installation`=? AND `seq`=?";
/// Writes the position just before the commit of a transaction of several slices.
pub(crate) const POSITION: &str = "UPDATE `weir`.`witness` SET `position`=?,\
    `updated_at`=UTC_TIMESTAMP(6) \
    WHERE `name`=? AND `link`=? AND `part`=? AND `installation`=? AND `seq`=?";
/// The compare-and-swap of a witness whose source is another server now.
pub(crate) const SUCCEED: &str = "UPDATE `weir`.`witness` SET `seq`=`seq`+1,`position`=?,\
    `restart`=?,`source_identity`=?,`updated_at`=UTC_TIMESTAMP(6) \
    WHERE `name`=? AND `link`=? AND `part`=? AND `installation`=? AND `seq`=?";
/// A link's witness.
pub(crate) const READ: &str = "SELECT `part`,`installation`,`seq`,`position`,`restart`,`hops`,\
    `pending`,`source_identity`,`target_identity` FROM `weir`.`witness` \
    WHERE `name`=? AND `link`=? AND `part`=0";
/// The first witness of a link.
pub(crate) const CREATE: &str = "INSERT INTO `weir`.`witness` (`name`,`link`,`part`,\
    `installation`,`seq`,`position`,`restart`,`hops`,`pending`,`source_identity`,\
    `target_identity`,`updated_at`) VALUES (?,?,?,?,?,?,?,?,?,?,?,UTC_TIMESTAMP(6))";
/// What was accepted of a link's tables: a row of its own, which no batch touches.
pub(crate) const ACCEPTED: &str = "SELECT `pending` FROM `weir`.`witness` \
    WHERE `name`=? AND `link`=? AND `part`=1";
/// Writes it.
pub(crate) const ACCEPT: &str = "REPLACE INTO `weir`.`witness` (`name`,`link`,`part`,\
    `installation`,`seq`,`position`,`restart`,`hops`,`pending`,`source_identity`,\
    `target_identity`,`updated_at`) VALUES (?,?,1,?,0,?,NULL,0,?,?,?,UTC_TIMESTAMP(6))";
/// Notes a key whose row was not found.
pub(crate) const NOTE: &str = "INSERT INTO `weir`.`missed` \
    (`name`,`link`,`table_name`,`key_values`,`reason`,`noted_at`) \
    VALUES (?,?,?,?,?,UTC_TIMESTAMP(6))";
/// Settles every note of a key among the oldest, up to an id: so that no later ones are passed
/// over on the way.
pub(crate) const SETTLE: &str = "DELETE FROM `weir`.`missed` \
    WHERE `name`=? AND `link`=? AND `table_name`=? AND `key_values`=? AND `id`<=?";
/// A link's notes on one table list, oldest first, and the highest number of any; the list of
/// tables is appended.
pub(crate) const NOTES: &str = "SELECT `id`,`table_name`,`key_values`,`reason`,\
    (SELECT MAX(`id`) FROM `weir`.`missed`) FROM `weir`.`missed` \
    WHERE `name`=? AND `link`=? AND `table_name` IN ";
/// Before each slice but the first.
pub(crate) const SAVEPOINT: &str = "SAVEPOINT `weir_slice`";
/// Undoes a slice.
pub(crate) const ROLLBACK_TO: &str = "ROLLBACK TO SAVEPOINT `weir_slice`";
