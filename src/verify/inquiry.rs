//! The second, exact look at rows that seem to differ: what they should be is asked of the link's apply
//! task, and what they are is read at the target while that stands still.
//!
//! A row that cannot be told is asked for again, a few times; what is never to be told is `Changing`, and
//! never a difference. Questions are bounded in rows and bytes. Not here: how the answer is found
//! (`link/question`).

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::error::{Error, Kind, Result};
use crate::link::ports::Scan;
use crate::link::question::{Expected, KEYS_MAX, Mend, Question, STAND_STILL_MAX, Standing};
use crate::model::Row;
use crate::verify::canonical::differing;
use crate::verify::order::compare;
use crate::verify::pair::Pair;

/// Bytes of the rows of one question at most, but for a single row.
const BYTES_MAX: usize = 8 << 20;
/// How long an answer is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// How long of [`STAND_STILL_MAX`] the rows may be read.
const READ_MAX: Duration = STAND_STILL_MAX.saturating_sub(Duration::from_secs(1));
/// Waits before a row is asked for again.
const WAITS: [Duration; 6] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(4),
];

/// A row that seems to differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// Its key, as the target or the plan has it.
    pub key: Row,
    /// Its size.
    pub bytes: usize,
}

/// What a row is.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// As it should be.
    Equal,
    /// The target lacks it.
    Missing,
    /// Only the target has it.
    Extra,
    /// It differs in these columns of the plan.
    Differing(Vec<usize>),
    /// The target has a row that it takes for this one, under another spelling of its key; and the columns
    /// of the plan in which they differ.
    Respelled(Row, Vec<usize>),
    /// Its changes are set aside.
    SetAside,
    /// It has no form at the target.
    Unfit,
    /// It changed each time it was looked at.
    Changing,
}

impl Truth {
    /// Whether both sides differ.
    pub fn is_difference(&self) -> bool {
        matches!(self, Truth::Missing | Truth::Extra | Truth::Differing(_) | Truth::Respelled(..))
    }
}

/// A row and what was found out about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Its key.
    pub key: Row,
    /// What it was.
    pub truth: Truth,
    /// It was written as it should be, and found so.
    pub mended: bool,
}

/// Who asks.
#[derive(Debug)]
pub struct Inquiry {
    /// The apply task.
    pub questions: mpsc::Sender<Question>,
    /// Have differences mended.
    pub repair: bool,
}

impl Inquiry {
    /// What each of the suspects is; in any order.
    ///
    /// # Errors
    /// `Connection` where the link streams no more, and what the target says.
    pub async fn settle(
        &self,
        pair: &Pair,
        target: &mut dyn Scan,
        suspects: Vec<Suspect>,
    ) -> Result<Vec<Verdict>> {
        let mut verdicts = Vec::with_capacity(suspects.len());
        let mut asked = Vec::new();
        for suspect in suspects {
            match pair.as_written(&suspect.key) {
                Some(key) => asked.push(Suspect { key, ..suspect }),
                // The source cannot have it, and the link has no name for it to mend it by.
                None => {
                    verdicts.push(Verdict { key: suspect.key, truth: Truth::Extra, mended: false })
                }
            }
        }
        let mend = if self.repair { Mending::All } else { Mending::Nothing };
        for (key, truth) in self.look(pair, target, asked, mend).await? {
            verdicts.push(Verdict { key, truth, mended: false });
        }
        self.look_for_spellings(pair, target, &mut verdicts).await?;
        if self.repair {
            self.look_again(pair, target, &mut verdicts).await?;
        }
        Ok(verdicts)
    }

    /// A row that the target has under another spelling of its key is that one, and is mended as such, unless
    /// there should be a row of that very spelling: then this one is missing.
    async fn look_for_spellings(
        &self,
        pair: &Pair,
        target: &mut dyn Scan,
        verdicts: &mut [Verdict],
    ) -> Result<()> {
        let mut respelled = Vec::new();
        for verdict in verdicts {
            if let Truth::Respelled(held, _) = &verdict.truth
                && let Some(held) = pair.as_written(held)
            {
                respelled.push((verdict, held));
            }
        }
        for group in respelled.chunks_mut(KEYS_MAX / 2) {
            let both = group.iter().flat_map(|(verdict, held)| [held, &verdict.key]);
            let both = both.map(|key| Suspect { key: key.clone(), bytes: 0 }).collect();
            let mend = if self.repair { Mending::NoExtra } else { Mending::Nothing };
            let found = self.look(pair, target, both, mend).await?;
            let of = |key: &Row| found.iter().find(|(one, _)| one == key).map(|(_, truth)| truth);
            for (verdict, held) in group {
                verdict.truth = match (of(&verdict.key), of(held)) {
                    (Some(own @ Truth::Respelled(..)), Some(Truth::Extra)) => own.clone(),
                    (Some(Truth::Respelled(..)), Some(Truth::Changing)) => Truth::Changing,
                    (Some(Truth::Respelled(..)) | None, _) => Truth::Missing,
                    (Some(own), _) => own.clone(),
                };
            }
        }
        Ok(())
    }

    /// Looks at what was to be mended.
    async fn look_again(
        &self,
        pair: &Pair,
        target: &mut dyn Scan,
        verdicts: &mut [Verdict],
    ) -> Result<()> {
        let mended = verdicts.iter().filter(|verdict| verdict.truth.is_difference());
        let mended: Vec<_> = mended.filter_map(|verdict| pair.as_written(&verdict.key)).collect();
        let again = mended.into_iter().map(|key| Suspect { key, bytes: 0 }).collect();
        for (key, truth) in self.look(pair, target, again, Mending::Nothing).await? {
            // A row that changes is under the stream's own care again.
            let is_well = matches!(truth, Truth::Equal | Truth::Changing);
            for verdict in verdicts.iter_mut().filter(|verdict| verdict.key == key) {
                verdict.mended = is_well;
            }
        }
        Ok(())
    }

    /// Asks in groups, and again for what cannot be told.
    async fn look(
        &self,
        pair: &Pair,
        target: &mut dyn Scan,
        mut open: Vec<Suspect>,
        mend: Mending,
    ) -> Result<Vec<(Row, Truth)>> {
        let mut found = Vec::with_capacity(open.len());
        let mut keys_max = KEYS_MAX;
        for wait in [Duration::ZERO].into_iter().chain(WAITS) {
            if open.is_empty() {
                return Ok(found);
            }
            sleep(wait).await;
            let mut busy = Vec::new();
            for group in groups(&open, keys_max) {
                match self.ask(pair, target, group, mend).await? {
                    Some(truths) => {
                        for (suspect, truth) in group.iter().zip(truths) {
                            match truth {
                                Some(truth) => found.push((suspect.key.clone(), truth)),
                                None => busy.push(suspect.clone()),
                            }
                        }
                    }
                    None => busy.extend_from_slice(group),
                }
            }
            if busy.len() == open.len() {
                // Even, so that the two spellings of a row stay together.
                keys_max = (keys_max / 8 * 2).max(2);
            }
            open = busy;
        }
        found.extend(open.into_iter().map(|suspect| (suspect.key, Truth::Changing)));
        Ok(found)
    }

    /// One question. `None` where nothing can be told now, as a whole or of a row.
    async fn ask(
        &self,
        pair: &Pair,
        target: &mut dyn Scan,
        group: &[Suspect],
        mend: Mending,
    ) -> Result<Option<Vec<Option<Truth>>>> {
        let keys: Vec<Row> = group.iter().map(|suspect| suspect.key.clone()).collect();
        let (answer, answered) = oneshot::channel();
        let question = Question { table: pair.at(), keys: keys.clone(), answer };
        self.questions.send(question).await.map_err(|_| {
            Error::new(Kind::Connection, "the link ended while its rows were compared")
        })?;
        let Ok(Ok(standing)) = timeout(ANSWER_MAX, answered).await else { return Ok(None) };
        let until = Instant::now() + READ_MAX;
        let Standing { expected, verdict, done } = standing;
        let Ok(read) = timeout_at(until, target.read_rows(pair.target(), &keys)).await else {
            return Ok(None);
        };
        let rows = read?.rows;
        if expected.len() != keys.len() || rows.len() != keys.len() {
            return Err(Error::new(Kind::Internal, "an answer about another number of rows"));
        }
        let pairs = keys.iter().zip(expected).zip(rows);
        let truths = pairs.map(|((key, expected), found)| judge(pair, key, expected, found));
        let truths = truths.collect::<Result<Vec<_>>>()?;
        let mut mends = mends(&keys, &truths);
        let others = mends.iter_mut().zip(&truths).filter(|(_, truth)| !mend.is_of(truth));
        others.for_each(|(one, _)| *one = Mend::Leave);
        if mends.iter().any(|mend| *mend != Mend::Leave) {
            // Whether it was done is seen by looking again.
            if verdict.send(mends).is_ok()
                && let Ok(Ok(Err(error))) = timeout(ANSWER_MAX, done).await
            {
                tracing::warn!(
                    table = %pair.source().source.name,
                    error = error.chain(),
                    "rows that differ could not be written"
                );
            }
        }
        Ok(Some(truths))
    }
}

/// What is mended of what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mending {
    Nothing,
    /// All but rows that only the target has: one of those may be another's under another spelling of its
    /// key, while it cannot be told what that is.
    NoExtra,
    All,
}

impl Mending {
    fn is_of(self, truth: &Option<Truth>) -> bool {
        match self {
            Mending::Nothing => false,
            Mending::NoExtra => *truth != Some(Truth::Extra),
            Mending::All => true,
        }
    }
}

/// What is to be done with rows of these keys. One that the target has under another spelling is written
/// over that, where it is known that no row should have that spelling.
fn mends(keys: &[Row], truths: &[Option<Truth>]) -> Vec<Mend> {
    let is_extra = |held: &Row| {
        let mut pairs = keys.iter().zip(truths);
        pairs.any(|(key, truth)| *truth == Some(Truth::Extra) && compare(key, held).is_eq())
    };
    let held = |truth: &Option<Truth>| match truth {
        Some(Truth::Respelled(held, _)) if is_extra(held) => Some(held.clone()),
        _ => None,
    };
    let over: Vec<Row> = truths.iter().filter_map(held).collect();
    let mend = |(key, truth): (&Row, &Option<Truth>)| match truth {
        Some(Truth::Respelled(..)) => held(truth).map_or(Mend::Leave, Mend::Over),
        Some(Truth::Extra) if over.iter().any(|held| compare(key, held).is_eq()) => Mend::Leave,
        Some(truth) if truth.is_difference() => Mend::Mend,
        Some(_) | None => Mend::Leave,
    };
    keys.iter().zip(truths).map(mend).collect()
}

/// What the row of a key is, by what it should be; `None` where that is not known now.
fn judge(pair: &Pair, key: &Row, expected: Expected, found: Option<Row>) -> Result<Option<Truth>> {
    let found = found.map(|found| pair.planned(&found));
    Ok(Some(match (expected, found) {
        (Expected::Busy, _) => return Ok(None),
        (Expected::SetAside, _) => Truth::SetAside,
        (Expected::Unfit, _) => Truth::Unfit,
        (Expected::Absent, None) => Truth::Equal,
        // What the target takes for it is another key's.
        (Expected::Absent, Some(found)) if !is_of(pair, key, &found)? => Truth::Equal,
        (Expected::Absent, Some(_)) => Truth::Extra,
        (Expected::Row(_), None) => Truth::Missing,
        (Expected::Row(expected), Some(found)) => {
            match differing(pair.forms(), &expected, &found)? {
                columns if columns.is_empty() => Truth::Equal,
                columns if columns.iter().any(|column| pair.source().key.contains(column)) => {
                    Truth::Respelled(pair.key_of(&found)?, columns)
                }
                columns => Truth::Differing(columns),
            }
        }
    }))
}

/// Whether a row, in the plan's columns, has this very key.
fn is_of(pair: &Pair, key: &Row, found: &Row) -> Result<bool> {
    let mut own = found.clone();
    for (at, value) in pair.source().key.iter().zip(key.iter()) {
        if let Some(place) = own.0.get_mut(*at) {
            place.clone_from(value);
        }
    }
    Ok(differing(pair.forms(), &own, found)?.is_empty())
}

/// Groups of so many keys, and bytes, at most.
fn groups(suspects: &[Suspect], keys_max: usize) -> impl Iterator<Item = &[Suspect]> {
    let mut rest = suspects;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |suspect: &&Suspect| {
            bytes += suspect.bytes;
            bytes <= BYTES_MAX
        };
        let count = rest.iter().take(keys_max).take_while(fits).count().max(1);
        let (group, others) = rest.split_at_checked(count.min(rest.len()))?;
        rest = others;
        (!group.is_empty()).then_some(group)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::row;

    /// Broken if a row were written over another that belongs where it is, beside one that the target takes
    /// for the same, or if that one were deleted first, and with it what refers to it.
    #[test]
    fn another_spelling_is_written_over() {
        let respelled = |held| Some(Truth::Respelled(row(&[held]), vec![0]));
        let keys = [row(&[1]), row(&[2]), row(&[3]), row(&[4])];
        let of = |truths: [Option<Truth>; 4]| mends(&keys, &truths);
        let (leave, mend) = (Mend::Leave, Mend::Mend);
        assert_eq!(
            of([respelled(2), Some(Truth::Extra), Some(Truth::Missing), Some(Truth::Extra)]),
            [Mend::Over(row(&[2])), leave.clone(), mend.clone(), mend.clone()]
        );
        assert_eq!(
            of([respelled(2), Some(Truth::Equal), respelled(9), None]),
            [leave.clone(), leave.clone(), leave.clone(), leave]
        );
    }

    /// Broken if a row that is gone were told as one that only the target has, because the target takes a
    /// row that belongs there for it.
    #[test]
    fn what_the_target_takes_for_a_row_is_not_always_it() {
        let plan = std::sync::Arc::new(crate::plan::fixtures::plan_of(&["id", "n"]));
        let pair = Pair::of(&plan, 0).expect("a pair");
        let judged = |expected, found: [i64; 2]| {
            judge(&pair, &row(&[1]), expected, Some(row(&found))).expect("whole rows")
        };
        assert_eq!(judged(Expected::Absent, [1, 5]), Some(Truth::Extra));
        assert_eq!(judged(Expected::Absent, [2, 5]), Some(Truth::Equal));
        let expected = || Expected::Row(row(&[1, 5]));
        assert_eq!(judged(expected(), [1, 5]), Some(Truth::Equal));
        assert_eq!(judged(expected(), [1, 6]), Some(Truth::Differing(vec![1])));
        let respelled = Truth::Respelled(row(&[2]), vec![0, 1]);
        assert_eq!(judged(expected(), [2, 6]), Some(respelled));
    }

    /// Broken if a question outgrew what the apply task stands still for, or a row were not asked for.
    #[test]
    fn questions_are_bounded() {
        let suspect = |bytes| Suspect { key: row(&[0]), bytes };
        let sizes = |suspects: &[Suspect]| -> Vec<usize> {
            groups(suspects, 3).map(<[Suspect]>::len).collect()
        };
        assert_eq!(sizes(&[]), [0_usize; 0]);
        assert_eq!(sizes(&vec![suspect(1); 7]), [3, 3, 1]);
        assert_eq!(sizes(&[suspect(BYTES_MAX), suspect(1), suspect(1)]), [1, 2]);
        assert_eq!(sizes(&[suspect(2 * BYTES_MAX), suspect(1)]), [1, 1]);
    }
}
