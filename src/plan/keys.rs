//! Match keys of prepared changes: how to find them, and a set of them without copies.
//!
//! Keys are compared as the target holds them; conversion has given each value one spelling, so
//! plain equality is key equality.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::HashTable;

use crate::model::Value;
use crate::plan::TablePlan;
use crate::plan::prepare::{Act, Prepared};

/// A key inside a row, without a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRef<'a> {
    row: &'a [Value],
    /// The columns of the row, where they are not all of the plan's.
    columns: Option<&'a [usize]>,
    /// The key's columns, where the row is not the key itself.
    key: Option<&'a [usize]>,
}

impl<'a> KeyRef<'a> {
    /// A row that is the key.
    pub(crate) fn bare(row: &'a [Value]) -> Self {
        KeyRef { row, columns: None, key: None }
    }

    /// The (new) key of a change; empty for a truncate.
    pub(crate) fn of(change: &'a Prepared, table: &'a TablePlan) -> Self {
        let key = Some(table.key.as_slice());
        match &change.act {
            Act::Delete { key } | Act::Note { key } => KeyRef::bare(key),
            Act::Upsert { row, columns } => KeyRef { row, columns: columns.as_deref(), key },
            Act::Update { columns, row } | Act::Rekey { columns, row, .. } => {
                KeyRef { row, columns: columns.as_deref(), key }
            }
            Act::Truncate => KeyRef::bare(&[]),
        }
    }

    /// Every key that a change touches: its (new) key, and the old one of a key change.
    pub(crate) fn all(change: &'a Prepared, table: &'a TablePlan) -> impl Iterator<Item = Self> {
        let old = match &change.act {
            Act::Rekey { old, .. } => Some(KeyRef::bare(old)),
            _ => None,
        };
        [KeyRef::of(change, table)].into_iter().chain(old)
    }

    /// The values, in key order.
    pub(crate) fn values(self) -> impl Iterator<Item = &'a Value> {
        let count = self.key.map_or(self.row.len(), <[usize]>::len);
        (0..count).filter_map(move |index| {
            let column = match self.key {
                None => index,
                Some(key) => *key.get(index)?,
            };
            let position = match self.columns {
                None => column,
                Some(columns) => columns.binary_search(&column).ok()?,
            };
            self.row.get(position)
        })
    }
}

impl PartialEq for KeyRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.values().eq(other.values())
    }
}

/// Positions of changes by (table, key).
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    positions: HashTable<(u64, usize)>,
    hasher: foldhash::fast::FixedState,
}

impl KeySet {
    /// The position that holds this key by `same`; if none does, `position` is added.
    pub(crate) fn find_or_add(
        &mut self,
        table: usize,
        key: KeyRef<'_>,
        position: usize,
        same: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut hasher = self.hasher.build_hasher();
        table.hash(&mut hasher);
        key.values().for_each(|value| hash_value(value, &mut hasher));
        let hash = hasher.finish();
        let found =
            self.positions.find(hash, |(other, position)| *other == hash && same(*position));
        if let Some((_, position)) = found {
            return Some(*position);
        }
        self.positions.insert_unique(hash, (hash, position), |(hash, _)| *hash);
        None
    }

    pub(crate) fn clear(&mut self) {
        self.positions.clear();
    }
}

fn hash_value(value: &Value, hasher: &mut impl Hasher) {
    std::mem::discriminant(value).hash(hasher);
    match value {
        Value::Bool(value) => value.hash(hasher),
        Value::Int(value)
        | Value::Time(value)
        | Value::Timestamp(value)
        | Value::Instant(value) => {
            hasher.write_i64(*value);
        }
        Value::UInt(value) => hasher.write_u64(*value),
        Value::Date(days) => hasher.write_i32(*days),
        Value::Decimal(text) | Value::Text(text) | Value::Json(text) | Value::Enum(text) => {
            text.as_bytes().hash(hasher);
        }
        Value::Bytes(bytes) => bytes.hash(hasher),
        Value::Uuid(bytes) => bytes.hash(hasher),
        // Not in keys, or without a value of their own.
        _ => {}
    }
}
