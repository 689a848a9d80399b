//! When rows that are set aside are tried again: at once where a person asks for it, and by themselves,
//! less and less often, where what they wait for may come about without one.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Result;
use crate::link::ports::Target;
use crate::link::set_aside::{Group, Rows};
use crate::plan::LinkPlan;

/// How often the letters in the target are counted while there are any: a person may have asked for a
/// try, or dropped some.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The wait before the first try by itself, doubled with each further one, and its limit.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(300);
/// The wait where a row changed or was locked while it was tried.
const AGAIN: Duration = Duration::from_millis(250);
const LOCKED: Duration = Duration::from_secs(5);

/// What a look at the letters finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// They are as the link knows them.
    Same,
    /// Somebody has changed them.
    Other,
    /// A person asks for tries, who may have altered the target before: it is to be read anew.
    Asked,
}

/// The times of the next tries.
#[derive(Debug)]
pub(super) struct Retry {
    due: HashMap<u64, Instant>,
    look_at: Instant,
    /// When there is something to do that no change brings about.
    wake_at: Option<Instant>,
}

impl Retry {
    /// What an earlier attempt has left is tried at once.
    pub(super) fn new() -> Self {
        Retry { due: HashMap::new(), look_at: Instant::now() + LOOK_EVERY, wake_at: None }
    }

    /// Until there is something to do; for ever where nothing is set aside.
    pub(super) async fn wake(&self) {
        match self.wake_at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Takes up what somebody else has done to the letters. To be called with no transaction open.
    pub(super) async fn look(&mut self, target: &mut dyn Target, rows: &mut Rows) -> Result<Look> {
        let now = Instant::now();
        if rows.is_empty() || now < self.look_at {
            return Ok(Look::Same);
        }
        self.look_at = now + LOOK_EVERY;
        let known = rows.letters();
        if target.count_letters().await? == known {
            return Ok(Look::Same);
        }
        *rows = Rows::of(&target.letters().await?);
        self.due.clear();
        let may_pass = rows.groups().filter(|(_, group)| group.may_pass && group.asked == 0);
        let due = may_pass.map(|(place, group)| (place, now + wait(group)));
        self.due.extend(due);
        Ok(if rows.letters().asked > known.asked { Look::Asked } else { Look::Other })
    }

    /// The groups of one table to try now, older ones first, with at most about `rows_max` rows: of
    /// the table that others refer to, where there are several.
    pub(super) fn choose(&mut self, plan: &LinkPlan, rows: &Rows, rows_max: usize) -> Vec<u64> {
        let now = Instant::now();
        self.due.retain(|place, _| rows.group(*place).is_some());
        let mut next = (!rows.is_empty()).then_some(self.look_at);
        let mut due: Vec<(u32, u64)> = Vec::new();
        for (place, group) in rows.groups().filter(|(_, one)| one.may_pass || one.asked > 0) {
            // One that is new, or was left by an earlier attempt, waits as long as its tries tell.
            let first = if group.asked > 0 || group.attempts > 1 { now } else { now + wait(group) };
            let at = *self.due.entry(place).or_insert(first);
            if at <= now {
                let rank = plan.tables.get(group.table).map_or(0, |table| table.rank);
                due.push((rank, place));
            } else {
                next = next.map(|next| next.min(at));
            }
        }
        self.wake_at = next;
        due.sort_unstable();
        let table = due.first().and_then(|(_, place)| rows.group(*place)).map(|group| group.table);
        let mut chosen = Vec::new();
        let mut count = 0;
        for (_, place) in due {
            let Some(group) = rows.group(place).filter(|group| Some(group.table) == table) else {
                continue;
            };
            if count > 0 && count + group.rows.len() > rows_max {
                break;
            }
            count += group.rows.len();
            chosen.push(place);
        }
        chosen
    }

    /// A group was tried in vain and waits as its tries tell.
    pub(super) fn put_off(&mut self, place: u64, rows: &Rows) {
        if let Some(group) = rows.group(place) {
            self.due.insert(place, Instant::now() + wait(group));
        }
    }

    /// A group changed while it was read.
    pub(super) fn soon(&mut self, place: u64) {
        self.due.insert(place, Instant::now() + AGAIN);
    }

    /// Somebody holds a lock on rows of a group.
    pub(super) fn later(&mut self, place: u64) {
        self.due.insert(place, Instant::now() + LOCKED);
    }

    /// A row is in: others may have waited for it.
    pub(super) fn all_now(&mut self) {
        self.due.clear();
    }
}

/// How long a group waits for its next try.
fn wait(group: &Group) -> Duration {
    let doublings = group.attempts.saturating_sub(1).min(16);
    FIRST_WAIT.saturating_mul(1 << doublings).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::letter::LetterHead;
    use crate::plan::fixtures::plan_of;

    fn head(id: u64, row: &str, kind: &str, attempts: u32, asked: bool) -> LetterHead {
        let (row, kind) = (row.to_owned(), kind.to_owned());
        LetterHead { id, table: 0, row, old_row: None, kind, attempts, asked, made_us: 0 }
    }

    /// Broken if a row that waits for a person were tried by itself, one that a person asks for were
    /// not, or one that is refused again and again were tried as often as at first.
    #[tokio::test(start_paused = true)]
    async fn tries_are_asked_for_or_become_seldom() {
        let plan = plan_of(&["id", "n"]);
        let heads = [
            head(1, "a", "constraint", 1, false),
            head(2, "b", "constraint", 3, true),
            head(3, "c", "foreign_key", 1, false),
        ];
        let mut rows = Rows::of(&heads);
        let place = |row: &str, rows: &Rows| {
            let mut groups = rows.groups();
            groups.find(|(_, group)| group.rows == [row]).expect("a group").0
        };
        let mut retry = Retry::new();
        assert_eq!(retry.choose(&plan, &rows, 500), [place("b", &rows)]);
        rows.tried(place("b", &rows), "constraint");
        retry.put_off(place("b", &rows), &rows);
        assert!(retry.choose(&plan, &rows, 500).is_empty());
        let c = place("c", &rows);
        let mut waited = Vec::new();
        for _ in 0..12 {
            let before = Instant::now();
            while retry.choose(&plan, &rows, 500).is_empty() {
                tokio::time::advance(Duration::from_millis(250)).await;
            }
            assert_eq!(retry.choose(&plan, &rows, 500), [c]);
            waited.push(before.elapsed().as_secs());
            rows.tried(c, "foreign_key");
            retry.put_off(c, &rows);
        }
        assert_eq!(waited, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        retry.all_now();
        assert_eq!(retry.choose(&plan, &rows, 500), [c]);
    }
}
