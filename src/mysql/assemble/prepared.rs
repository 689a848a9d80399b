//! Transactions that are prepared and not yet decided (XA). The log holds their rows where they were
//! prepared, and only their names where they are committed, so that the rows are kept until then.
//!
//! All are kept, those without a planned row too: a commit of what was never prepared here is an
//! error, for its rows lie before the link's start. Bounded in number and bytes.

use super::Assembler;
use super::place::start_of;
use crate::error::{Error, Kind, Result};
use crate::model::Part;
use crate::mysql::binlog::xid::{Prepare, Verb};
use crate::mysql::binlog::{Header, Query, Xid, xid};
use crate::position::{Position, Undecided};

/// Memory of rows that wait for their second phase, in bytes.
const BYTES_MAX: usize = 64 << 20;
/// Transactions that wait for their second phase.
const OPEN_MAX: usize = 1_000;

/// A transaction that is prepared.
#[derive(Debug)]
struct Branch {
    xid: Xid,
    /// The position before it.
    before: Position,
    /// When it was prepared, seconds since 1970.
    since_s: u64,
    parts: Vec<Part>,
}

/// What is prepared and not yet decided, in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    branches: Vec<Branch>,
    bytes: usize,
}

impl Prepared {
    /// The position before the oldest of them, and which one that is.
    pub(super) fn oldest(&self) -> Option<(Position, Undecided)> {
        let Branch { xid, before, since_s, .. } = self.branches.first()?;
        Some((before.clone(), Undecided { xid: xid.to_string(), since_s: *since_s }))
    }

    /// Refuses rows that are more than may be kept.
    pub(super) fn require_room(&self, bytes: usize) -> Result<()> {
        if self.bytes.saturating_add(bytes) <= BYTES_MAX {
            return Ok(());
        }
        let what = format!(
            "the rows of two-phase transactions (XA) that wait for their commit take more than {} MiB",
            BYTES_MAX >> 20
        );
        Err(too_much(&what))
    }

    /// Keeps one until it is decided. A name that waits already belongs to what a crash undid, which
    /// a person must have looked at.
    fn keep(&mut self, branch: Branch, reviewed: bool) -> Result<()> {
        let xid = &branch.xid;
        if self.take(xid).is_some() && !reviewed {
            let what =
                format!("the log holds a second XA PREPARE of {xid}, and no end of the first");
            return Err(Error::new(Kind::Unsupported, what).hint(
                "compare the rows of the two transactions of that name with the target and make \
                 those equal by hand, then `weir resume LINK --schema-reviewed`",
            ));
        }
        if self.branches.len() >= OPEN_MAX {
            let what =
                format!("more than {OPEN_MAX} two-phase transactions (XA) wait for their commit");
            return Err(too_much(&what));
        }
        self.require_room(branch.bytes())?;
        self.bytes = self.bytes.saturating_add(branch.bytes());
        self.branches.push(branch);
        Ok(())
    }

    /// What was prepared under this name; it ends now.
    fn take(&mut self, xid: &Xid) -> Option<Vec<Part>> {
        let at = self.branches.iter().position(|branch| branch.xid == *xid)?;
        let branch = self.branches.remove(at);
        self.bytes = self.bytes.saturating_sub(branch.bytes());
        Some(branch.parts)
    }
}

impl Branch {
    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

fn too_much(what: &str) -> Error {
    Error::new(Kind::Unsupported, what).hint(
        "commit or roll back what is prepared (XA RECOVER lists it), and later ones soon after they \
         are prepared; then `weir teardown LINK --apply`, start anew and copy the tables: the log cannot \
         be passed here",
    )
}

impl Assembler {
    /// The end of a two-phase transaction's changes. With one phase it is a commit like any other.
    pub(super) fn prepare(
        &mut self,
        header: &Header,
        prepare: Prepare,
        ready: &mut Vec<Part>,
    ) -> Result<()> {
        self.end_statement(ready)?;
        let begins_at = self.transaction()?.begins_at;
        let before = start_of(self.read().clone(), self.place.coordinates(), begins_at);
        let transaction = self.transaction()?;
        if !transaction.two_phase {
            let what = "the end of a two-phase transaction that did not begin";
            return Err(Error::new(Kind::Malformed, what));
        }
        let (reviewed, mut parts) = (transaction.reviewed, std::mem::take(&mut transaction.kept));
        let since_s = u64::try_from(transaction.time_us(header) / 1_000_000).unwrap_or(0);
        if prepare.one_phase {
            if !transaction.passed {
                ready.append(&mut parts);
            }
            return self.commit(header, ready);
        }
        parts.push(std::mem::take(&mut self.part));
        self.prepared.keep(Branch { xid: prepare.xid, before, since_s, parts }, reviewed)?;
        self.commit(header, ready)
    }

    /// A statement about a two-phase transaction.
    pub(super) fn two_phase(
        &mut self,
        header: &Header,
        query: &Query<'_>,
        ready: &mut Vec<Part>,
    ) -> Result<()> {
        let Some((verb, xid)) = xid::statement(&query.text) else {
            let what = "the log holds an XA statement that weir does not know";
            return Err(Error::new(Kind::Unsupported, what));
        };
        let transaction = self.transaction()?;
        let undecided = transaction.passed || transaction.reviewed;
        match verb {
            Verb::Start => {
                (transaction.begun, transaction.two_phase) = (true, true);
                return Ok(());
            }
            Verb::End => return Ok(()),
            _ if transaction.changed => {
                let what = format!("the log holds the end of {xid} (XA) among other changes");
                return Err(Error::new(Kind::Unsupported, what));
            }
            Verb::Rollback => drop(self.prepared.take(&xid)),
            Verb::Commit => match self.prepared.take(&xid) {
                Some(mut parts) => {
                    // Its rows are committed now, not when they were prepared.
                    let time_us = Some(self.transaction()?.known_us());
                    parts.iter_mut().for_each(|part| part.time_us = time_us);
                    self.part = parts.pop().unwrap_or_default();
                    if !self.transaction()?.passed {
                        ready.append(&mut parts);
                    }
                }
                None if undecided => {}
                None => return Err(unknown(&xid)),
            },
        }
        self.commit(header, ready)
    }
}

/// Its rows are in the log before the link's start, and nowhere else. MariaDB logs a commit before it is
/// carried out: one that a crash cut off waits again, and comes a second time (seen on 10.11).
fn unknown(xid: &Xid) -> Error {
    let what = format!(
        "the log holds XA COMMIT of {xid}, of which no rows wait: it was prepared before the link's \
         start, or a crash of MariaDB left it to be committed again"
    );
    Error::new(Kind::TableGap, what).hint(
        "compare the tables that the transaction wrote with the target, or copy them again, then \
         `weir resume LINK --schema-reviewed`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::MysqlGtidSet;

    fn branch(number: usize, bytes: usize) -> Branch {
        let text = format!("XA COMMIT X'{number:08x}',X'',1");
        let (_, xid) = xid::statement(text.as_bytes()).expect("a name");
        let before = Position::Mysql(MysqlGtidSet::default(), None);
        let parts = vec![Part { bytes, ..Part::default() }];
        Branch { xid, before, since_s: 0, parts }
    }

    /// Broken if transactions that nobody commits took all memory, or ended ones were still counted.
    #[test]
    fn what_waits_is_bounded() {
        let mut prepared = Prepared::default();
        for number in 0..OPEN_MAX {
            prepared.keep(branch(number, 1), false).expect("room");
        }
        let error = prepared.keep(branch(OPEN_MAX, 1), false).expect_err("too many");
        assert!(error.to_string().contains("more than 1000"), "{error}");
        for number in 1..OPEN_MAX {
            assert!(prepared.take(&branch(number, 1).xid).is_some());
        }
        prepared.keep(branch(OPEN_MAX, BYTES_MAX - 1), false).expect("room");
        let error = prepared.keep(branch(1, 1), false).expect_err("too large");
        assert!(error.to_string().contains("more than 64 MiB"), "{error}");
        assert!(prepared.keep(branch(0, 1), false).is_err(), "twice");
    }
}
