//! Pieces under way: which of them may be written, and which are read next, by which reader.

use std::time::Duration;

use tokio::time::Instant;

use super::Copying;
use super::table::Table;
use crate::error::{Error, Kind, Result};
use crate::link::copyist::{Errand, Piece, What};
use crate::link::ports::Reach;
use crate::link::window::{HandedOn, Reading, Window};
use crate::position::Position;
use crate::snapshot::progress::{Progress, Stage};

/// Bytes of a piece.
const PIECE_BYTES_MAX: usize = 4 << 20;
/// Pieces that are read and wait to be written, besides one per reader.
const PIECES_MORE: usize = 2;
/// Readers per stretch of a table. Within a stretch the next piece is read while one is written; the more
/// stretches there are, the less the target's index is written in its order.
const READERS_EACH: usize = 2;
/// Pause before a piece that came too early is read again.
const AGAIN: Duration = Duration::from_millis(50);
/// Reads of one piece at most; then it is begun anew.
const READS_MAX: u32 = 200;
/// Reads of one piece after which that is told.
const READS_SOON: u32 = 30;
/// Longest time that the apply task stands still for a read, once pieces were lost.
const HOLD_MAX: Duration = Duration::from_secs(5);
/// Pieces lost in a row before it does.
const LOSSES_MAX: u32 = 2;
/// Rows of the target that are looked up at the source at a time.
const CHECK_ROWS: usize = 5_000;

/// A piece under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) id: u64,
    pub(super) table: usize,
    pub(super) stretch: usize,
    pub(super) window: Window,
    pub(super) reach: Reach,
    pub(super) reads: u32,
    pub(super) held_until: Option<Instant>,
    pub(super) leg: Leg,
}

/// How far a piece is.
#[derive(Debug)]
pub(super) enum Leg {
    /// A reader has it.
    Out,
    /// It came too early, and is to be read again.
    Again,
    /// It is here.
    Back { piece: Box<Piece>, took: Duration, give_up_at: Instant },
}

/// A piece that may be written now, with what has changed since.
#[derive(Debug)]
pub(in crate::link) struct Ready {
    pub(in crate::link) table: usize,
    pub(in crate::link) stretch: usize,
    pub(in crate::link) window: Window,
    pub(in crate::link) piece: Piece,
    pub(in crate::link) took: Duration,
}

impl Copying {
    /// A piece that may be written now, if one may.
    pub(in crate::link) fn ready(
        &mut self,
        handed: &HandedOn,
        applied: &Position,
        lag: Duration,
    ) -> Option<Ready> {
        let may_write = self.may_write(lag);
        let mut at = 0;
        loop {
            let follows = self.follows(at);
            let flight = self.flights.get_mut(at)?;
            flight.window.applied(applied);
            let going = self.tables.get(&flight.table).is_some_and(Table::is_going);
            let Leg::Back { piece, give_up_at, .. } = &flight.leg else {
                at += 1;
                continue;
            };
            let reading = flight.window.judge(piece.sight(), handed, applied);
            let late = Instant::now() >= *give_up_at;
            match reading {
                _ if !going => self.give_up(at),
                Reading::Ready if may_write && !follows => {
                    let Flight { table, stretch, window, leg, .. } = self.flights.remove(at);
                    let Leg::Back { piece, took, .. } = leg else { return None };
                    let piece = *piece;
                    return Some(Ready { table, stretch, window, piece, took });
                }
                // What is far ahead or seldom may be written is read again, so that its window stays small.
                Reading::Ahead | Reading::Ready if late => self.give_up(at),
                Reading::Ahead | Reading::Ready => at += 1,
                Reading::TooEarly if flight.reads < READS_MAX => {
                    flight.leg = Leg::Again;
                    // It may end elsewhere, once it is read again.
                    self.give_up_behind(at);
                    at += 1;
                }
                Reading::TooEarly => self.give_up(at),
                Reading::Unseen | Reading::TooLarge => {
                    let table = flight.table;
                    self.give_up(at);
                    if let Some(table) = self.tables.get_mut(&table) {
                        table.pace.lost();
                    }
                }
            }
        }
    }

    /// Whether a piece before this one in its stretch is not written yet.
    fn follows(&self, at: usize) -> bool {
        let place = |flight: &Flight| (flight.table, flight.stretch);
        let Some(own) = self.flights.get(at).map(place) else { return false };
        self.flights.iter().take(at).any(|flight| place(flight) == own)
    }

    /// A piece is not to be written, nor what was read behind it.
    pub(super) fn give_up(&mut self, at: usize) {
        self.give_up_behind(at);
        self.flights.remove(at);
    }

    fn give_up_behind(&mut self, at: usize) {
        let Some(Flight { id, table, stretch, .. }) = self.flights.get(at) else { return };
        let (id, table, stretch) = (*id, *table, *stretch);
        self.flights.retain(|one| (one.table, one.stretch) != (table, stretch) || one.id <= id);
    }

    fn may_write(&self, lag: Duration) -> bool {
        self.throttle.wait(self.began.elapsed(), lag) == Some(Duration::ZERO)
    }

    /// Sends readers out, at `applied` with `mark` of the same moment.
    pub(in crate::link) fn send_out(
        &mut self,
        applied: &Position,
        mark: u64,
        lag: Duration,
    ) -> Result<()> {
        if self.throttle.wait(self.began.elapsed(), lag).is_none() {
            return Ok(());
        }
        for at in 0..self.flights.len() {
            self.read_again(at)?;
        }
        let mut order: Vec<usize> = self.open.iter().copied().collect();
        order.sort_by_key(|index| self.plan.tables.get(*index).map_or(0, |table| table.rank));
        let now = Instant::now();
        for index in order {
            let Some(table) = self.tables.get(&index) else { continue };
            if !table.is_going() || table.due > now {
                continue;
            }
            match table.progress.stage {
                Stage::Waiting if table.errand.is_none() && self.parent_of(index).is_none() => {
                    self.divide(index)?;
                }
                Stage::Copying => self.send_for(index, applied, mark)?,
                Stage::Checking if table.errand.is_none() => self.check(index)?,
                Stage::Waiting | Stage::Checking | Stage::Done | Stage::Cancelled => {}
            }
        }
        Ok(())
    }

    fn divide(&mut self, index: usize) -> Result<()> {
        let what = What::Divide((self.readers.len() / READERS_EACH).max(1));
        self.send(index, what)
    }

    /// Sends a reader on an errand of a table that is no piece of it.
    fn send(&mut self, index: usize, what: What) -> Result<()> {
        self.last_id += 1;
        let id = self.last_id;
        if self.errand(Errand { id, table: index, delay: Duration::ZERO, what })?
            && let Some(table) = self.tables.get_mut(&index)
        {
            table.errand = Some(id);
        }
        Ok(())
    }

    /// Has the next piece of the target's table looked through.
    fn check(&mut self, index: usize) -> Result<()> {
        let Some(table) = self.tables.get(&index) else { return Ok(()) };
        let Progress { walk, stretches, scope, .. } = &table.progress;
        let what = match walk {
            None => What::DivideTarget,
            Some(walk) => {
                let after = stretches.first().and_then(|stretch| stretch.after.clone());
                let rows_max = table.pace.rows().min(CHECK_ROWS).min(self.throttle.rows_max());
                let bytes_max = PIECE_BYTES_MAX;
                let (walk, condition, until) = (walk.clone(), None, None);
                let reach = Reach { walk, condition, after, until, rows_max, bytes_max };
                What::Check { reach, delete: scope.delete_extra }
            }
        };
        self.send(index, what)
    }

    /// A piece that is to be read once more.
    fn read_again(&mut self, at: usize) -> Result<()> {
        let Some(flight) = self.flights.get(at) else { return Ok(()) };
        if !matches!(flight.leg, Leg::Again) {
            return Ok(());
        }
        let Flight { id, table, reach, reads, .. } = flight;
        let what = What::Read(reach.clone());
        // A replica may be behind for long.
        let delay = AGAIN.saturating_mul(1 << (reads / 8).min(7));
        if *reads > READS_SOON
            && let Some(table) = self.tables.get_mut(table)
        {
            table.trouble = Some("the server that is read, which is behind the log".to_owned());
        }
        let errand = Errand { id: *id, table: *table, delay, what };
        if self.errand(errand)?
            && let Some(flight) = self.flights.get_mut(at)
        {
            flight.reads += 1;
            flight.leg = Leg::Out;
        }
        Ok(())
    }

    /// Where the next piece of a stretch begins, which is written up to `after`: behind the last one that
    /// is read. `None` while that is not known, or where nothing comes after it.
    fn next_after(&self, place: (usize, usize), after: Option<String>) -> Option<Option<String>> {
        let own = |flight: &&Flight| (flight.table, flight.stretch) == place;
        match self.flights.iter().rev().find(own) {
            None => Some(after),
            Some(Flight { leg: Leg::Back { piece, .. }, .. }) if !piece.ended => {
                piece.last.clone().map(Some)
            }
            Some(_) => None,
        }
    }

    /// Sends readers for the stretches of a table of which no piece is being read.
    fn send_for(&mut self, index: usize, applied: &Position, mark: u64) -> Result<()> {
        let Some(table) = self.tables.get(&index) else { return Ok(()) };
        let Some(walk) = table.progress.walk.clone() else { return Ok(()) };
        let open = table.progress.stretches.iter().enumerate().filter(|(_, one)| !one.ended);
        let open: Vec<(usize, _)> = open.map(|(at, stretch)| (at, stretch.clone())).collect();
        let (rows, losses) = (table.pace.rows(), table.pace.losses());
        let condition = table.progress.scope.condition.clone();
        for (stretch, at) in open {
            if self.flights.len() >= self.readers.len() + PIECES_MORE {
                return Ok(());
            }
            let Some(after) = self.next_after((index, stretch), at.after) else { continue };
            let reach = Reach {
                walk: walk.clone(),
                condition: condition.clone(),
                after,
                until: at.until,
                rows_max: rows.min(self.throttle.rows_max()),
                bytes_max: PIECE_BYTES_MAX,
            };
            self.last_id += 1;
            let id = self.last_id;
            let what = What::Read(reach.clone());
            if !self.errand(Errand { id, table: index, delay: Duration::ZERO, what })? {
                return Ok(());
            }
            let window = Window::open_whole(index, applied.clone(), mark);
            let held_until = (losses >= LOSSES_MAX).then(|| Instant::now() + HOLD_MAX);
            let (reads, leg) = (1, Leg::Out);
            self.flights.push(Flight {
                id,
                table: index,
                stretch,
                window,
                reach,
                reads,
                held_until,
                leg,
            });
        }
        Ok(())
    }

    /// Gives an errand to a reader that is free, if one is.
    fn errand(&mut self, errand: Errand) -> Result<bool> {
        let Some(reader) = self.readers.iter_mut().find(|reader| !reader.busy) else {
            return Ok(false);
        };
        reader
            .errands
            .try_send(errand)
            .map_err(|_| Error::new(Kind::Connection, "a reader of tables has ended"))?;
        reader.busy = true;
        Ok(true)
    }
}
