//! Deletes of rows to which no other may refer.

use super::{by_key, quote, quote_name, rows};
use crate::plan::{ActingKey, TablePlan};

/// Delete one row by match key, unless others refer to it by one of `keys`; returns then the ordinal of
/// such a key, from 0. Parameters: an array of one value per key column.
pub fn delete_unreferred(table: &TablePlan, keys: &[&ActingKey]) -> String {
    let target = quote_name(&table.target.name);
    let (source, hit) = (rows(table, &table.key), by_key(table));
    let looks = keys.iter().enumerate().map(|(number, key)| {
        let pairs = key.pairs.iter();
        let same = pairs.map(|(own, theirs)| format!("c.{} = t.{}", quote(own), quote(theirs)));
        let other = (key.child == table.target.name)
            .then(|| "(c.tableoid, c.ctid) <> (t.tableoid, t.ctid)".to_owned());
        let condition = same.chain(other).collect::<Vec<_>>().join(" AND ");
        let child = quote_name(&key.child);
        format!("WHEN EXISTS (SELECT FROM {child} AS c WHERE {condition}) THEN {number}::int8")
    });
    let looks = looks.collect::<Vec<_>>().join(" ");
    format!(
        "WITH referred AS (SELECT CASE {looks} END AS key FROM {target} AS t, {source} WHERE {hit}), \
         gone AS (DELETE FROM {target} AS t USING {source} WHERE {hit} AND NOT EXISTS \
         (SELECT FROM referred AS r WHERE r.key IS NOT NULL)) \
         SELECT r.key FROM referred AS r WHERE r.key IS NOT NULL"
    )
}
