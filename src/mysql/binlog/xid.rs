//! Two-phase transactions (XA) in the log: their names, what ends a first phase, and the statements
//! that servers write for them.
//!
//! Both servers write an XID in the same two ways: as bytes in events, and as text in statements
//! that they make themselves, never as the client wrote it.
//! Sources: MySQL and MariaDB manuals, "XA Transactions"; MySQL `XA_prepare_event`; MariaDB
//! "XA_PREPARE_LOG_EVENT".

use std::fmt;

use super::cursor::Cursor;
use crate::error::{Error, Kind, Result};

/// Bytes of each of the two parts of an XID at most.
const PART_BYTES_MAX: usize = 64;

/// The name of a transaction that its client commits in two phases. It may be used again once that
/// transaction has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Xid {
    /// The transaction all over the client's databases.
    gtrid: Vec<u8>,
    /// The branch of it.
    bqual: Vec<u8>,
    /// How the client made the two.
    format: u32,
}

/// As `XA COMMIT` takes it: `X'6162',X'63',1`.
impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.gtrid, &self.bqual] {
            f.write_str("X'")?;
            part.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            f.write_str("',")?;
        }
        write!(f, "{}", self.format)
    }
}

/// What ends the changes of a two-phase transaction (XA_PREPARE_LOG_EVENT).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepare {
    /// Which transaction.
    pub(crate) xid: Xid,
    /// It is committed with it (`XA COMMIT … ONE PHASE`), else only prepared.
    pub(crate) one_phase: bool,
}

/// Reads the event that ends the changes of a two-phase transaction.
pub(super) fn prepare(mut cursor: Cursor<'_>) -> Result<Prepare> {
    let one_phase = cursor.u8()? != 0;
    let format = cursor.u32()?;
    let (gtrid, bqual) = (cursor.u32()?, cursor.u32()?);
    let mut part = |bytes: u32| match usize::try_from(bytes) {
        Ok(bytes) if bytes <= PART_BYTES_MAX => Ok(cursor.bytes(bytes)?.to_vec()),
        _ => Err(Error::new(Kind::Malformed, "an XID that is too long")),
    };
    let xid = Xid { gtrid: part(gtrid)?, bqual: part(bqual)?, format };
    Ok(Prepare { xid, one_phase })
}

/// What a statement does with a two-phase transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Its changes begin.
    Start,
    /// Its changes end; the event follows.
    End,
    /// What was prepared is committed.
    Commit,
    /// What was prepared goes.
    Rollback,
}

/// Reads a statement that begins with `XA`; `None` where it is not as servers write them.
pub(crate) fn statement(text: &[u8]) -> Option<(Verb, Xid)> {
    let text = std::str::from_utf8(text).ok()?;
    let mut words = text.split_ascii_whitespace();
    if !words.next()?.eq_ignore_ascii_case("XA") {
        return None;
    }
    let verb = match words.next()?.to_ascii_uppercase().as_str() {
        "START" => Verb::Start,
        "END" => Verb::End,
        "COMMIT" => Verb::Commit,
        "ROLLBACK" => Verb::Rollback,
        _ => return None,
    };
    let mut parts = words.next()?.split(',');
    let (gtrid, bqual) = (hex(parts.next()?)?, hex(parts.next()?)?);
    let format = parts.next()?.parse().ok()?;
    let whole = parts.next().is_none() && words.next().is_none();
    whole.then_some((verb, Xid { gtrid, bqual, format }))
}

/// The bytes of `X'6162'`.
fn hex(literal: &str) -> Option<Vec<u8>> {
    let digits = literal.strip_prefix(['X', 'x'])?.strip_prefix('\'')?.strip_suffix('\'')?;
    if digits.len() > 2 * PART_BYTES_MAX {
        return None;
    }
    let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|one| u8::try_from(one).ok());
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Broken if the two ways in which a name is written were told apart: what was prepared would not
    /// be found at its commit.
    #[test]
    fn names_are_the_same_in_events_and_statements() {
        let mut event = vec![0];
        for number in [7u32, 2, 1] {
            event.extend(number.to_le_bytes());
        }
        event.extend(*b"a\nb");
        let read = prepare(Cursor::new(&event)).expect("an event");
        assert!(!read.one_phase);
        assert_eq!(read.xid.to_string(), "X'610a',X'62',7");
        let (verb, xid) = statement(b"XA COMMIT X'610A',X'62',7").expect("a statement");
        assert_eq!((verb, &xid), (Verb::Commit, &read.xid));
        event[5..9].copy_from_slice(&65u32.to_le_bytes());
        assert!(prepare(Cursor::new(&event)).is_err());
        for odd in [
            "XA COMMIT 'ab','c',1",
            "XA COMMIT X'616',X'',1",
            "XA COMMIT X'61',X'62'",
            "XA COMMIT X'61',X'62',1 ONE PHASE",
            "XA RECOVER",
        ] {
            assert_eq!(statement(odd.as_bytes()), None, "{odd}");
        }
    }

    proptest! {
        /// Broken if some name did not come back as it is written.
        #[test]
        fn names_come_back(
            gtrid in proptest::collection::vec(any::<u8>(), 0..=64),
            bqual in proptest::collection::vec(any::<u8>(), 0..=64),
            format in any::<u32>(),
        ) {
            let xid = Xid { gtrid, bqual, format };
            let text = format!("XA ROLLBACK {xid}");
            prop_assert_eq!(statement(text.as_bytes()), Some((Verb::Rollback, xid)));
        }
    }
}
