//! Tests of `batch`.

use super::*;
use crate::plan::Act;

fn prepared() -> Option<Prepared> {
    Some(Prepared { table: 0, act: Act::Truncate })
}

fn batch(transactions: &[u64], open: u64) -> Batch {
    let mut batch = Batch::default();
    for (number, changes) in transactions.iter().enumerate() {
        (0..*changes).for_each(|_| batch.push(prepared()));
        let position = Position::Postgres(crate::position::Lsn(number as u64 + 1));
        batch.end_transaction(Commit { position, time_us: 0, xid: None });
    }
    (0..open).for_each(|_| batch.push(prepared()));
    batch
}

fn ends_at(batch: &Batch) -> String {
    batch.last_commit().expect("a commit").position.to_string()
}

/// Broken if a part of a transaction were committed with the ones before it, or a change were
/// placed at another one's end.
#[test]
fn only_whole_transactions_are_split_off() {
    let mut open = batch(&[2, 0, 3], 4);
    assert!(!open.at_commit());
    let whole = open.split_whole().expect("three");
    assert!(whole.at_commit());
    assert_eq!((whole.prepared().len(), whole.changes, ends_at(&whole)), (5, 5, "lsn:0/3".into()));
    assert_eq!((open.prepared().len(), open.changes, open.next_ordinal()), (4, 4, 4));
    assert_eq!(open.origin(1).ordinal, 1);
    assert!(open.placed().all(|(_, at)| at.is_none()));
    let ends = whole.placed().map(|(_, at)| at.expect("whole").to_string());
    let [first, third] = ["lsn:0/1", "lsn:0/3"];
    assert_eq!(ends.collect::<Vec<_>>(), [first, first, third, third, third]);
    assert!(open.split_whole().is_none());
    assert!(batch(&[], 4).split_whole().is_none());
}

/// Broken if the time at which an idle source was heard from were taken for a commit's.
#[test]
fn an_idle_source_has_no_commit_time() {
    let commit = |at: u64, time_us| {
        let position = Position::Postgres(crate::position::Lsn(at));
        Commit { position, time_us, xid: None }
    };
    let mut idle = Batch::default();
    idle.pass_idle(commit(1, 0));
    assert_eq!((idle.newest_us(), idle.oldest_us()), (None, None));
    idle.end_transaction(commit(2, 5));
    idle.push(prepared());
    idle.end_transaction(commit(3, 6));
    idle.pass_idle(commit(4, 0));
    assert_eq!((idle.oldest_us(), idle.newest_us()), (Some(5), Some(6)));
    assert!(idle.at_commit());
    assert_eq!((idle.committed_us.as_slice(), ends_at(&idle)), (&[6][..], "lsn:0/4".into()));
}

/// Broken if what comes before a refused change ended inside the refused transaction, or the
/// change were named by another transaction's position.
#[test]
fn what_is_before_a_change_is_whole() {
    let refused = batch(&[2, 3, 2], 0);
    assert_eq!(refused.origin(4).ordinal, 2);
    assert_eq!(refused.origin(4).position.expect("known").to_string(), "lsn:0/2");
    let before = refused.whole_before(4).expect("one");
    assert_eq!((before.prepared().len(), ends_at(&before)), (2, "lsn:0/1".into()));
    assert!(batch(&[2, 3], 0).whole_before(1).is_none());
    let mut sliced = batch(&[2, 3], 0);
    sliced.sliced = true;
    assert!(sliced.whole_before(4).is_none());
}
