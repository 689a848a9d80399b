//! The link's rows of `weir.dead_letter`: what a slice writes there, and what is read to go on.
//!
//! Many letters go in few statements, each of at most [`COMMAND_BYTES_MAX`] bytes unless a single letter
//! is larger. A letter above `max_allowed_packet` ends the slice: it can be kept nowhere.

use std::collections::{BTreeMap, HashMap};

use mysql_async::prelude::Queryable;
use mysql_async::{Row as ServerRow, Value as Parameter};

use super::super::session::{Session, within};
use super::super::sql::letters as sql;
use super::writer::{CALL_TIMEOUT, COMMAND_BYTES_MAX, HEADER_BYTES, execute, field, size_for};
use super::{MysqlTarget, Unplaced};
use crate::error::{Error, Kind, Result};
use crate::link::entry::{Entry, entries};
use crate::link::ports::{LetterCount, LetterHead, LetterWork, Reason};
use crate::plan::LinkPlan;
use crate::position::Position;

/// What a question is for.
const WHAT: &str = "read weir.dead_letter";
/// New letters of one statement at most.
const LETTERS_MAX: usize = 1000;
/// Rows of one look at most.
const ROWS_MAX: usize = 100;
/// Numbers of one statement at most.
const NUMBERS_MAX: usize = 10_000;

const SETUP_HINT: &str = "table weir.dead_letter is not there, or the user may not use it: run \
    `weir setup --apply`, which makes it";

/// A link's letters on a connection.
pub(in crate::mysql) struct OwnLetters<'s> {
    pub(in crate::mysql) session: &'s mut Session,
    pub(in crate::mysql) name: &'s str,
    pub(in crate::mysql) link: &'s str,
    pub(in crate::mysql) packet_bytes_max: usize,
}

impl OwnLetters<'_> {
    /// Does the work of a slice that closes at `close`; gives what is without a position yet.
    pub(super) async fn write(
        &mut self,
        plan: &LinkPlan,
        work: LetterWork<'_>,
        close: Option<&Position>,
    ) -> Result<Unplaced> {
        if !work.emptied.is_empty() {
            let mut ids = Vec::new();
            for table in work.emptied {
                let of_table =
                    vec![self.name.into(), self.link.into(), target(plan, *table)?.into()];
                ids.extend(numbers(&self.read(sql::OF_TABLE, of_table).await?, 0)?);
            }
            self.each_number(sql::END, &ids, &[]).await?;
        }
        if !work.closed.is_empty() {
            let rows =
                work.closed.iter().map(|row| Ok((target(plan, row.table)?, row.row.as_str())));
            let ids = self.numbers_of(&rows.collect::<Result<Vec<_>>>()?).await?;
            let ids: Vec<u64> = ids.into_iter().map(|(_, id)| id).collect();
            self.each_number(sql::END, &ids, &[]).await?;
        }
        if !work.tried.is_empty() {
            self.count_tries(plan, work).await?;
        }
        if work.new.is_empty() {
            return Ok(Unplaced::default());
        }
        self.add(plan, work, close).await
    }

    async fn count_tries(&mut self, plan: &LinkPlan, work: LetterWork<'_>) -> Result<()> {
        let rows = work.tried.iter().map(|one| {
            let row = &one.name;
            Ok((target(plan, row.table)?, row.row.as_str()))
        });
        let found = self.numbers_of(&rows.collect::<Result<Vec<_>>>()?).await?;
        let all: Vec<u64> = found.iter().map(|(_, id)| *id).collect();
        self.each_number(sql::TRY, &all, &[]).await?;
        let mut first: BTreeMap<usize, u64> = BTreeMap::new();
        for (row, id) in found {
            first.entry(row).and_modify(|first| *first = id.min(*first)).or_insert(id);
        }
        let mut reasons: BTreeMap<[&str; 3], Vec<u64>> = BTreeMap::new();
        for (row, id) in first {
            let Some(Reason { kind, text, hint }) = work.tried.get(row).map(|one| &one.reason)
            else {
                continue;
            };
            reasons.entry([kind, text, hint]).or_default().push(id);
        }
        for (reason, ids) in reasons {
            self.each_number(sql::REASON, &ids, &reason).await?;
        }
        Ok(())
    }

    /// Writes new letters.
    async fn add(
        &mut self,
        plan: &LinkPlan,
        work: LetterWork<'_>,
        close: Option<&Position>,
    ) -> Result<Unplaced> {
        let all = entries(work.new);
        let mut unplaced = Unplaced::default();
        let folding: Vec<(usize, &Entry<'_>)> =
            all.iter().enumerate().filter(|(_, entry)| entry.folds()).collect();
        let rows = folding.iter().map(|(_, entry)| {
            let letter = entry.first;
            Ok((target(plan, letter.table)?, letter.row.as_str()))
        });
        let mut newest: BTreeMap<usize, u64> = BTreeMap::new();
        for (row, id) in self.numbers_of(&rows.collect::<Result<Vec<_>>>()?).await? {
            newest.entry(row).and_modify(|newest| *newest = id.max(*newest)).or_insert(id);
        }
        let mut folded = vec![false; all.len()];
        for (row, id) in newest {
            let Some((at, entry)) = folding.get(row) else { continue };
            let position = entry.position(close);
            let has_none = position.is_empty();
            // One that somebody has just dropped is written anew.
            let hit = self.fold(entry, position, id).await?;
            if let Some(folded) = folded.get_mut(*at) {
                *folded = hit;
            }
            unplaced.folded.extend(Some(id).filter(|_| hit && has_none));
        }
        let made = all.iter().zip(folded).filter(|(_, folded)| !folded).map(|(entry, _)| entry);
        let made: Vec<&Entry<'_>> = made.collect();
        let first = self.insert(plan, &made, close).await?;
        let has_none = |entry: &&Entry<'_>| entry.position(close).is_empty();
        unplaced.from = first.filter(|_| made.iter().any(has_none));
        Ok(unplaced)
    }

    /// Counts changes with a stored letter; whether it was still there.
    async fn fold(&mut self, entry: &Entry<'_>, position: String, id: u64) -> Result<bool> {
        let letter = entry.newest;
        let parameters: Vec<Parameter> = vec![
            entry.changes.into(),
            position.into(),
            letter.ordinal.into(),
            letter.operation.name().into(),
            letter.change.as_str().into(),
            id.into(),
        ];
        self.room_for(letter.change.len())?;
        Ok(self.run(sql::FOLD, parameters).await? > 0)
    }

    /// Inserts letters in their order; the first one's number.
    async fn insert(
        &mut self,
        plan: &LinkPlan,
        letters: &[&Entry<'_>],
        close: Option<&Position>,
    ) -> Result<Option<u64>> {
        let mut first = None;
        let mut rest = letters;
        while !rest.is_empty() {
            let (mut rows, mut bytes): (Vec<Vec<Parameter>>, usize) = (Vec::new(), 0);
            for entry in rest {
                let size = bytes_of(entry);
                self.room_for(size)?;
                if !rows.is_empty() && bytes + size > self.bytes_max() || rows.len() == LETTERS_MAX
                {
                    break;
                }
                bytes += size;
                rows.push(self.parameters(plan, entry, close)?);
            }
            rest = rest.get(rows.len()..).unwrap_or_default();
            while !rows.is_empty() {
                let size = size_for(rows.len());
                let now: Vec<Parameter> = rows.drain(..size).flatten().collect();
                self.run(&sql::new(size), now).await?;
                first = first.or(self.session.conn().last_insert_id());
            }
        }
        Ok(first)
    }

    /// The parameters of a new letter.
    fn parameters(
        &self,
        plan: &LinkPlan,
        entry: &Entry<'_>,
        close: Option<&Position>,
    ) -> Result<Vec<Parameter>> {
        let Entry { first, newest, changes } = *entry;
        let source = table(plan, first.table)?.source.name.to_string();
        Ok(vec![
            self.name.into(),
            self.link.into(),
            source.into(),
            target(plan, first.table)?.into(),
            first.row.as_str().into(),
            first.old_row.as_deref().into(),
            newest.operation.name().into(),
            entry.position(close).into(),
            newest.ordinal.into(),
            first.reason.kind.as_str().into(),
            first.reason.text.as_str().into(),
            first.reason.hint.as_str().into(),
            newest.change.as_str().into(),
            changes.into(),
            entry.attempts().into(),
        ])
    }

    /// Writes the position of letters of earlier slices.
    pub(super) async fn place(&mut self, unplaced: &Unplaced, position: &Position) -> Result<()> {
        let mut ids = unplaced.folded.clone();
        if let Some(from) = unplaced.from {
            let parameters = vec![self.name.into(), self.link.into(), from.into()];
            ids.extend(numbers(&self.read(sql::UNPLACED, parameters).await?, 0)?);
        }
        self.each_number(sql::PLACE, &ids, &[&position.to_string()]).await.map(drop)
    }

    /// The numbers of the letters of rows, given as table and row, each with its row's place.
    pub(in crate::mysql) async fn numbers_of<T: AsRef<str>, R: AsRef<str>>(
        &mut self,
        rows: &[(T, R)],
    ) -> Result<Vec<(usize, u64)>> {
        let mut found = Vec::new();
        let mut start = 0;
        while let Some(rest) = rows.get(start..).filter(|rest| !rest.is_empty()) {
            let (mut taken, mut bytes) = (0, 0);
            for (table, row) in rest.iter().take(ROWS_MAX) {
                let size = table.as_ref().len() + row.as_ref().len();
                self.room_for(size)?;
                if taken > 0 && bytes + size > self.bytes_max() {
                    break;
                }
                bytes += size;
                taken += 1;
            }
            let size = size_for(taken);
            let mut parameters: Vec<Parameter> = Vec::with_capacity(4 * size);
            for (table, row) in rest.iter().take(size) {
                let of = [self.name, self.link, table.as_ref(), row.as_ref()];
                parameters.extend(of.map(Parameter::from));
            }
            let answer = self.read(&sql::of_rows(size), parameters).await?;
            for (row, id) in answer.iter().zip(numbers(&answer, 1)?) {
                found.push((start + field::<usize>(WHAT, row, 0)?, id));
            }
            start += size;
        }
        Ok(found)
    }

    /// Runs a statement for letters by their numbers; how many it hit.
    pub(in crate::mysql) async fn each_number(
        &mut self,
        sql: &str,
        ids: &[u64],
        others: &[&str],
    ) -> Result<u64> {
        let mut hit = 0;
        for ids in ids.chunks(NUMBERS_MAX) {
            let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
            let mut parameters = vec![format!("[{}]", ids.join(",")).into()];
            parameters.extend(others.iter().map(|text| Parameter::from(*text)));
            hit += self.run(sql, parameters).await?;
        }
        Ok(hit)
    }

    /// Runs a question and gives its rows.
    pub(in crate::mysql) async fn read(
        &mut self,
        sql: &str,
        parameters: Vec<Parameter>,
    ) -> Result<Vec<ServerRow>> {
        let context = format!("read the dead letters of {}", self.link);
        let call = self.session.conn().exec::<ServerRow, _, _>(sql, parameters);
        within(CALL_TIMEOUT, &context, call).await.map_err(of_a_letter)
    }

    async fn run(&mut self, sql: &str, parameters: Vec<Parameter>) -> Result<u64> {
        let context = format!("write dead letters of {}", self.link);
        execute(self.session, &context, sql, parameters).await.map_err(of_a_letter)
    }

    fn bytes_max(&self) -> usize {
        self.packet_bytes_max.saturating_sub(HEADER_BYTES).min(COMMAND_BYTES_MAX)
    }

    /// Refuses what no command can hold.
    fn room_for(&self, bytes: usize) -> Result<()> {
        if bytes <= self.packet_bytes_max.saturating_sub(HEADER_BYTES) {
            return Ok(());
        }
        let context = format!(
            "a dead letter of {} has {bytes} bytes, above the target's max_allowed_packet of {}",
            self.link, self.packet_bytes_max
        );
        Err(Error::new(Kind::TooLarge, context)
            .hint("raise max_allowed_packet on the target, then `weir resume LINK`"))
    }
}

/// An error of a letter speaks of no row of a table. To a user without rights on it, a table that is not
/// there is one that may not be used.
fn of_a_letter(error: Error) -> Error {
    match error.kind() {
        Kind::Mapping | Kind::Privilege => error.turned(Kind::Mapping).hint(SETUP_HINT),
        _ if error.is_about_a_row() => error.turned(Kind::Statement),
        _ => error,
    }
}

/// The numbers of letters in one field of an answer.
fn numbers(answer: &[ServerRow], at: usize) -> Result<Vec<u64>> {
    answer.iter().map(|row| field(WHAT, row, at)).collect()
}

fn bytes_of(entry: &Entry<'_>) -> usize {
    const OTHERS: usize = 1024;
    let Entry { first, newest, .. } = entry;
    let rows = first.row.len() + first.old_row.as_ref().map_or(0, String::len);
    rows + first.reason.text.len() + first.reason.hint.len() + newest.change.len() + OTHERS
}

fn table(plan: &LinkPlan, at: usize) -> Result<&crate::plan::TablePlan> {
    let table = plan.tables.get(at).map(AsRef::as_ref);
    table.ok_or_else(|| Error::new(Kind::Internal, "a letter of a table that is not planned"))
}

fn target(plan: &LinkPlan, at: usize) -> Result<String> {
    Ok(table(plan, at)?.target.name.to_string())
}

impl MysqlTarget {
    /// The letters of planned tables, oldest first.
    pub(super) async fn read_letters(&mut self) -> Result<Vec<LetterHead>> {
        let planned = self.planned();
        let rows = self.writer.letters(&self.name, &self.link).read_all(sql::HEADS).await?;
        let mut heads = Vec::new();
        for row in rows {
            let Some(table) = planned.get(&field::<String>(WHAT, &row, 1)?).copied() else {
                continue;
            };
            heads.push(LetterHead {
                id: field(WHAT, &row, 0)?,
                table,
                row: field(WHAT, &row, 2)?,
                old_row: field(WHAT, &row, 3)?,
                kind: field(WHAT, &row, 4)?,
                attempts: field(WHAT, &row, 5)?,
                asked: field(WHAT, &row, 6)?,
                made_us: field(WHAT, &row, 7)?,
            });
        }
        Ok(heads)
    }

    /// How many there are.
    pub(super) async fn count_letters(&mut self) -> Result<LetterCount> {
        let planned = self.planned();
        let rows = self.writer.letters(&self.name, &self.link).read_all(sql::COUNT).await?;
        let mut count = LetterCount::default();
        for row in rows {
            if planned.contains_key(&field::<String>(WHAT, &row, 0)?) {
                count.letters += field::<u64>(WHAT, &row, 1)?;
                count.asked += field::<u64>(WHAT, &row, 2)?;
            }
        }
        Ok(count)
    }

    /// The places in the plan of its target tables.
    fn planned(&self) -> HashMap<String, usize> {
        let tables = self.plan.tables.iter().enumerate();
        tables.map(|(at, table)| (table.target.name.to_string(), at)).collect()
    }
}

impl OwnLetters<'_> {
    async fn read_all(&mut self, sql: &str) -> Result<Vec<ServerRow>> {
        self.read(sql, vec![self.name.into(), self.link.into()]).await
    }
}
