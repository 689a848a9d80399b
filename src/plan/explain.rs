//! A plan for people: what crosses, by which key, how each column is converted, and what may be
//! refused. Also the digest of a table's shape for the record of a schema review.
//!
//! Plain data first ([`Explained`], printable as JSON), text second. Nothing here decides anything.

use std::fmt::{self, Write};
use std::hash::Hasher;

use serde::Serialize;

use crate::config::{Deletes, Dialect, DroppedPartitions, OnPoison, Truncates};
use crate::model::{Column, ForeignKey, Table, Type, Unique};
use crate::plan::rank::cycle_of;
use crate::plan::{LinkPlan, TablePlan, UpsertStrategy};
use crate::transform::loss::loss;
use crate::transform::refused::refused;

/// A link's plan in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// `source:target`.
    pub link: String,
    /// Dialect of the source.
    pub source_dialect: String,
    /// Dialect of the target.
    pub target_dialect: String,
    /// Tables in the plan's order.
    pub tables: Vec<ExplainedTable>,
}

/// A table's plan in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedTable {
    /// Name at the source.
    pub source: String,
    /// Name at the target.
    pub target: String,
    /// The database that owns the rows and every column that is written.
    pub owner: String,
    /// Source columns of the match key.
    pub key: Vec<String>,
    /// How inserts are written.
    pub upsert: String,
    /// What deletes do.
    pub deletes: String,
    /// What TRUNCATE does.
    pub truncate: String,
    /// What a change does that the target refuses.
    pub on_poison: String,
    /// Order among tables tied by foreign keys.
    pub rank: u32,
    /// Columns that are written.
    pub columns: Vec<ExplainedColumn>,
    /// What else to know.
    pub notes: Vec<String>,
}

/// A column's plan in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedColumn {
    /// Name at the source.
    pub source: String,
    /// Type at the source.
    pub source_type: String,
    /// Name at the target.
    pub target: String,
    /// Type at the target.
    pub target_type: String,
    /// `exact`, `widening` or `range-checked`.
    pub loss: String,
    /// What is refused, in words; nothing unless it is `range-checked`.
    pub refused: Vec<String>,
    /// Whether its values are kept out of records.
    pub sensitive: bool,
    /// The steps and settings that its values go through, as JSON, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
}

/// Explains a plan.
pub fn explain(plan: &LinkPlan) -> Explained {
    let targets: Vec<&Table> = plan.tables.iter().map(|table| &table.target).collect();
    let tables = plan.tables.iter().enumerate();
    Explained {
        link: plan.link.to_string(),
        source_dialect: plan.source_dialect.to_string(),
        target_dialect: plan.target_dialect.to_string(),
        tables: tables.map(|(index, table)| explain_table(plan, table, &targets, index)).collect(),
    }
}

/// A digest of what the log shows of a table: its name, and names and native types of its columns.
/// The same on every machine and in every version of weir.
pub fn digest(table: &Table) -> String {
    let columns = table.columns.iter().flat_map(|column| [&column.name, &column.native]);
    let names = [&table.name.schema, &table.name.table].into_iter();
    digest_of(names.chain(columns).map(String::as_str))
}

/// A digest of some texts in their order. The same on every machine and in every version of weir.
pub fn digest_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut first = Fnv::new(0xcbf2_9ce4_8422_2325);
    let mut second = Fnv::new(0x6c62_272e_07bb_0142);
    for text in texts {
        for hasher in [&mut first, &mut second] {
            hasher.write(&(text.len() as u64).to_le_bytes());
            hasher.write(text.as_bytes());
        }
    }
    format!("{:016x}{:016x}", first.finish(), second.finish())
}

/// FNV-1a: simple and fixed for ever, which is all that a change detector needs.
struct Fnv(u64);

impl Fnv {
    const fn new(start: u64) -> Self {
        Fnv(start)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

fn explain_table(
    plan: &LinkPlan,
    table: &TablePlan,
    targets: &[&Table],
    index: usize,
) -> ExplainedTable {
    let mut columns = Vec::new();
    for column in &table.columns {
        let (Some(from), Some(to)) =
            (table.source.columns.get(column.source), table.target.columns.get(column.target))
        else {
            continue;
        };
        columns.push(ExplainedColumn {
            source: from.name.clone(),
            source_type: from.native.clone(),
            target: to.name.clone(),
            target_type: to.native.clone(),
            loss: match &column.rules {
                None => loss(from, plan.source_dialect, &column.conversion).to_string(),
                Some(rules) if rules.is_of_commit() => {
                    "by rule, of the time of commit: not compared".to_owned()
                }
                Some(rules) if rules.has_way_back() => "by rule, with a way back".to_owned(),
                Some(_) => "lossy by rule".to_owned(),
            },
            refused: match &column.rules {
                None => refused(from, plan.source_dialect, &column.conversion),
                Some(_) => Vec::new(),
            },
            sensitive: column.sensitive,
            rules: column.rules.as_ref().map(|rules| rules.text().to_owned()),
        });
    }
    let key = table.key.iter().filter_map(|index| columns.get(*index));
    ExplainedTable {
        source: table.source.name.to_string(),
        target: table.target.name.to_string(),
        owner: plan.link.source.clone(),
        key: key.map(|column| column.source.clone()).collect(),
        upsert: match table.upsert {
            UpsertStrategy::Native => "insert or update in one statement".to_owned(),
            UpsertStrategy::UpdateThenInsert => "update, then insert what was missing".to_owned(),
        },
        deletes: match table.deletes {
            Deletes::Apply => "apply".to_owned(),
            Deletes::Ignore => "ignore".to_owned(),
            Deletes::Flag => "flag".to_owned(),
        },
        truncate: match table.truncate {
            Truncates::Halt => "halt".to_owned(),
            Truncates::Apply => "apply".to_owned(),
        },
        on_poison: match table.on_poison {
            OnPoison::Park => "park".to_owned(),
            OnPoison::Halt => "halt".to_owned(),
        },
        rank: table.rank,
        notes: notes(plan, table, targets, index),
        columns,
    }
}

fn notes(plan: &LinkPlan, table: &TablePlan, targets: &[&Table], index: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if !table.source.partitions.is_empty() {
        let gone = match table.dropped_partitions {
            DroppedPartitions::Halt => "halts the link",
            DroppedPartitions::Keep => "leaves its rows on the target",
        };
        notes.push(format!(
            "{} partitions come as one table; one that is dropped or detached {gone}",
            table.source.partitions.len()
        ));
    }
    let left_out = |side: &Table, used: &dyn Fn(usize) -> bool, name: &str| {
        let columns = side.columns.iter().enumerate().filter(|(index, _)| !used(*index));
        let names: Vec<String> = columns.map(|(_, column)| why_left_out(column)).collect();
        (!names.is_empty()).then(|| format!("not replicated at the {name}: {}", names.join(", ")))
    };
    let read = |index: usize| table.columns.iter().any(|column| column.source == index);
    let written = |index: usize| table.columns.iter().any(|column| column.target == index);
    notes.extend(left_out(&table.source, &read, "source"));
    notes.extend(left_out(&table.target, &written, "target"));
    notes.extend(keys_of_the_target(plan, table));
    let cycle = cycle_of(targets, index);
    if !cycle.is_empty() {
        let names: Vec<String> = cycle.iter().map(ToString::to_string).collect();
        notes.push(format!(
            "foreign keys form a cycle with {}: rows are written in the source's order where the target refuses another",
            names.join(", ")
        ));
    }
    for column in &table.columns {
        let types = (
            table.source.columns.get(column.source).map(|column| &column.ty),
            table.target.columns.get(column.target).map(|column| &column.ty),
        );
        if let (Some(Type::Instant { .. }), Some(Type::Timestamp { .. })) = types
            && let Some(target) = table.target.columns.get(column.target)
        {
            notes.push(format!("column {} holds UTC", target.name));
        }
    }
    notes
}

/// What the target refuses or takes for one by keys of its own.
fn keys_of_the_target(plan: &LinkPlan, table: &TablePlan) -> Vec<String> {
    let target = &table.target;
    let key = table.key.iter().filter_map(|at| table.columns.get(*at));
    let key: Vec<usize> = key.map(|column| column.target).collect();
    let over_key = |unique: &&Unique| {
        unique.columns.len() == key.len() && unique.columns.iter().all(|at| key.contains(at))
    };
    let others = target.uniques.iter().filter(|unique| !over_key(unique));
    let others = others.map(|unique| &unique.name).chain(&target.odd_unique_indexes);
    let mut notes: Vec<String> =
        others.map(|name| format!("refuses what unique index {name} has already")).collect();
    for ForeignKey { name, parent, .. } in &target.foreign_keys {
        notes.push(format!("refuses rows without their parent in {parent} (foreign key {name})"));
    }
    if plan.target_dialect != Dialect::Postgres {
        let columns = key.iter().filter_map(|at| target.columns.get(*at));
        notes.extend(columns.filter(|column| !column.exact_collation).map(|column| {
            format!("refuses keys that the collation of {} takes for one", column.name)
        }));
    }
    notes
}

fn why_left_out(column: &Column) -> String {
    if column.generated { format!("{} (computed)", column.name) } else { column.name.clone() }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} ({} to {}): {} owns every row and column",
            self.link,
            self.source_dialect,
            self.target_dialect,
            self.link.split(':').next().unwrap_or_default()
        )?;
        for table in &self.tables {
            write!(f, "\n{table}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ExplainedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} -> {}", self.source, self.target)?;
        writeln!(f, "  match key  {}", self.key.join(", "))?;
        writeln!(f, "  inserts    {}", self.upsert)?;
        writeln!(f, "  deletes    {}", self.deletes)?;
        writeln!(f, "  truncate   {}", self.truncate)?;
        if self.on_poison != "park" {
            writeln!(f, "  on_poison  {}", self.on_poison)?;
        }
        let cells: Vec<[String; 3]> = self.columns.iter().map(ExplainedColumn::cells).collect();
        let width = |place: usize| {
            cells.iter().filter_map(|row| row.get(place)).map(|cell| cell.chars().count()).max()
        };
        let (first, second) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
        for [source, target, loss] in &cells {
            let mut line = String::new();
            write!(line, "  {source:first$}  -> {target:second$}  {loss}")?;
            writeln!(f, "{}", line.trim_end())?;
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        Ok(())
    }
}

impl ExplainedColumn {
    fn cells(&self) -> [String; 3] {
        let mut loss = self.loss.clone();
        if self.sensitive {
            loss.push_str(", sensitive");
        }
        if !self.refused.is_empty() {
            loss.push_str(&format!(", refuses {}", self.refused.join("; ")));
        }
        if let Some(rules) = &self.rules {
            loss.push_str(&format!(": {rules}"));
        }
        [
            format!("{} {}", self.source, self.source_type),
            format!("{} {}", self.target, self.target_type),
            loss,
        ]
    }
}
