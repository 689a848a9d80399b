//! Where the stretches of a table meet: rows of the walk's index that cut it into parts of about the same
//! size, found without reading it.
//!
//! Numbers and texts of the first column are bisected: the server estimates how many rows lie between two
//! values by a dive into the index (EXPLAIN), and the first row from one on is the bound. An estimate that
//! is wrong makes stretches uneven, no more. Other types have no middle that could be named: the index is
//! skipped through, for ten seconds at most. What has few values, or too few rows to be worth it, is one
//! stretch.

use std::time::{Duration, Instant};

use super::MysqlScan;
use super::place::PlaceForm;
use super::walk::{Bound, Walk};
use crate::error::Result;
use crate::link::ports::Division;
use crate::mysql::session::{Flavor, Session};
use crate::mysql::sql::literal;
use crate::plan::TablePlan;

/// Smaller tables are one stretch.
const ROWS_MIN: u64 = 20_000;
/// Stretches at most.
const PARTS_MAX: usize = 32;
/// So many pieces are found for each part.
const FINER: u64 = 4;
/// Guesses for one piece.
const GUESSES: u32 = 20;
/// Bytes of a text that count for its middle.
const TEXT_BYTES: usize = 6;
/// Longest time for one probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// The values of a column between two of them, as numbers.
struct Ruler {
    low: f64,
    high: f64,
    /// What whole numbers are counted from: the largest are beyond what a float tells apart.
    base: i128,
    /// What all texts begin with.
    prefix: Vec<u8>,
}

impl MysqlScan {
    /// How a table is walked.
    pub(super) async fn divided(&mut self, plan: &TablePlan, parts: usize) -> Result<Division> {
        self.walks.remove(&plan.source.name);
        let walk = self.walk(plan).await?;
        let mut session = self.session().await?;
        let rows = estimated(&mut session, plan).await?;
        let bounds = match rows {
            Some(rows) if rows >= ROWS_MIN && parts > 1 => {
                let probe = Probe { session: &mut session, plan, walk: &walk };
                probe.bounds(parts.min(PARTS_MAX), rows).await?
            }
            _ => Vec::new(),
        };
        self.session = Some(session);
        Ok(Division { walk: walk.text, by_match_key: walk.by_match_key, bounds, rows })
    }
}

/// Rows of a table, as the server estimates them.
async fn estimated(session: &mut Session, plan: &TablePlan) -> Result<Option<u64>> {
    let name = &plan.source.name;
    let sql = format!(
        "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        literal(&name.schema),
        literal(&name.table)
    );
    let text = session.text("estimate a table's rows", &sql).await?;
    Ok(text.and_then(|text| text.parse().ok()))
}

struct Probe<'a> {
    session: &'a mut Session,
    plan: &'a TablePlan,
    walk: &'a Walk,
}

impl Probe<'_> {
    async fn bounds(mut self, parts: usize, rows: u64) -> Result<Vec<String>> {
        let (Some(first), Some(last)) =
            (self.row(&[], "ASC", 0).await?, self.row(&[], "DESC", 0).await?)
        else {
            return Ok(Vec::new());
        };
        let Some(mut ruler) = self.ruler(&first, &last) else {
            return self.skipped(parts, rows).await;
        };
        let cuts = self.cuts(&mut ruler, rows / (FINER * parts as u64), parts).await?;
        let mut bounds: Vec<String> = Vec::new();
        for part in 1..parts {
            let Some(value) = cuts.get(cuts.len() * part / parts).cloned() else { break };
            let from = self.walk.beyond(Bound::From, &[value]);
            let Some(bound) = self.row(&[from], "ASC", 0).await? else { break };
            if bounds.last() != Some(&bound) && bound != last {
                bounds.push(bound);
            }
        }
        Ok(bounds)
    }

    /// Values, as literals, with about the same number of rows between each two. How many rows that are
    /// the server says too high by a factor of its own, but by the same one each time.
    async fn cuts(&mut self, ruler: &mut Ruler, rows: u64, parts: usize) -> Result<Vec<String>> {
        let most = 4 * FINER as usize * parts;
        let mut cuts = Vec::new();
        while cuts.len() < most {
            let Some(from) = self.literal(ruler, ruler.low) else { break };
            let (mut low, mut high) = (ruler.low, ruler.high);
            for _ in 0..GUESSES {
                let middle = low + (high - low) / 2.0;
                if middle <= low || middle >= high {
                    break;
                }
                if self.rows_between(&from, ruler, middle).await? < rows {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            if high >= ruler.high || high <= ruler.low {
                break;
            }
            ruler.low = high;
            cuts.extend(self.literal(ruler, high));
        }
        Ok(cuts)
    }

    /// Rows after one value and up to another, as the server estimates them.
    async fn rows_between(&mut self, from: &str, ruler: &Ruler, until: f64) -> Result<u64> {
        let Some(until) = self.literal(ruler, until) else { return Ok(0) };
        let after = self.walk.beyond(Bound::After, &[from.to_owned()]);
        let until = self.walk.beyond(Bound::Until, &[until]);
        self.estimated(&format!("{after} AND {until}")).await
    }

    /// Rows for which a condition is true, as the server estimates them.
    async fn estimated(&mut self, condition: &str) -> Result<u64> {
        // MySQL does not look into an index that it is forced to use.
        let (format, table) = match self.session.flavor() {
            Flavor::Mysql => (" FORMAT=TRADITIONAL", self.walk.offered(self.plan)),
            Flavor::Mariadb => ("", self.walk.table(self.plan)),
        };
        let sql = format!("EXPLAIN{format} SELECT 1 FROM {table} WHERE {condition}");
        let row = self.session.rows("estimate a part of a table", &sql).await?.pop();
        let rows = row.and_then(|row| {
            let at = row.columns_ref().iter().position(|column| column.name_str() == "rows")?;
            row.get_opt::<Option<String>, _>(at)?.ok()?
        });
        Ok(rows.and_then(|rows| rows.parse().ok()).unwrap_or(0))
    }

    /// Bounds by skipping through the index.
    async fn skipped(mut self, parts: usize, rows: u64) -> Result<Vec<String>> {
        let step = rows / parts as u64;
        let until = Instant::now() + PROBE_TIMEOUT;
        let mut bounds: Vec<String> = Vec::new();
        while bounds.len() + 1 < parts && Instant::now() < until {
            let after = bounds.last().map(|last| self.walk.bounded(Bound::After, last));
            let after = after.transpose()?;
            match self.row(after.as_slice(), "ASC", step).await? {
                Some(bound) => bounds.push(bound),
                None => break,
            }
        }
        Ok(bounds)
    }

    /// The place of one row in the order of the walk.
    async fn row(
        &mut self,
        conditions: &[String],
        order: &str,
        skip: u64,
    ) -> Result<Option<String>> {
        let (walk, limit) = (self.walk, PROBE_TIMEOUT * 3);
        walk.place(self.session, self.plan, conditions, order, skip, limit).await
    }

    /// The values between the first and the last place; `None` where they have no middle.
    fn ruler(&self, first: &str, last: &str) -> Option<Ruler> {
        let of = |kept: &str| serde_json::from_str::<Vec<String>>(kept).ok()?.into_iter().next();
        let (first, last) = (of(first)?, of(last)?);
        let form = &self.walk.places.first()?.form;
        let (low, high, prefix) = match form {
            PlaceForm::Integer => {
                let (first, last) = (first.parse::<i128>().ok()?, last.parse::<i128>().ok()?);
                let ruler = Ruler {
                    low: 0.0,
                    high: (last - first) as f64,
                    base: first,
                    prefix: Vec::new(),
                };
                return (first < last).then_some(ruler);
            }
            PlaceForm::Decimal | PlaceForm::Float => {
                (first.parse().ok()?, last.parse().ok()?, Vec::new())
            }
            // Of those that hold a letter in one byte, the middle is again a text.
            PlaceForm::Text { charset, .. } if !is_by_bytes(charset) => return None,
            PlaceForm::Text { .. } | PlaceForm::Bytes(_) => {
                let (first, last) = (bytes(&first)?, bytes(&last)?);
                let same = first.iter().zip(&last).take_while(|(one, other)| one == other).count();
                let same = whole_letters(first.get(..same)?, form);
                let rest = |text: &[u8]| number(text.get(same..).unwrap_or_default());
                (rest(&first), rest(&last), first.get(..same)?.to_vec())
            }
            PlaceForm::Ordinal | PlaceForm::Printed => return None,
        };
        (low < high).then_some(Ruler { low, high, base: 0, prefix })
    }

    /// A value of the ruler as a literal of the first column.
    fn literal(&self, ruler: &Ruler, value: f64) -> Option<String> {
        let place = self.walk.places.first()?;
        let kept = match &place.form {
            PlaceForm::Integer => (ruler.base + value.round() as i128).to_string(),
            PlaceForm::Decimal => format!("{value}"),
            PlaceForm::Float => format!("{value:e}"),
            form => {
                let is_text = matches!(form, PlaceForm::Text { .. });
                let mut bytes = ruler.prefix.clone();
                bytes.extend(text_of(value, is_text));
                bytes.iter().map(|byte| format!("{byte:02X}")).collect()
            }
        };
        place.literal(&kept)
    }
}

/// How much of a beginning is whole letters.
fn whole_letters(beginning: &[u8], form: &PlaceForm) -> usize {
    match form {
        PlaceForm::Text { charset, .. } if charset.starts_with("utf8") => {
            std::str::from_utf8(beginning).map_or_else(|error| error.valid_up_to(), str::len)
        }
        _ => beginning.len(),
    }
}

fn is_by_bytes(charset: &str) -> bool {
    ["utf8mb4", "utf8mb3", "utf8", "latin1", "ascii"].contains(&charset)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    hex.as_bytes().chunks(2).map(pair).collect()
}

/// The first bytes as a number.
fn number(text: &[u8]) -> f64 {
    let bytes = text.iter().copied().chain(std::iter::repeat(0)).take(TEXT_BYTES);
    bytes.fold(0.0, |number, byte| number * 256.0 + f64::from(byte))
}

/// A number as the first bytes; of a text, with letters of ASCII alone.
fn text_of(number: f64, is_text: bool) -> Vec<u8> {
    let number = number.clamp(0.0, 281_474_976_710_655.0) as u64;
    let bytes = number.to_be_bytes();
    let bytes = bytes.iter().skip(8 - TEXT_BYTES).copied();
    match is_text {
        true => bytes.map(|byte| byte.clamp(b' ', b'~')).collect(),
        false => bytes.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if what lies between two texts were none, or in another order.
    #[test]
    fn texts_have_a_middle() {
        let (low, high) = (number(b"0001"), number(b"9"));
        assert!(low < high);
        let middle = text_of(low + (high - low) / 2.0, true);
        assert!(b"0001".as_slice() < middle.as_slice() && middle.as_slice() < b"9".as_slice());
        assert!(middle.iter().all(|byte| (b' '..=b'~').contains(byte)));
        assert_eq!(text_of(number(&[1, 2, 255]), false), [1, 2, 255, 0, 0, 0]);
        assert_eq!(bytes("0AFF"), Some(vec![10, 255]));
    }
}
