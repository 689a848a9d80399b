//! The apply side of a link as a port: slices of a target transaction, and what is written down with
//! them.

use super::{CopyNote, FlagRecord, Load, MissedKey, Notes, Pending, StoredCopy};
use crate::error::{Error, Kind};
use crate::link::flag::{Adopt, Adopted, Decision, StoredFlag};
use crate::link::letter::{LetterCount, LetterHead, LetterWork, StoredLetter};
use crate::model::{Step, Witness};
use crate::position::Position;

/// One slice of an apply transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slice<'a> {
    /// Present on the first slice: open the transaction by compare-and-swap of this witness (its
    /// `seq` is what is expected to be stored now).
    pub open: Option<&'a Witness>,
    /// What to do, in order.
    pub steps: &'a [Step],
    /// Notes of `weir.missed` to settle in this transaction (refetched, or gone): those that a
    /// [`Target::missed`] has found, none made since.
    pub settled: &'a [MissedKey],
    /// Rows of a copy, written after `steps`. An error about one of them undoes the slice.
    pub load: Option<Load<'a>>,
    /// How far copies are with this transaction.
    pub copies: &'a [CopyNote],
    /// Tables of the plan whose updates that find no row are not noted: a copy reads that row later.
    pub unnoted: &'a [usize],
    /// What is set aside in this transaction, and what no longer is.
    pub letters: LetterWork<'a>,
    /// Writes by a database that is not the owner, recorded in this transaction.
    pub flags: &'a [FlagRecord],
    /// From here on every constraint is judged at once, also one that may be put off to the end of the
    /// transaction.
    pub strict: bool,
    /// Present on the last slice: write this position to the witness and commit.
    pub close: Option<&'a Position>,
}

/// What a slice did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// Updates and rekeys that found no row, and rows of [`Verb::Note`](crate::model::Verb::Note);
    /// noted in `weir.missed` in the same transaction.
    pub missed: Vec<MissedKey>,
}

/// The apply side of one link: one connection, one transaction at a time.
pub trait Target: Send {
    /// As [`Scan::instance`](super::Scan::instance).
    fn instance(&mut self) -> Pending<'_, String>;

    /// Who the server is.
    fn identity(&self) -> &str;

    /// The link's witness, if there is one.
    fn read_witness(&mut self) -> Pending<'_, Option<Witness>>;

    /// Inserts the first witness of a link in a transaction of its own.
    fn create_witness<'a>(&'a mut self, witness: &'a Witness) -> Pending<'a, ()>;

    /// Writes position, restart and source identity of the link's witness, whose `seq` is the one that
    /// is stored now, in a transaction of its own. An error as of [`Target::apply`].
    fn move_witness<'a>(&'a mut self, witness: &'a Witness) -> Pending<'a, ()>;

    /// What [`Target::accept`] wrote last for the link, if anything.
    fn accepted(&mut self) -> Pending<'_, Option<String>>;

    /// Keeps what was accepted of the tables beside the link's witness, in a transaction of its own.
    fn accept<'a>(&'a mut self, witness: &'a Witness, text: &'a str) -> Pending<'a, ()>;

    /// Executes a slice. If the compare-and-swap does not hit exactly one row the error is of kind
    /// `Witness` and the transaction is rolled back. An error about a row ([`Error::is_about_a_row`](crate::error::Error::is_about_a_row))
    /// undoes this slice only (to a savepoint, or wholly where the slice opened the transaction). After
    /// one of kind `Contention` the connection is good once more when [`Target::rollback`] was; every
    /// other error leaves it unusable. A server warning is an error.
    fn apply<'a>(&'a mut self, slice: Slice<'a>) -> Pending<'a, Applied>;

    /// Rolls an open transaction back.
    fn rollback(&mut self) -> Pending<'_, ()>;

    /// The link's notes in `weir.missed`, at most `limit` of them.
    fn missed(&mut self, limit: usize) -> Pending<'_, Notes>;

    /// The letters of the link's planned tables, oldest first.
    fn letters(&mut self) -> Pending<'_, Vec<LetterHead>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// How many there are. No transaction is open.
    fn count_letters(&mut self) -> Pending<'_, LetterCount> {
        Box::pin(async { Ok(LetterCount::default()) })
    }

    /// The link's rows of `weir.snapshot`. No transaction is open.
    fn copies(&mut self) -> Pending<'_, Vec<StoredCopy>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Of these rows, those of which a person asks something. No transaction is open.
    fn orders(&mut self) -> Pending<'_, Vec<StoredCopy>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Writes what is to be kept of copies in a transaction of its own, before the link has a witness.
    fn begin_copies<'a>(&'a mut self, _notes: &'a [CopyNote]) -> Pending<'a, ()> {
        Box::pin(async { Err(Error::new(Kind::Internal, "copies are not built yet")) })
    }

    /// Sets the counters that number new rows of the table past the largest value that is in it, where
    /// the server does not do so by itself. No transaction is open.
    fn pass_counters<'a>(&'a mut self, _table: usize) -> Pending<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// A link's records of flagged writes, for people: on a connection of its own, with or without a weir that runs.
pub trait Flags: Send {
    /// At most `limit` records with a number above `after`, oldest first; with `open` those only about which
    /// nothing is decided.
    fn list(&mut self, after: u64, limit: usize, open: bool) -> Pending<'_, Vec<StoredFlag>>;

    /// Decides about records by number; how many of them were open.
    fn decide<'a>(&'a mut self, ids: &'a [u64], decision: &'a Decision) -> Pending<'a, u64>;

    /// Writes a value to the owner's row as an application would, without weir's mark, and decides about its record, in one
    /// transaction; only where that row still holds what the record says.
    fn adopt<'a>(&'a mut self, adopt: &'a Adopt<'a>) -> Pending<'a, Adopted>;

    /// Asks the link for rows to be written as they are at its source, given as target table and row, also where
    /// that has none.
    fn ask_back<'a>(&'a mut self, rows: &'a [(String, String)]) -> Pending<'a, ()>;
}

/// A link's letters, for people: on a connection of its own, with or without a weir that runs. What a
/// person writes here, the running link finds by itself.
pub trait Letters: Send {
    /// At most `limit` letters with a number above `after`, oldest first; also of tables that are no
    /// longer replicated.
    fn list(&mut self, after: u64, limit: usize) -> Pending<'_, Vec<StoredLetter>>;

    /// Asks for a try of rows, given as target table and row; how many letters they have.
    fn ask<'a>(&'a mut self, rows: &'a [(String, String)]) -> Pending<'a, u64>;

    /// Drops the letters of rows, given as target table and row; how many there were. The link then
    /// takes these rows as they are.
    fn discard<'a>(&'a mut self, rows: &'a [(String, String)]) -> Pending<'a, u64>;
}
