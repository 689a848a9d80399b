//! The accepted shapes of a link's tables, one record per table (`s`, link, NUL, table).
//!
//! A shape is the list of lines that describe the table at both ends; a link whose catalogs show
//! another one halts until a person has reviewed it (`link::review`). Lost shapes are recorded anew
//! from the catalogs.
//!
//! Beside them lies the link's outline (`o`, link, NUL), in one record: what the link carries and how.

use std::collections::BTreeMap;

use crate::config::LinkName;
use crate::link::ledger::Shape;

use super::checkpoint::parse_link;

/// The key of one table's shape.
pub(super) fn key(link: &LinkName, table: &str) -> Vec<u8> {
    format!("s{link}\0{table}").into_bytes()
}

/// The link and table of a shape's key.
pub(super) fn parse_key(key: &[u8]) -> Option<(LinkName, String)> {
    let (link, table) = std::str::from_utf8(key.strip_prefix(b"s")?).ok()?.split_once('\0')?;
    Some((parse_link(link)?, table.to_owned()))
}

/// The key of a link's outline.
pub(super) fn outline_key(link: &LinkName) -> Vec<u8> {
    format!("o{link}\0").into_bytes()
}

/// The link of an outline's key.
pub(super) fn parse_outline_key(key: &[u8]) -> Option<LinkName> {
    parse_link(std::str::from_utf8(key.strip_prefix(b"o")?.strip_suffix(b"\0")?).ok()?)
}

/// Which tables' records must be written (`Some`) or removed (`None`) to get from `old` to `new`.
pub(super) fn difference<'a>(
    old: &'a BTreeMap<String, Shape>,
    new: &'a BTreeMap<String, Shape>,
) -> Vec<(&'a str, Option<&'a Shape>)> {
    let gone = old.keys().filter(|table| !new.contains_key(*table)).map(|table| (&**table, None));
    let written = new
        .iter()
        .filter(|(table, shape)| old.get(*table) != Some(shape))
        .map(|(table, shape)| (&**table, Some(shape)));
    gone.chain(written).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if an unchanged shape were written with every checkpoint, or a dropped one stayed.
    #[test]
    fn only_differences_are_written() {
        let shape = |text: &str| vec![text.to_owned()];
        let old = BTreeMap::from([
            ("a.gone".to_owned(), shape("1")),
            ("a.same".to_owned(), shape("2")),
            ("a.other".to_owned(), shape("3")),
        ]);
        let new =
            BTreeMap::from([("a.same".to_owned(), shape("2")), ("a.other".to_owned(), shape("4"))]);
        assert_eq!(difference(&old, &new), vec![("a.gone", None), ("a.other", Some(&shape("4")))]);
        let link = parse_link("crm:billing").expect("link");
        assert_eq!(parse_outline_key(&outline_key(&link)), Some(link.clone()));
        assert_eq!(parse_key(&key(&link, "a.b c")), Some((link, "a.b c".to_owned())));
    }
}
