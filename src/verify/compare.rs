//! The comparison of one table: both sides are read chunk by chunk, brought together, and what seems to
//! differ is looked at once more, exactly.
//!
//! Where both walks go by the match key and come in one order, they are joined as they go, and the table
//! is read once on each side. Elsewhere (keys that a server sorts in its own way, tables without a usable
//! index) the source's rows are looked up at the target, then the target's at the source. Kept in memory:
//! a chunk of each side, in bytes. How far it is stands in the report, true at each moment that it is kept.

use crate::config::Deletes;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{Chunk, Reach, Scan};
use crate::plan::{TablePlan, key_text, parse_key};
use crate::verify::desk::Desk;
use crate::verify::inquiry::{Inquiry, Suspect, Truth, Verdict};
use crate::verify::merge::{Item, Merge, Met, Side};
use crate::verify::pace::Pace;
use crate::verify::pair::Pair;
use crate::verify::report::{
    Counts, Difference, Listed, Method, Place, Stage, TableReport, Walked,
};

/// Rows of a chunk at most.
const ROWS_MAX: usize = 2_000;
/// Bytes of a chunk at most, but for a single row.
const BYTES_MAX: usize = 4 << 20;
/// Other spellings of keys at the target that are remembered; what is beyond them is told as a row that is
/// missing and one that is extra.
const RESPELLED_MAX: usize = 10_000;
/// How often a table is begun anew because it is no longer to be walked as before.
const RESTARTS_MAX: usize = 5;

/// The comparison of a table.
pub struct Comparison<'a> {
    /// The table.
    pub pair: &'a Pair,
    /// Reads the source.
    pub source: &'a mut dyn Scan,
    /// Reads the target.
    pub target: &'a mut dyn Scan,
    /// Finds out what differs.
    pub inquiry: &'a Inquiry,
    /// How fast it may go.
    pub pace: &'a mut Pace,
    /// Where the report is kept, and the table's place in it.
    pub desk: (&'a Desk, usize),
    /// What is known so far.
    pub report: TableReport,
}

/// How a walk over both sides has ended.
enum Walk {
    /// At the ends of both.
    Done,
    /// The tables are to be walked otherwise: from the beginning.
    Anew,
    /// Rows do not come in the order of their keys: they are to be looked up.
    Unordered,
}

impl Comparison<'_> {
    /// Compares the table from where the report stands to its end.
    ///
    /// # Errors
    /// As the servers say; what was found until then is kept.
    pub async fn run(&mut self) -> Result<()> {
        for _ in 0..RESTARTS_MAX {
            let method = match self.report.place.method {
                Some(method) => method,
                None => self.begin().await?,
            };
            let ended = match method {
                Method::Merge => self.join().await?,
                Method::LookUp => self.look_up().await?,
            };
            match ended {
                Walk::Done => {
                    self.report.stage = Stage::Done;
                    return self.keep().await;
                }
                Walk::Anew => self.forget(None),
                Walk::Unordered => self.forget(Some(Method::LookUp)),
            }
        }
        let context = format!("{} is rewritten again and again", self.report.source);
        Err(Error::new(Kind::Contention, context)
            .hint("compare it when it is left alone for a while"))
    }

    /// Finds out how the table is to be walked.
    async fn begin(&mut self) -> Result<Method> {
        let source = self.source.divide(self.pair.source(), 1).await?;
        let target = self.target.divide(self.pair.target(), 1).await?;
        let joined = source.by_match_key && target.by_match_key && self.pair.may_be_ordered();
        let method = match self.report.place.method {
            Some(method) => method,
            None if joined => Method::Merge,
            None => Method::LookUp,
        };
        self.report.stage = Stage::Comparing;
        self.report.estimate = source.rows;
        let walked = |walk| Walked { walk: Some(walk), after: None };
        let (source, target) = (walked(source.walk), walked(target.walk));
        self.report.place = Place { method: Some(method), source, target, ..Place::default() };
        self.keep().await?;
        Ok(method)
    }

    /// Begins the table anew.
    fn forget(&mut self, method: Option<Method>) {
        let walks = method.map(|_| self.report.place.clone()).unwrap_or_default();
        let from_start = |walked: Walked| Walked { after: None, ..walked };
        self.report.place = Place {
            method,
            source: from_start(walks.source),
            target: from_start(walks.target),
            ..Place::default()
        };
        self.report.counts = Counts::default();
        self.report.listed.clear();
    }

    /// Walks both sides at once.
    async fn join(&mut self) -> Result<Walk> {
        let upto = self.report.place.upto.as_deref().map(parse_key).transpose()?;
        let mut merge = Merge::after(upto);
        let mut source = self.report.place.source.after.clone();
        let mut target = self.report.place.target.after.clone();
        let mut without_key = 0;
        while !merge.is_done() {
            let wanted = (merge.wants(Side::Source), merge.wants(Side::Target));
            // Only now is what was read before all compared.
            if wanted.0 {
                self.report.place.source.after.clone_from(&source);
                self.count_unfit(std::mem::take(&mut without_key));
            }
            if wanted.1 {
                self.report.place.target.after.clone_from(&target);
            }
            let Some((of_source, of_target)) = self.read_wanted(wanted).await? else {
                return Ok(Walk::Anew);
            };
            let mut rows = 0;
            if let Some(chunk) = of_source {
                rows += chunk.rows.len();
                source = chunk.last.or(source);
                let (items, unfit) = self.pair.of_source(chunk.rows)?;
                without_key = unfit;
                if merge.push(Side::Source, items, chunk.ended).is_err() {
                    return Ok(Walk::Unordered);
                }
            }
            if let Some(chunk) = of_target {
                rows += chunk.rows.len();
                target = chunk.last.or(target);
                let items = self.pair.of_target(&chunk.rows)?;
                if merge.push(Side::Target, items, chunk.ended).is_err() {
                    return Ok(Walk::Unordered);
                }
            }
            self.meet(&mut merge).await?;
            self.keep().await?;
            self.pace.after(rows).await;
        }
        self.count_unfit(without_key);
        Ok(Walk::Done)
    }

    /// Takes up what both sides are known of.
    async fn meet(&mut self, merge: &mut Merge) -> Result<()> {
        let (mut suspects, mut upto) = (Vec::new(), None);
        while let Some(met) = merge.meet() {
            self.report.counts.compared += 1;
            upto = Some(met.item().key.clone());
            match met {
                Met::Equal(_) => self.report.counts.equal += 1,
                Met::Extra(_) if self.tolerates_extra() => self.report.counts.tolerated += 1,
                Met::Unequal(item) | Met::Missing(item) | Met::Extra(item) => {
                    suspects.push(Suspect { key: item.key, bytes: item.bytes });
                }
            }
        }
        self.settle(suspects).await?;
        if let Some(upto) = upto {
            self.report.place.upto = Some(key_text(&upto));
        }
        Ok(())
    }

    /// Walks the source, then the target, and looks each row up on the other side.
    async fn look_up(&mut self) -> Result<Walk> {
        while !self.report.place.backward {
            let after = self.report.place.source.after.clone();
            let Some(chunk) = self.read_source().await? else {
                return Ok(Walk::Anew);
            };
            let rows = chunk.rows.len();
            let (items, unfit) = self.pair.of_source(chunk.rows)?;
            self.count_unfit(unfit);
            let suspects = self.unlike_at_target(&items).await?;
            self.settle(suspects).await?;
            self.report.place.source.after = chunk.last.or(after);
            self.report.place.backward = chunk.ended;
            self.keep().await?;
            self.pace.after(2 * rows).await;
        }
        loop {
            let after = self.report.place.target.after.clone();
            let Some(chunk) = self.read_target().await? else {
                return Ok(Walk::Anew);
            };
            let rows = chunk.rows.len();
            let items = self.pair.of_target(&chunk.rows)?;
            let suspects = self.absent_at_source(items).await?;
            self.settle(suspects).await?;
            self.report.place.target.after = chunk.last.or(after);
            self.keep().await?;
            if chunk.ended {
                return Ok(Walk::Done);
            }
            self.pace.after(2 * rows).await;
        }
    }

    /// Rows of the source that the target does not have as they are.
    async fn unlike_at_target(&mut self, items: &[Item]) -> Result<Vec<Suspect>> {
        let keys: Vec<_> = items.iter().map(|item| item.key.clone()).collect();
        let found = self.target.read_rows(self.pair.target(), &keys).await?.rows;
        let mut suspects = Vec::new();
        for (item, found) in items.iter().zip(found) {
            self.report.counts.compared += 1;
            let digest = match found {
                Some(row) => self.pair.of_target(std::slice::from_ref(&row))?.pop(),
                None => None,
            };
            let digest = digest.and_then(|found| found.digest);
            if digest.is_some() && digest == item.digest {
                self.report.counts.equal += 1;
            } else {
                suspects.push(Suspect { key: item.key.clone(), bytes: item.bytes });
            }
        }
        Ok(suspects)
    }

    /// Rows of the target that the source does not have.
    async fn absent_at_source(&mut self, items: Vec<Item>) -> Result<Vec<Suspect>> {
        let (mut asked, mut keys, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match self.pair.source_key(&item.key) {
                Some(key) => {
                    keys.push(key);
                    asked.push(item);
                }
                None => absent.push(item),
            }
        }
        let found = self.source.read_rows(self.pair.source(), &keys).await?.rows;
        let asked = asked.into_iter().zip(found).filter(|(_, found)| found.is_none());
        absent.extend(asked.map(|(item, _)| item));
        let respelled = &self.report.place.respelled;
        absent.retain(|item| respelled.is_empty() || !respelled.contains(&key_text(&item.key)));
        self.report.counts.compared += absent.len() as u64;
        if self.tolerates_extra() {
            self.report.counts.tolerated += absent.len() as u64;
            return Ok(Vec::new());
        }
        Ok(absent.into_iter().map(|item| Suspect { key: item.key, bytes: item.bytes }).collect())
    }

    /// Finds out what the suspects are, and counts and lists them.
    async fn settle(&mut self, suspects: Vec<Suspect>) -> Result<()> {
        let mut verdicts = self.inquiry.settle(self.pair, self.target, suspects).await?;
        self.remember_spellings(&mut verdicts);
        for Verdict { key, truth, mended } in verdicts {
            let counts = &mut self.report.counts;
            let (count, what) = match &truth {
                Truth::Equal => (&mut counts.equal, None),
                Truth::Missing => (&mut counts.missing, Some(Difference::Missing)),
                Truth::Extra => (&mut counts.extra, Some(Difference::Extra)),
                Truth::Differing(_) | Truth::Respelled(..) => {
                    (&mut counts.differing, Some(Difference::Differing))
                }
                Truth::SetAside => (&mut counts.set_aside, None),
                Truth::Unfit => (&mut counts.unfit, None),
                Truth::Changing => (&mut counts.changing, None),
            };
            *count += 1;
            counts.mended += u64::from(mended);
            let room = self.report.listed.len() < self.desk.0.listed_max();
            if let Some(what) = what.filter(|_| room) {
                let columns = match &truth {
                    Truth::Differing(columns) | Truth::Respelled(_, columns) => {
                        self.pair.names(columns)
                    }
                    _ => Vec::new(),
                };
                let key = self.pair.shown(&key);
                self.report.listed.push(Listed { what, key, columns, mended });
            }
        }
        Ok(())
    }

    /// Rows of the target that are told under the source's spelling of their keys are not told again when
    /// the target is walked.
    fn remember_spellings(&mut self, verdicts: &mut [Verdict]) {
        let respelled = &mut self.report.place.respelled;
        for verdict in verdicts {
            let Truth::Respelled(held, _) = &verdict.truth else { continue };
            if respelled.len() < RESPELLED_MAX {
                respelled.insert(key_text(held));
            } else {
                verdict.truth = Truth::Missing;
            }
        }
    }

    /// Rows whose key has no form at the target.
    fn count_unfit(&mut self, rows: u64) {
        self.report.counts.compared += rows;
        self.report.counts.unfit += rows;
    }

    fn tolerates_extra(&self) -> bool {
        self.pair.source().deletes != Deletes::Apply
    }

    /// Reads what is wanted of the source and of the target, both at once, from where the report stands;
    /// `None` where a table is to be walked otherwise.
    async fn read_wanted(
        &mut self,
        wanted: (bool, bool),
    ) -> Result<Option<(Option<Chunk>, Option<Chunk>)>> {
        let Place { source, target, .. } = &self.report.place;
        let from_source = read_if(wanted.0, self.source, self.pair.source(), source);
        let from_target = read_if(wanted.1, self.target, self.pair.target(), target);
        // Neither is dropped where the other fails: a reader that is left in an answer is of no more use.
        let (source, target) = tokio::join!(from_source, from_target);
        Ok(source?.zip(target?))
    }

    async fn read_source(&mut self) -> Result<Option<Chunk>> {
        read(self.source, self.pair.source(), &self.report.place.source).await
    }

    async fn read_target(&mut self) -> Result<Option<Chunk>> {
        read(self.target, self.pair.target(), &self.report.place.target).await
    }

    async fn keep(&mut self) -> Result<()> {
        let (desk, at) = self.desk;
        desk.put(at, &self.report);
        desk.keep(self.report.stage == Stage::Done).await
    }
}

/// The next chunk of a table; `None` where it is to be walked otherwise.
async fn read(scan: &mut dyn Scan, table: &TablePlan, walked: &Walked) -> Result<Option<Chunk>> {
    let reach = Reach {
        walk: walked.walk.clone().unwrap_or_default(),
        condition: None,
        after: walked.after.clone(),
        until: None,
        rows_max: ROWS_MAX,
        bytes_max: BYTES_MAX,
    };
    scan.read_chunk(table, &reach).await.map(|chunk| chunk.map(closed))
}

/// The same, and no chunk where none is wanted.
async fn read_if(
    is_wanted: bool,
    scan: &mut dyn Scan,
    table: &TablePlan,
    walked: &Walked,
) -> Result<Option<Option<Chunk>>> {
    match is_wanted {
        true => read(scan, table, walked).await.map(|chunk| chunk.map(Some)),
        false => Ok(Some(None)),
    }
}

/// A chunk without a row ends a walk: there is no place after it to go on from.
fn closed(chunk: Chunk) -> Chunk {
    Chunk { ended: chunk.ended || chunk.last.is_none(), ..chunk }
}

#[cfg(test)]
mod tests;
