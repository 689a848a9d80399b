//! Changes that a constraint refuses now and that may pass once later changes of their transaction
//! are in: which they are, and in which order they are tried again. Pure.
//!
//! Order per key is kept: what follows a waiting change of a key waits behind it. The rounds are
//! bounded, so that a transaction that cannot pass is refused after a bounded time; and waiting changes
//! are found by their keys, since all changes of a large transaction may wait.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::error::{Error, Kind};
use crate::link::poison;
use crate::plan::{Act, KeyRef, LinkPlan, Prepared};

/// Rounds over what waits, at most; a chain of references is settled in two rounds whichever way
/// it was written.
const ROUNDS_MAX: usize = 64;

/// Tries after key changes at most, in one transaction.
const EARLY_TRIES_MAX: usize = 20_000;

/// When what waits is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// After a key change in the table of this index.
    After(usize),
    /// At the end of the transaction.
    AtEnd,
}

/// The waiting changes of one key, and of every key that one of them changes into.
#[derive(Debug)]
struct Line<'a> {
    changes: VecDeque<(usize, &'a Prepared)>,
    /// Why the first one was refused last.
    error: Error,
}

/// A change that waits in vain.
#[derive(Debug)]
pub(super) struct Refused {
    /// Its index.
    pub(super) index: usize,
    /// Why it was refused last.
    pub(super) error: Error,
    /// The later changes of its row.
    pub(super) behind: Vec<usize>,
}

/// What waits within one transaction.
#[derive(Debug, Default)]
pub(super) struct Deferral<'a> {
    /// By number, older ones first.
    lines: BTreeMap<usize, Line<'a>>,
    /// How many there were.
    made: usize,
    /// By table and name of a row, the line that it was in last: it may have left it.
    places: HashMap<usize, HashMap<String, usize>>,
    /// How many changes wait, by table.
    tables: BTreeMap<usize, usize>,
    rounds: usize,
    /// Tries after key changes so far.
    early_tries: usize,
    /// Whether the present round has brought something.
    moved: bool,
}

impl<'a> Deferral<'a> {
    /// Whether a refused change may pass later: a constraint may be satisfied by others, a value
    /// never fits.
    pub(super) fn may_pass(change: &Prepared, error: &Error) -> bool {
        matches!(error.kind(), Kind::Constraint | Kind::ForeignKey)
            && !matches!(change.act, Act::Truncate)
    }

    /// Whether a change of the same key waits, so that this one must too.
    pub(super) fn must_wait(&self, plan: &LinkPlan, change: &Prepared) -> bool {
        !self.lines_of(plan, change).is_empty()
    }

    /// All rows of a table go, and with them what waits there.
    pub(super) fn forget(&mut self, table: usize) {
        let of_table = |line: &Line<'_>| line.changes.iter().any(|(_, one)| one.table == table);
        let forgotten: Vec<_> = self.lines.extract_if(.., |_, line| of_table(line)).collect();
        for (_, line) in forgotten {
            line.changes.iter().for_each(|(_, change)| self.waits_no_more(change.table));
        }
    }

    /// Whether a delete must wait because rows wait that may hang on its row until they are in: the
    /// target could pass the delete on to them.
    pub(super) fn is_held(&self, plan: &LinkPlan, change: &Prepared) -> bool {
        matches!(change.act, Act::Delete { .. })
            && self.tables.keys().any(|table| refers_to(plan, *table, change.table))
    }

    /// A delete waits, see [`Deferral::is_held`].
    pub(super) fn hold(&mut self, plan: &LinkPlan, index: usize, change: &'a Prepared) {
        let error = Error::new(Kind::ForeignKey, "it waits for rows that refer to its row");
        self.begin(plan, index, change, error);
    }

    /// A change was refused: its key waits from here on.
    pub(super) fn begin(
        &mut self,
        plan: &LinkPlan,
        index: usize,
        change: &'a Prepared,
        error: Error,
    ) {
        debug_assert!(!self.must_wait(plan, change));
        self.made += 1;
        self.lines.insert(self.made, Line { changes: VecDeque::from([(index, change)]), error });
        self.put(plan, change, self.made);
    }

    /// A change waits in this line from now on.
    fn put(&mut self, plan: &LinkPlan, change: &Prepared, place: usize) {
        let names = poison::names(plan, change).into_iter().map(|name| (name, place));
        self.places.entry(change.table).or_default().extend(names);
        *self.tables.entry(change.table).or_default() += 1;
    }

    fn waits_no_more(&mut self, table: usize) {
        if let Some(count) = self.tables.get_mut(&table) {
            *count -= 1;
            if *count == 0 {
                self.tables.remove(&table);
            }
        }
    }

    /// Puts a change behind those of its key.
    pub(super) fn queue(&mut self, plan: &LinkPlan, index: usize, change: &'a Prepared) {
        let mut places = self.lines_of(plan, change).into_iter();
        let Some(first) = places.next() else { return };
        // A key change may tie two lines together: they go on as one, in source order.
        let tied = places.filter_map(|place| self.lines.remove(&place));
        let tied: Vec<_> = tied.flat_map(|line| line.changes).collect();
        for (_, change) in &tied {
            let names = poison::names(plan, change).into_iter().map(|name| (name, first));
            self.places.entry(change.table).or_default().extend(names);
        }
        self.put(plan, change, first);
        if let Some(line) = self.lines.get_mut(&first) {
            line.changes.extend(tied);
            line.changes.push_back((index, change));
            line.changes.make_contiguous().sort_unstable_by_key(|(index, _)| *index);
        }
    }

    /// Whether another round at the end of the transaction may bring something.
    pub(super) fn may_move(&mut self) -> bool {
        self.lines.retain(|_, line| !line.changes.is_empty());
        let again = self.rounds == 0 || (self.moved && self.rounds < ROUNDS_MAX);
        again && !self.lines.is_empty()
    }

    /// The lines to try in a round, in order. At the end of the transaction the rounds go back and
    /// forth: what waits was refused in source order, so the way back comes first. After a key
    /// change only rows that may refer to its row are tried, and a bounded number of times.
    pub(super) fn next_round(&mut self, plan: &LinkPlan, round: Round) -> Vec<usize> {
        self.lines.retain(|_, line| !line.changes.is_empty());
        if let Round::After(table) = round {
            let tried = self.lines.iter().filter(|(_, line)| line.may_refer_to(plan, table));
            let tried: Vec<usize> = tried.map(|(place, _)| *place).collect();
            let tries = self.early_tries.saturating_add(tried.len());
            if tries > EARLY_TRIES_MAX {
                return Vec::new();
            }
            self.early_tries = tries;
            return tried;
        }
        let back = self.rounds.is_multiple_of(2);
        self.rounds += 1;
        self.moved = false;
        let mut round: Vec<usize> = self.lines.keys().copied().collect();
        if back {
            round.reverse();
        }
        // What hangs on a row goes first.
        round.sort_by_key(|place| {
            let first = self.lines.get(place).and_then(|line| line.changes.front());
            first.is_some_and(|(_, change)| matches!(change.act, Act::Delete { .. }))
        });
        round
    }

    /// The first change of a line.
    pub(super) fn front(&self, place: usize) -> Option<usize> {
        self.lines.get(&place)?.changes.front().map(|(index, _)| *index)
    }

    /// The first change of a line is in. Gives the next one if it may follow at once: what takes a
    /// row or key away waits for the next round, because others may still hang on to it.
    pub(super) fn passed(&mut self, place: usize) -> Option<usize> {
        let (_, passed) = self.lines.get_mut(&place)?.changes.pop_front()?;
        self.waits_no_more(passed.table);
        self.moved = true;
        let (index, next) = self.lines.get(&place)?.changes.front()?;
        matches!(next.act, Act::Upsert { .. } | Act::Update { .. }).then_some(*index)
    }

    /// The first change of a line is still refused.
    pub(super) fn refused(&mut self, place: usize, error: Error) {
        if let Some(line) = self.lines.get_mut(&place) {
            line.error = error;
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// What waits in vain, in source order.
    pub(super) fn into_refusals(self) -> Vec<Refused> {
        let refused = self.lines.into_values().filter_map(|line| {
            let mut changes = line.changes.into_iter().map(|(index, _)| index);
            let index = changes.next()?;
            Some(Refused { index, error: line.error, behind: changes.collect() })
        });
        let mut refused: Vec<Refused> = refused.collect();
        refused.sort_by_key(|one| one.index);
        refused
    }

    /// The lines that a change belongs to, older ones first.
    fn lines_of(&self, plan: &LinkPlan, change: &Prepared) -> BTreeSet<usize> {
        let Some(places) = self.places.get(&change.table) else { return BTreeSet::new() };
        let names = poison::names(plan, change).into_iter();
        let holds =
            |place: &usize| self.lines.get(place).is_some_and(|line| line.holds(plan, change));
        names.filter_map(|name| places.get(&name).copied()).filter(holds).collect()
    }
}

/// Whether rows of one table of the plan refer to rows of another on the target.
fn refers_to(plan: &LinkPlan, child: usize, parent: usize) -> bool {
    let (child, parent) = (plan.tables.get(child), plan.tables.get(parent));
    child.zip(parent).is_some_and(|(child, parent)| {
        child.target.foreign_keys.iter().any(|key| key.parent == parent.target.name)
    })
}

impl Line<'_> {
    /// Whether its first change may wait for a row of that table: a row that refers to the table,
    /// and is not about to go.
    fn may_refer_to(&self, plan: &LinkPlan, parent: usize) -> bool {
        let Some((_, first)) = self.changes.front() else { return false };
        !matches!(first.act, Act::Delete { .. }) && refers_to(plan, first.table, parent)
    }

    /// Whether one of its changes has a key in common with `change`.
    fn holds(&self, plan: &LinkPlan, change: &Prepared) -> bool {
        self.changes.iter().any(|(_, other)| {
            let Some(table) = plan.tables.get(change.table) else { return false };
            other.table == change.table
                && KeyRef::all(other, table)
                    .any(|one| KeyRef::all(change, table).any(|key| key == one))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Row, Value};
    use crate::plan::fixtures::{BIGINT, TEXT, column, config, link, replicate, table};
    use crate::plan::plan;

    fn planned() -> LinkPlan {
        let columns = || vec![column("id", BIGINT, "bigint"), column("t", TEXT, "text")];
        let config = config(vec![replicate("pg", "my", &["public.*"])], Vec::new());
        let source = [table("public", "node", columns())];
        let target = [table("my_db", "node", columns())];
        plan(&config, &link("pg", "my"), &source, &target).expect("a plan")
    }

    fn key(id: i64) -> Row {
        vec![Value::Int(id)].into()
    }

    fn upsert(id: i64) -> Prepared {
        let row = vec![Value::Int(id), Value::Null].into();
        Prepared { table: 0, act: Act::Upsert { columns: None, row } }
    }

    fn delete(id: i64) -> Prepared {
        Prepared { table: 0, act: Act::Delete { key: key(id) } }
    }

    fn rekey(old: i64, new: i64) -> Prepared {
        let row = vec![Value::Int(new), Value::Null].into();
        Prepared { table: 0, act: Act::Rekey { old: key(old), columns: None, row } }
    }

    fn refused() -> Error {
        Error::new(Kind::Constraint, "a parent is missing")
    }

    /// Broken if a later change of a waiting key, under its old or new name, overtook it.
    #[test]
    fn keys_keep_their_order() {
        let plan = planned();
        let changes = [upsert(1), upsert(2), rekey(1, 2), delete(2), delete(3)];
        let mut waiting = Deferral::default();
        assert!(!waiting.must_wait(&plan, &changes[0]));
        waiting.begin(&plan, 0, &changes[0], refused());
        assert!(!waiting.must_wait(&plan, &changes[1]));
        waiting.begin(&plan, 1, &changes[1], refused());
        for index in [2, 3] {
            assert!(waiting.must_wait(&plan, &changes[index]), "{index}");
            waiting.queue(&plan, index, &changes[index]);
        }
        assert!(!waiting.must_wait(&plan, &changes[4]));
        for (first, next) in [(0, Some(1)), (2, None), (3, None)] {
            assert_eq!(waiting.next_round(&plan, Round::AtEnd), [1], "the two lines are one");
            assert_eq!(waiting.front(1), Some(first));
            assert_eq!(waiting.passed(1), next);
            if next.is_some() {
                assert_eq!(waiting.passed(1), None, "a key change waits for the next round");
            }
        }
        assert_eq!(waiting.front(1), None);
        assert!(!waiting.must_wait(&plan, &changes[1]), "its key is free");
        assert!(!waiting.may_move() && waiting.into_refusals().is_empty());
    }

    /// Broken if a chain were not tried from its far end, or what never passes were tried for ever
    /// or forgotten.
    #[test]
    fn rounds_end() {
        let plan = planned();
        let changes = [upsert(1), upsert(2), upsert(3)];
        let mut waiting = Deferral::default();
        for (index, change) in changes.iter().enumerate() {
            waiting.begin(&plan, index, change, refused());
        }
        let early = waiting.next_round(&plan, Round::After(0));
        assert!(early.is_empty(), "no row here refers to another");
        assert_eq!(waiting.next_round(&plan, Round::AtEnd), [3, 2, 1]);
        waiting.passed(3);
        waiting.refused(2, Error::new(Kind::Constraint, "still"));
        assert!(waiting.may_move());
        assert_eq!(waiting.next_round(&plan, Round::AtEnd), [1, 2]);
        assert!(!waiting.may_move(), "a round that brought nothing is the last");
        let left = waiting.into_refusals();
        let left: Vec<_> = left.iter().map(|one| (one.index, one.error.to_string())).collect();
        assert_eq!(left, [(0, "a parent is missing".to_owned()), (1, "still".to_owned())]);
        let mut moving = Deferral::default();
        for (index, change) in changes.iter().enumerate() {
            moving.begin(&plan, index, change, refused());
        }
        let mut rounds = 0;
        while moving.may_move() {
            moving.next_round(&plan, Round::AtEnd);
            moving.moved = true;
            rounds += 1;
        }
        assert_eq!(rounds, ROUNDS_MAX);
    }

    /// Broken if a value that does not fit were tried again and again.
    #[test]
    fn only_constraints_may_pass_later() {
        assert!(Deferral::may_pass(&upsert(1), &refused()));
        assert!(!Deferral::may_pass(&upsert(1), &Error::new(Kind::Value, "too long")));
        let truncate = Prepared { table: 0, act: Act::Truncate };
        assert!(!Deferral::may_pass(&truncate, &refused()));
    }
}
