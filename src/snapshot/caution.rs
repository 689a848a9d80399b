//! Which loads of a copy are tried as a whole, by the server's fastest way, though rows that the stream has
//! brought before may be in the way of one. Pure.
//!
//! Where one was, others may be: the next loads of that table go row by row, first one of them, and twice
//! as many each time that the fastest way fails again. Each time that it does not, half as many. So a table
//! with few such rows is hardly slower for them, and one in which they are everywhere is seldom tried in
//! vain.

use std::collections::BTreeMap;

/// Careful loads in a row at most.
const LOADS_MAX: u32 = 30;

/// Tables in which rows were in the way.
#[derive(Debug, Default)]
pub struct Caution(BTreeMap<usize, Rest>);

#[derive(Debug, Default)]
struct Rest {
    /// Careful loads after the fastest way failed last.
    loads: u32,
    /// So many of them are to come.
    left: u32,
}

impl Caution {
    /// Whether the next load of a table is to be careful.
    pub fn is_next(&mut self, table: usize) -> bool {
        let rest = self.0.get_mut(&table).filter(|rest| rest.left > 0);
        rest.map(|rest| rest.left -= 1).is_some()
    }

    /// A row was in the way of a load.
    pub fn failed(&mut self, table: usize) {
        let rest = self.0.entry(table).or_default();
        rest.loads = (rest.loads * 2).clamp(1, LOADS_MAX);
        rest.left = rest.loads;
    }

    /// A load went by the fastest way.
    pub fn passed(&mut self, table: usize) {
        if let Some(rest) = self.0.get_mut(&table) {
            rest.loads /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loads, of so many, that are tried as a whole, where those fail for which `fails` is true.
    fn tried(loads: u32, fails: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut caution = Caution::default();
        let mut tried = Vec::new();
        for load in 0..loads {
            assert!(!caution.is_next(1), "another table");
            if caution.is_next(0) {
                continue;
            }
            tried.push(load);
            match fails(load) {
                true => caution.failed(0),
                false => caution.passed(0),
            }
        }
        tried
    }

    /// Broken if one row in the way made a copy slow for long, or every load of a table that is full of
    /// such rows failed first.
    #[test]
    fn care_follows_what_was_met() {
        assert_eq!(tried(5, |load| load == 1), [0, 1, 3, 4]);
        assert_eq!(tried(100, |_| true), [0, 2, 5, 10, 19, 36, 67, 98]);
        let until = tried(100, |load| load < 50);
        assert_eq!(until[..6], [0, 2, 5, 10, 19, 36]);
        assert_eq!(until[6..], (67..100).collect::<Vec<_>>(), "it is over");
    }
}
