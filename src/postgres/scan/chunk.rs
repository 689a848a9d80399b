//! Whole tables, piece by piece: the reading of one chunk.
//!
//! A chunk is one repeatable-read transaction with its marks, of one or more COPY statements in the order
//! of the walk. Each asks for as many rows as should fit, by what the rows before were like; where one
//! brings far more bytes than that, the connection is given up rather than read to the end. A condition
//! is the operator's SQL: it is looked at before it is used, and what it says of rows that are passed over
//! costs a bounded time per chunk. Nothing is written, and nothing is locked but by the reading itself.

use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio_postgres::{Client, Error as DbError};

use super::super::failure::classify;
use super::super::session::Session;
use super::super::sql::{quote, quote_name};
use super::copied::Fields;
use super::marks::Marks;
use super::walk::{self, Member, Spot, Walk};
use super::{PostgresScan, in_time, simple, unexpected};
use crate::error::{Error, Kind, Result};
use crate::link::ports::{Chunk, Reach};
use crate::model::Row;
use crate::plan::TablePlan;
use crate::position::Position;

/// The transaction reads in the order of its index, or of the file, and alone.
const SETTINGS: &str = "SET LOCAL statement_timeout = '5min';
     SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off;
     SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
     SET LOCAL synchronize_seqscans = off; SET LOCAL max_parallel_workers_per_gather = 0;
     SET LOCAL jit = off";
/// Longest silence of a statement; the server's own time-out comes first.
const SILENCE_MAX: Duration = Duration::from_secs(330);
/// After this long a chunk ends with what it has.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Rows of the first statement where nothing is known of their size.
const FIRST_ROWS: usize = 200;
/// Rows that are taken at once, of those that have come.
const AT_ONCE: usize = 64;
/// Bytes that are read in vain before the connection is given up.
const DRAIN_BYTES_MAX: usize = 1 << 20;

/// Tables with one condition that was looked at, and rows with a size that was seen.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Table and condition.
    condition: Option<(String, String)>,
    /// Table, and bytes of its rows in memory.
    width: Option<(String, usize)>,
}

/// A part of what is read: the table by a key, or one of the tables that hold the rows by their places.
struct Section {
    from: String,
    conditions: Vec<String>,
    /// What the place is compared by, one expression for each of its texts.
    by: Vec<String>,
    is_ordered: bool,
    member: Option<Member>,
    /// Rows after this only.
    after: Option<Vec<String>>,
}

/// What was read so far.
struct Reading<'a> {
    table: &'a TablePlan,
    fields: Fields,
    reach: &'a Reach,
    width: Option<usize>,
    rows: Vec<Row>,
    /// Bytes of the values.
    bytes: usize,
    /// Bytes in memory.
    size: usize,
    looked_at: usize,
    began: Instant,
}

/// How a statement ended.
enum Ended {
    /// All its rows were read, so many; with the place of the last one.
    Whole(usize),
    /// There was no room for the rest.
    Full { connection_is_good: bool },
}

impl PostgresScan {
    pub(super) async fn chunk(
        &mut self,
        table: &TablePlan,
        reach: &Reach,
    ) -> Result<Option<Chunk>> {
        let walk = Walk::parse(&reach.walk)?;
        let session = self.session().await?;
        self.require_condition(&session, table, reach).await?;
        let marks = self.log.open_snapshot(&session).await?;
        simple(&session, SETTINGS).await?;
        let members = walk::members(&session, table, false).await?;
        let sections = match walk.holds(&session, table).await? {
            true => sections(&session, table, reach, &walk, &members).await?,
            false => None,
        };
        let Some(sections) = sections else {
            simple(&session, "COMMIT").await?;
            self.session = Some(session);
            return Ok(None);
        };
        let mut reading = Reading::new(table, reach, &walk, self.known.width_of(table))?;
        let read = reading.read(&session, sections).await?;
        match read.connection_is_good {
            true => {
                walk::require_unmoved(&session, table, &members).await?;
                simple(&session, "COMMIT").await?;
                self.session = Some(session);
            }
            false => {
                drop(session);
                let session = self.session().await?;
                walk::require_unmoved(&session, table, &members).await?;
                self.session = Some(session);
            }
        }
        if let Some(width) = reading.width() {
            self.known.width = Some((table.source.name.to_string(), width));
        }
        Ok(Some(reading.into_chunk(marks, read)))
    }

    /// Refuses what is not one condition. Text that is one in two places that end differently has no
    /// end of its own in it.
    async fn require_condition(
        &mut self,
        session: &Client,
        table: &TablePlan,
        reach: &Reach,
    ) -> Result<()> {
        let Some(condition) = &reach.condition else { return Ok(()) };
        let checked = Some((table.source.name.to_string(), condition.clone()));
        if self.known.condition == checked {
            return Ok(());
        }
        let from = from(table);
        for sql in [
            format!("SELECT FROM {from} WHERE (\n{condition}\n)"),
            format!("SELECT CASE WHEN\n{condition}\nTHEN 1 END FROM {from}"),
        ] {
            let prepared = in_time(session.prepare(&sql)).await?;
            let prepared = prepared.map_err(|error| refused(error, table, reach))?;
            if !prepared.params().is_empty() {
                let context = format!("the condition for {} has parameters", table.source.name);
                return Err(Error::new(Kind::Configuration, context).hint(CONDITION_HINT));
            }
        }
        self.known.condition = checked;
        Ok(())
    }
}

const CONDITION_HINT: &str = "give one condition in the source's SQL, by its own names, as after WHERE: \
    weir snapshot LINK TABLE --where \"id > 1000\"; functions outside pg_catalog with their schema";

impl Known {
    fn width_of(&self, table: &TablePlan) -> Option<usize> {
        let (name, width) = self.width.as_ref()?;
        (*name == table.source.name.to_string()).then_some(*width)
    }
}

/// What reading came to.
struct Read {
    ended: bool,
    last: Option<String>,
    connection_is_good: bool,
}

impl<'a> Reading<'a> {
    fn new(
        table: &'a TablePlan,
        reach: &'a Reach,
        walk: &Walk,
        width: Option<usize>,
    ) -> Result<Self> {
        let wanted = reach.condition.as_ref().map(|text| format!("(\n{text}\n) IS TRUE"));
        let place = place(table, walk);
        let fields = Fields::of(table, &walk::alias(table), &place, wanted.as_deref())?;
        let (rows, began) = (Vec::new(), Instant::now());
        Ok(Reading { table, fields, reach, width, rows, bytes: 0, size: 0, looked_at: 0, began })
    }

    /// Reads section by section until there is enough, or the end.
    async fn read(&mut self, session: &Session, sections: Vec<Section>) -> Result<Read> {
        let mut last = None;
        let count = sections.len();
        for (at, mut section) in sections.into_iter().enumerate() {
            loop {
                let limit = self.limit();
                let sql = section.statement(&self.fields, limit);
                let ended = self.copy(session, &sql, &mut section, &mut last).await?;
                match ended {
                    Ended::Full { connection_is_good } => {
                        return Ok(Read { ended: false, last, connection_is_good });
                    }
                    Ended::Whole(rows) if rows < limit => break,
                    Ended::Whole(_) if self.is_enough() => {
                        return Ok(Read { ended: false, last, connection_is_good: true });
                    }
                    Ended::Whole(_) => {}
                }
            }
            if at + 1 < count && last.is_some() && self.is_enough() {
                return Ok(Read { ended: false, last, connection_is_good: true });
            }
        }
        Ok(Read { ended: true, last, connection_is_good: true })
    }

    /// Runs one statement.
    async fn copy(
        &mut self,
        session: &Session,
        sql: &str,
        section: &mut Section,
        last: &mut Option<String>,
    ) -> Result<Ended> {
        let (table, reach) = (self.table, self.reach);
        let failed = |error| refused(error, table, reach);
        let answer = soon(session.copy_out(sql)).await?.map_err(failed)?;
        let mut answer = pin!(answer.ready_chunks(AT_ONCE));
        let (mut rows, mut full, mut drained, mut passed) = (0, false, 0, None);
        while let Some(messages) = soon(answer.next()).await? {
            for message in messages {
                let message = message.map_err(failed)?;
                if full {
                    drained += message.len();
                    continue;
                }
                let line = message.strip_suffix(b"\n").ok_or_else(unexpected)?;
                let line = message.slice_ref(line);
                if !self.take(&line)? {
                    full = true;
                    continue;
                }
                rows += 1;
                // Of keys only the last one is asked for; places are looked at one by one.
                match section.is_ordered {
                    true => passed = Some(line),
                    false => *last = Some(section.go_on_after(self.fields.place(&line)?)?),
                }
            }
            if drained > DRAIN_BYTES_MAX {
                break;
            }
        }
        // Never behind what was taken in: what comes next begins there.
        if let Some(line) = passed {
            *last = Some(section.go_on_after(self.fields.place(&line)?)?);
        }
        match full {
            true => Ok(Ended::Full { connection_is_good: drained <= DRAIN_BYTES_MAX }),
            false => Ok(Ended::Whole(rows)),
        }
    }

    /// Takes a row in; whether there was room for it.
    fn take(&mut self, line: &Bytes) -> Result<bool> {
        let copied = self.fields.read(self.table, line)?;
        let size = copied.row.as_ref().map_or(0, Row::size_bytes);
        if !self.rows.is_empty() && self.size + size > self.reach.bytes_max {
            return Ok(false);
        }
        self.looked_at += 1;
        self.bytes += copied.bytes;
        self.size += size;
        self.rows.extend(copied.row);
        Ok(true)
    }

    /// Rows of the next statement.
    fn limit(&self) -> usize {
        let rows = self.reach.rows_max.saturating_sub(self.rows.len()).max(1);
        let room = self.reach.bytes_max.saturating_sub(self.size) / 10 * 9;
        match self.width() {
            Some(width) => rows.min((room / width.max(1)).max(1)),
            None if self.looked_at == 0 => rows.min(FIRST_ROWS),
            None => rows,
        }
    }

    /// Bytes of a row in memory.
    fn width(&self) -> Option<usize> {
        self.size.checked_div(self.rows.len()).or(self.width)
    }

    fn is_enough(&self) -> bool {
        self.rows.len() >= self.reach.rows_max
            || self.size >= self.reach.bytes_max / 2
            || self.began.elapsed() >= TIME_MAX
    }

    fn into_chunk(self, marks: Marks, read: Read) -> Chunk {
        Chunk {
            low: Position::Postgres(marks.low),
            high: Position::Postgres(marks.high),
            in_progress: marks.in_progress,
            rows: self.rows,
            last: read.last,
            ended: read.ended,
            bytes: self.bytes,
        }
    }
}

impl Section {
    /// The next `limit` rows.
    fn statement(&self, fields: &Fields, limit: usize) -> String {
        let mut conditions = self.conditions.clone();
        if let Some(after) = &self.after {
            conditions.push(walk::compare(&self.by, ">", after));
        }
        let filter = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        let order = match self.is_ordered {
            true => format!(" ORDER BY {}", self.by.join(", ")),
            false => String::new(),
        };
        let (inner, outer) = fields.lists();
        format!(
            "COPY (SELECT {outer} FROM (SELECT {inner} FROM {}{filter}{order} LIMIT {limit}) AS s) \
             TO STDOUT",
            self.from
        )
    }

    /// Has the next statement begin after a place; its text.
    fn go_on_after(&mut self, place: Vec<String>) -> Result<String> {
        let text = match (&self.member, place.as_slice()) {
            (Some(member), [ctid]) => {
                let spot = |text: &String| Spot::of_ctid(member, text.as_bytes());
                let here = spot(ctid).ok_or_else(unexpected)?;
                // The order of the file is not asked for by ORDER BY, which would sort it.
                if self.after.as_ref().and_then(|after| after.first()).and_then(spot) >= Some(here)
                {
                    let context = "rows did not come in the order of their places";
                    return Err(Error::new(Kind::Internal, context));
                }
                here.to_text()?
            }
            _ => walk::key_text(&place)?,
        };
        self.after = Some(place);
        Ok(text)
    }
}

fn from(table: &TablePlan) -> String {
    format!("{} AS {}", quote_name(&table.source.name), walk::alias(table))
}

/// The expressions that make a place.
fn place(table: &TablePlan, walk: &Walk) -> Vec<String> {
    let alias = walk::alias(table);
    match walk {
        Walk::Key { columns, .. } => {
            columns.iter().map(|column| format!("{alias}.{}", quote(column))).collect()
        }
        Walk::Places { .. } => vec![format!("{alias}.ctid")],
    }
}

/// What is to be read, in order; `None` where the places in `reach` are of files that are gone.
async fn sections(
    session: &Session,
    table: &TablePlan,
    reach: &Reach,
    walk: &Walk,
    members: &[Member],
) -> Result<Option<Vec<Section>>> {
    let by = place(table, walk);
    if let Walk::Key { .. } = walk {
        let after = reach.after.as_deref().map(walk::key_place).transpose()?;
        let until = reach.until.as_deref().map(walk::key_place).transpose()?;
        let conditions = until.iter().map(|until| walk::compare(&by, "<=", until)).collect();
        let (from, member) = (from(table), None);
        let section = Section { from, conditions, by, is_ordered: true, member, after };
        return Ok(Some(vec![section]));
    }
    let after = reach.after.as_deref().map(Spot::parse).transpose()?;
    let until = reach.until.as_deref().map(Spot::parse).transpose()?;
    if after.iter().chain(&until).any(|spot| spot.is_stale(members)) {
        return Ok(None);
    }
    let alias = walk::alias(table);
    let mut sections = Vec::new();
    for member in members {
        let is_before = after.is_some_and(|after| member.oid < after.member);
        if is_before || until.is_some_and(|until| member.oid > until.member) {
            continue;
        }
        let mut conditions = Vec::new();
        let from = match &member.name {
            Some(name) => format!("ONLY {name} AS {alias}"),
            None => {
                conditions.push(format!("{alias}.tableoid = {}::oid", member.oid));
                conditions.extend(walk::bounds(session, member).await?);
                from(table)
            }
        };
        if let Some(until) = until.filter(|until| until.member == member.oid) {
            conditions.push(walk::compare(&by, "<=", &[until.ctid()]));
        }
        let after = after.filter(|after| after.member == member.oid);
        let after = after.map_or_else(|| "(0,0)".to_owned(), |after| after.ctid());
        let (by, member, after) = (by.clone(), Some(member.clone()), Some(vec![after]));
        sections.push(Section { from, conditions, by, is_ordered: false, member, after });
    }
    Ok(Some(sections))
}

async fn soon<T>(answer: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(SILENCE_MAX, answer).await.map_err(|elapsed| {
        Error::new(Kind::Timeout, "the source did not go on with a copy").caused_by(elapsed)
    })
}

/// What the server refuses. A condition may be no SQL, or fail for a row.
fn refused(error: DbError, table: &TablePlan, reach: &Reach) -> Error {
    let name = &table.source.name;
    let code = error.code().cloned();
    let class = code.as_ref().map_or("", |code| code.code().get(..2).unwrap_or_default());
    let error = classify(error, format!("read {name}"));
    match class {
        "0A" | "21" | "22" | "2F" | "38" | "39" | "42" | "54" | "P0"
            if reach.condition.is_some() && error.kind() != Kind::Privilege =>
        {
            let context = format!("the condition for {name} cannot be used");
            Error::new(Kind::Configuration, context).caused_by(error).hint(CONDITION_HINT)
        }
        "40" => error.hint(
            "weir reads this part again by itself; on a standby, hot_standby_feedback = on or a longer \
             max_standby_streaming_delay lets reads go on",
        ),
        _ => error,
    }
}
