//! How much of an index each column of a table may take.
//!
//! What fits is left as it is. Where an index would be too long, its widest columns share what the
//! others leave.

use super::types::natural_bytes;
use crate::config::Dialect;
use crate::plan::Blueprint;

/// Bytes of all columns of an InnoDB index together.
pub(super) const KEY_BYTES_MAX: usize = 3072;

/// By column: nothing where no index is over it, else the bytes that it may take.
pub(super) struct Keys(Vec<Option<usize>>);

impl Keys {
    /// The unique keys of a table, and the indexes that its foreign keys bring with them.
    pub(super) fn of(blueprint: &Blueprint, dialect: Dialect) -> Keys {
        let table = &blueprint.table;
        let made = table.foreign_keys.iter().filter(|key| blueprint.makes(key));
        let foreign = made.map(|key| {
            key.columns.iter().filter_map(|name| table.column_index(name)).collect::<Vec<usize>>()
        });
        let natural =
            |at: &usize| table.columns.get(*at).map_or(0, |column| natural_bytes(column, dialect));
        let mut keys = Keys(vec![None; table.columns.len()]);
        let unique = table.uniques.iter().map(|unique| unique.columns.clone());
        for index in unique.chain(foreign) {
            let share = share(index.iter().map(natural).collect());
            for at in &index {
                let Some(bytes) = keys.0.get_mut(*at) else { continue };
                let own = if natural(at) <= share { KEY_BYTES_MAX } else { share };
                *bytes = Some(bytes.map_or(own, |bytes| bytes.min(own)));
            }
        }
        keys
    }

    /// The bytes that a column may take in the indexes over it; `None` where there is none.
    pub(super) fn bytes(&self, at: usize) -> Option<usize> {
        self.0.get(at).copied().flatten()
    }

    /// Whether a column cannot be as long as it would be without an index.
    pub(super) fn shortens(&self, at: usize) -> bool {
        self.bytes(at).is_some_and(|bytes| bytes < KEY_BYTES_MAX)
    }
}

/// The most that one column of an index may take so that all of them fit.
fn share(mut sizes: Vec<usize>) -> usize {
    sizes.sort_unstable();
    let mut left = KEY_BYTES_MAX;
    let mut count = sizes.len();
    for size in sizes {
        if size.saturating_mul(count) > left {
            return left / count.max(1);
        }
        left -= size;
        count -= 1;
    }
    KEY_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a column that an index could hold whole were cut, or an index came out too long.
    #[test]
    fn what_fits_is_left_and_the_widest_share_the_rest() {
        assert_eq!(share(vec![8, 2000]), KEY_BYTES_MAX);
        assert_eq!(share(vec![8, 9000]), 3064);
        assert_eq!(share(vec![usize::MAX, usize::MAX]), 1536);
        assert_eq!(share(vec![usize::MAX, 72, 3000]), 1500);
        assert_eq!(share(Vec::new()), KEY_BYTES_MAX);
    }
}
