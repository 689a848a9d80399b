//! Two walks in the order of their keys, joined as they go. Pure.
//!
//! That both do come in one order is not assumed: every row is compared with the one before it, and where
//! it does not follow, the join is off ([`Unordered`]) and the rows are to be looked up instead. So a join
//! that comes to its end has seen every row.

use std::cmp::Ordering;
use std::collections::VecDeque;

use crate::model::Row;
use crate::verify::digest::Digest;
use crate::verify::order::compare;

/// A row as one side has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its match key, as the target holds it.
    pub key: Row,
    /// Of its planned columns; `None` where it has no form at the target.
    pub digest: Option<Digest>,
    /// Its size, for the bounds of what is read again.
    pub bytes: usize,
}

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The source.
    Source,
    /// The target.
    Target,
}

/// A row, once both sides are known as far as it.
#[derive(Clone, Debug, PartialEq)]
pub enum Met {
    /// Both have it, and it is the same.
    Equal(Item),
    /// Both have it, and it is not, or cannot be told.
    Unequal(Item),
    /// The source has it alone.
    Missing(Item),
    /// The target has it alone.
    Extra(Item),
}

impl Met {
    /// The row.
    pub fn item(&self) -> &Item {
        match self {
            Met::Equal(item) | Met::Unequal(item) | Met::Missing(item) | Met::Extra(item) => item,
        }
    }
}

/// A row does not follow the one before it: the side does not come in the order of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unordered;

/// The join.
#[derive(Debug, Default)]
pub struct Merge {
    source: Stream,
    target: Stream,
    /// Rows up to this key were met before.
    upto: Option<Row>,
}

#[derive(Debug, Default)]
struct Stream {
    items: VecDeque<Item>,
    last: Option<Row>,
    ended: bool,
}

impl Merge {
    /// A join that goes on after this key.
    pub fn after(upto: Option<Row>) -> Merge {
        Merge { upto, ..Merge::default() }
    }

    /// Rows of one side, in its order; `ended` where none comes after them.
    ///
    /// # Errors
    /// [`Unordered`].
    pub fn push(&mut self, side: Side, items: Vec<Item>, ended: bool) -> Result<(), Unordered> {
        let stream = match side {
            Side::Source => &mut self.source,
            Side::Target => &mut self.target,
        };
        for item in items {
            if stream.last.as_ref().is_some_and(|last| compare(last, &item.key).is_ge()) {
                return Err(Unordered);
            }
            stream.last = Some(item.key.clone());
            if self.upto.as_ref().is_none_or(|upto| compare(upto, &item.key).is_lt()) {
                stream.items.push_back(item);
            }
        }
        stream.ended = ended;
        Ok(())
    }

    /// Whether more rows of a side are needed.
    pub fn wants(&self, side: Side) -> bool {
        let stream = match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        };
        stream.items.is_empty() && !stream.ended
    }

    /// The next row of which all is known; `None` where rows are wanted, or none is left.
    pub fn meet(&mut self) -> Option<Met> {
        if self.wants(Side::Source) || self.wants(Side::Target) {
            return None;
        }
        let order = match (self.source.items.front(), self.target.items.front()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(source), Some(target)) => compare(&source.key, &target.key),
        };
        match order {
            Ordering::Less => self.source.items.pop_front().map(Met::Missing),
            Ordering::Greater => self.target.items.pop_front().map(Met::Extra),
            Ordering::Equal => {
                let (source, target) =
                    (self.source.items.pop_front()?, self.target.items.pop_front()?);
                let same = source.digest.is_some() && source.digest == target.digest;
                let bytes = source.bytes.max(target.bytes);
                let item = Item { bytes, ..source };
                Some(if same { Met::Equal(item) } else { Met::Unequal(item) })
            }
        }
    }

    /// Whether both sides have come to their end.
    pub fn is_done(&self) -> bool {
        let done = |stream: &Stream| stream.ended && stream.items.is_empty();
        done(&self.source) && done(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::fixtures::row;
    use crate::verify::canonical::Form;
    use crate::verify::digest::digest;
    use proptest::prelude::*;

    fn item(key: i64, value: i64) -> Item {
        let forms = [const { Form::Plain }; 2];
        let digest = digest(&forms, &row(&[key, value]), &mut Vec::new()).unwrap();
        Item { key: row(&[key]), digest: Some(digest), bytes: 1 }
    }

    type Rows = BTreeMap<i64, i64>;

    /// Joins in chunks of these sizes, from after `upto` on; what was met: key and kind.
    fn join(
        source: &Rows,
        target: &Rows,
        sizes: (usize, usize),
        upto: Option<i64>,
    ) -> Vec<(i64, char)> {
        let mut merge = Merge::after(upto.map(|key| row(&[key])));
        let items = |rows: &Rows| -> Vec<Item> { rows.iter().map(|(k, v)| item(*k, *v)).collect() };
        let (source, target) = (items(source), items(target));
        let (mut sources, mut targets) = (source.chunks(sizes.0), target.chunks(sizes.1));
        let mut met = Vec::new();
        while !merge.is_done() {
            for (side, chunks) in [(Side::Source, &mut sources), (Side::Target, &mut targets)] {
                if merge.wants(side) {
                    let chunk = chunks.next().map(<[Item]>::to_vec);
                    let ended = chunk.is_none();
                    merge.push(side, chunk.unwrap_or_default(), ended).expect("ascending");
                }
            }
            while let Some(one) = merge.meet() {
                let kind = match one {
                    Met::Equal(_) => '=',
                    Met::Unequal(_) => '!',
                    Met::Missing(_) => '-',
                    Met::Extra(_) => '+',
                };
                let crate::model::Value::Int(key) = one.item().key[0] else { panic!("a key") };
                met.push((key, kind));
            }
        }
        met
    }

    proptest! {
        /// Broken if a row were passed over, met twice, or paired with another's.
        #[test]
        fn every_row_is_met_once(
            source in prop::collection::btree_map(0_i64..40, 0_i64..3, 0..30),
            target in prop::collection::btree_map(0_i64..40, 0_i64..3, 0..30),
            sizes in (1_usize..7, 1_usize..7),
            upto in prop::option::of(-1_i64..41),
        ) {
            let mut expected = Vec::new();
            for key in (0..40).filter(|key| upto.is_none_or(|upto| *key > upto)) {
                let kind = match (source.get(&key), target.get(&key)) {
                    (Some(one), Some(other)) if one == other => '=',
                    (Some(_), Some(_)) => '!',
                    (Some(_), None) => '-',
                    (None, Some(_)) => '+',
                    (None, None) => continue,
                };
                expected.push((key, kind));
            }
            prop_assert_eq!(join(&source, &target, sizes, upto), expected);
        }
    }

    /// Broken if rows in another order, or one key twice, were joined all the same: differences would be
    /// told that are none.
    #[test]
    fn another_order_is_seen() {
        for keys in [[1, 3, 2], [1, 2, 2], [3, 2, 1]] {
            let mut merge = Merge::default();
            let items = keys.map(|key| item(key, 0));
            let pushed = items.map(|item| merge.push(Side::Target, vec![item], false));
            assert!(pushed.contains(&Err(Unordered)), "{keys:?}");
        }
    }

    /// Broken if a row without a form at the target passed for equal.
    #[test]
    fn what_has_no_form_is_not_equal() {
        let mut merge = Merge::default();
        let unfit = || Item { digest: None, ..item(1, 1) };
        merge.push(Side::Source, vec![unfit()], true).expect("ascending");
        merge.push(Side::Target, vec![item(1, 1)], true).expect("ascending");
        assert!(matches!(merge.meet(), Some(Met::Unequal(_))));
    }
}
