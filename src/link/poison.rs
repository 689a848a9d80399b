//! Letters of changes that are set aside: what they are about and why. Pure.

use tokio::time::Instant;

use crate::error::{Error, Kind, Result};
use crate::link::breaker::Breaker;
use crate::link::letter::{Letter, Operation, Reason};
use crate::link::ports::{MissedKey, Why};
use crate::link::set_aside::Rows;
use crate::link::status::now_us;
use crate::link::steps::{self, Act, Prepared};
use crate::model::{Change, Op, Row};
use crate::plan::{self, LinkPlan, RowKey, TablePlan};

/// The names of the rows that a prepared change touches: its row, and the one that it renames.
pub(super) fn names(plan: &LinkPlan, change: &Prepared) -> Vec<String> {
    let Some(table) = plan.tables.get(change.table) else { return Vec::new() };
    match &change.act {
        Act::Truncate => Vec::new(),
        Act::Rekey { old, .. } => vec![steps::key_text(&change.key(table)), steps::key_text(old)],
        Act::Upsert { .. } | Act::Update { .. } | Act::Delete { .. } | Act::Note { .. } => {
            vec![steps::key_text(&change.key(table))]
        }
    }
}

/// The letter of a prepared change, as it would have been written; none of a note or a truncate. Where
/// it lies in the log is not known here.
pub(super) fn letter(
    plan: &LinkPlan,
    change: &Prepared,
    reason: Reason,
    salt: &str,
) -> Option<Letter> {
    let table = plan.tables.get(change.table)?;
    let operation = match &change.act {
        Act::Upsert { .. } => Operation::Insert,
        Act::Update { .. } => Operation::Update,
        Act::Rekey { .. } => Operation::Rekey,
        Act::Delete { .. } => Operation::Delete,
        Act::Truncate | Act::Note { .. } => return None,
    };
    let mut names = names(plan, change).into_iter();
    Some(Letter {
        table: change.table,
        row: names.next()?,
        old_row: names.next(),
        operation,
        position: None,
        ordinal: 0,
        reason,
        change: plan::recorded_act(table, &change.act, salt),
        folded: false,
    })
}

/// The letter of a change as it came; none of a truncate.
///
/// # Errors
/// `Malformed` where the log lacks its key.
pub(super) fn letter_of(
    plan: &LinkPlan,
    change: &Change,
    reason: Reason,
    salt: &str,
) -> Result<Option<Letter>> {
    let Some(touched) = plan::touched(plan, change)? else { return Ok(None) };
    let table = steps::table(plan, change.table)?;
    let old_row = touched.old.map(|old| name_of(change.table, old));
    let operation = match (&change.op, &old_row) {
        (Op::Insert { .. }, _) => Operation::Insert,
        (Op::Update { .. }, Some(_)) => Operation::Rekey,
        (Op::Update { .. } | Op::Truncate, _) => Operation::Update,
        (Op::Delete { .. }, _) => Operation::Delete,
    };
    Ok(Some(Letter {
        table: change.table,
        row: name_of(change.table, touched.row),
        old_row,
        operation,
        position: None,
        ordinal: 0,
        reason,
        change: plan::recorded(table, change, salt),
        folded: false,
    }))
}

/// The letter of a row that was read again and cannot be written.
pub(super) fn letter_of_read(
    table: &TablePlan,
    key: &MissedKey,
    written: Option<&Prepared>,
    reason: Reason,
    salt: &str,
) -> Letter {
    let change = written.map(|change| plan::recorded_act(table, &change.act, salt));
    Letter {
        table: key.table,
        row: key.text(),
        old_row: None,
        operation: Operation::Read,
        position: None,
        ordinal: 0,
        reason,
        change: change.unwrap_or_else(|| "{}".to_owned()),
        folded: false,
    }
}

fn name_of(table: usize, key: RowKey) -> String {
    let (key, why): (Row, Why) = match key {
        RowKey::Target(key) => (key, Why::SetAside),
        RowKey::Source(key) => (key, Why::Unconverted),
    };
    MissedKey { table, key, why }.text()
}

/// Takes a letter in that is about to be written for `error`: the breaker is asked where it sets a row
/// aside that was not.
///
/// # Errors
/// As [`Breaker::admit`].
pub(super) fn admit(
    rows: &mut Rows,
    breaker: &mut Breaker,
    letter: &mut Letter,
    error: Error,
) -> Result<()> {
    let new = |row: &str| !rows.holds(letter.table, row);
    if new(&letter.row) || letter.old_row.as_deref().is_some_and(new) {
        breaker.admit(rows.unasked(), Instant::now(), error)?;
    }
    letter.folded = rows.put(letter, now_us());
    Ok(())
}

/// Why a change is set aside that follows another one of its row.
pub(super) fn behind() -> Error {
    Error::new(Kind::Constraint, Reason::behind().text)
}
