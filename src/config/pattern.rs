//! Patterns of table and column names, with `*` for any run of characters.
//!
//! A table pattern is `schema.table`; each part is matched by itself, so `*` never crosses the dot.
//! Names are compared byte for byte, as in the catalog. There is no other special character and no
//! negation: `exclude` does that.

use std::collections::HashSet;

/// Whether the table pattern `schema.table` matches a table.
pub fn matches(pattern: &str, schema: &str, table: &str) -> bool {
    match pattern.split_once('.') {
        Some((schemas, tables)) => matches_name(schemas, schema) && matches_name(tables, table),
        None => false,
    }
}

/// Whether a pattern matches one name, for example a column's.
pub fn matches_name(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on if what follows the last `*` does not fit: one byte further in the name.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(byte) if name.get(n) == Some(byte) => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((after_star, taken)) => {
                    retry = Some((after_star, taken + 1));
                    p = after_star;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

/// Whether a pattern names exactly one thing.
pub(crate) fn is_literal(pattern: &str) -> bool {
    !pattern.contains('*')
}

/// Whether some `schema.table` matches both patterns.
pub(crate) fn overlap(a: &str, b: &str) -> bool {
    match (a.split_once('.'), b.split_once('.')) {
        (Some((a_schema, a_table)), Some((b_schema, b_table))) => {
            names_overlap(a_schema, b_schema) && names_overlap(a_table, b_table)
        }
        _ => false,
    }
}

/// Whether some name matches both patterns: a walk over pairs of places in them.
fn names_overlap(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut seen = HashSet::new();
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        if !seen.insert((i, j)) {
            continue;
        }
        match (a.get(i), b.get(j)) {
            (None, None) => return true,
            (Some(b'*'), other) => {
                open.push((i + 1, j));
                if other.is_some() {
                    open.push((i, j + 1));
                }
            }
            (other, Some(b'*')) => {
                open.push((i, j + 1));
                if other.is_some() {
                    open.push((i + 1, j));
                }
            }
            (Some(x), Some(y)) if x == y => open.push((i + 1, j + 1)),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Broken if a pattern took tables it does not name, or left one out.
    #[test]
    fn star_stays_within_its_part() {
        for (pattern, expected) in [
            ("shop.*", true),
            ("*.*", true),
            ("shop.tmp_*", false),
            ("shop.or*s", true),
            ("shop.o*d*rs", true),
            ("sh*s", false),
            ("*", false),
            ("Shop.orders", false),
            ("shop.orders", true),
            ("shop.orders*", true),
            ("shop.orde", false),
        ] {
            assert_eq!(matches(pattern, "shop", "orders"), expected, "{pattern}");
        }
        assert!(matches_name("etl_*", "etl_") && !matches_name("", "x") && matches_name("*", ""));
    }

    /// Broken if a two-way mapping slipped through because two patterns were thought disjoint.
    #[test]
    fn overlapping_patterns_are_found() {
        assert!(overlap("shop.a*", "*.*b"));
        assert!(overlap("shop.*", "shop.orders"));
        assert!(!overlap("shop.a*", "shop.b*"));
        assert!(!overlap("shop.*", "crm.*"));
        assert!(overlap("s.*", "s.*"));
    }

    proptest! {
        /// Broken if the fast matcher disagreed with the definition of `*`.
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*]{0,8}", name in "[ab]{0,8}") {
            fn defined(pattern: &[u8], name: &[u8]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some((b'*', rest)) => (0..=name.len()).any(|n| defined(rest, &name[n..])),
                    Some((x, rest)) => name.first() == Some(x) && defined(rest, &name[1..]),
                }
            }
            let expected = defined(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(matches_name(&pattern, &name), expected);
            if expected {
                prop_assert!(names_overlap(&pattern, &name));
            }
        }
    }
}
