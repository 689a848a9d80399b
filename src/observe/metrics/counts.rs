//! What is counted of one link, and which of its tables have series of their own.
//!
//! A table is named when rows are first written to it and a place is free, and stays so; the rows of
//! one that finds no place are counted as [`OTHER`]. So no count ever moves between two series: none
//! goes down, and none is counted twice.

use std::collections::BTreeMap;

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::link::observer::{BatchReport, RowCount, RuleCount};
use crate::model::{TableName, Verb};

/// In place of the tables that have no series of their own. A table's name has a dot.
pub(super) const OTHER: &str = "other";

/// Upper bounds in seconds, from a millisecond to half an hour.
const LATENCY_BOUNDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0,
    1_800.0,
];

/// By operation.
type Rows = BTreeMap<&'static str, u64>;

/// Since the link is shown.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) transactions: u64,
    pub(super) missed: u64,
    pub(super) partial: u64,
    pub(super) refetched: u64,
    pub(super) set_aside: u64,
    /// By kind of error.
    pub(super) errors: BTreeMap<&'static str, u64>,
    /// By kind of error.
    pub(super) retries: BTreeMap<&'static str, u64>,
    /// Rows that copies have written, by table.
    pub(super) copied: BTreeMap<String, u64>,
    /// What validations did, by table, column, step and outcome.
    pub(super) rules: BTreeMap<[String; 4], u64>,
    /// Writes by a database that is not the owner, by table and kind.
    pub(super) flagged: BTreeMap<(String, &'static str), u64>,
    tables: BTreeMap<String, Rows>,
    other: Rows,
    batch_rows: Histogram,
    apply_seconds: Histogram,
    latency_seconds: Histogram,
}

/// What is shown as a histogram.
#[derive(Clone, Copy, Debug)]
pub(super) enum Distribution {
    BatchRows,
    ApplySeconds,
    LatencySeconds,
}

impl Distribution {
    pub(super) const ALL: [Distribution; 3] =
        [Distribution::BatchRows, Distribution::ApplySeconds, Distribution::LatencySeconds];

    /// Its name and help.
    pub(super) const fn name(self) -> (&'static str, &'static str) {
        match self {
            Distribution::BatchRows => ("weir_batch_rows", "Rows written per target transaction"),
            Distribution::ApplySeconds => {
                ("weir_apply_duration_seconds", "Target transaction, first statement to commit")
            }
            Distribution::LatencySeconds => {
                ("weir_latency_seconds", "Per transaction, commit at the source to the target's")
            }
        }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Counts {
            transactions: 0,
            missed: 0,
            partial: 0,
            refetched: 0,
            set_aside: 0,
            errors: BTreeMap::new(),
            retries: BTreeMap::new(),
            copied: BTreeMap::new(),
            rules: BTreeMap::new(),
            flagged: BTreeMap::new(),
            tables: BTreeMap::new(),
            other: Rows::new(),
            batch_rows: Histogram::new(exponential_buckets(1.0, 4.0, 8)),
            apply_seconds: Histogram::new(exponential_buckets(0.001, 4.0, 9)),
            latency_seconds: Histogram::new(LATENCY_BOUNDS),
        }
    }
}

impl Counts {
    /// A batch was committed; so many tables may still be named.
    pub(super) fn applied(&mut self, batch: &BatchReport, mut free: usize) {
        self.transactions += batch.transactions;
        let mut all = 0;
        for RowCount { table, verb, rows } in &batch.rows {
            all += rows;
            let table = table.to_string();
            if free > 0 && !self.tables.contains_key(&table) {
                self.tables.insert(table.clone(), Rows::new());
                free -= 1;
            }
            let counted = self.tables.get_mut(&table).unwrap_or(&mut self.other);
            *counted.entry(operation(*verb)).or_default() += rows;
        }
        self.batch_rows.observe(all as f64);
        self.apply_seconds.observe(batch.elapsed.as_secs_f64());
        for latency in &batch.latencies {
            self.latency_seconds.observe(latency.as_secs_f64());
        }
    }

    /// Copies have written rows; so many tables may still be named.
    pub(super) fn copied<'a>(
        &mut self,
        rows: impl Iterator<Item = (&'a str, u64)>,
        mut free: usize,
    ) {
        for (table, rows) in rows.filter(|(_, rows)| *rows > 0) {
            if free > 0 && !self.tables.contains_key(table) {
                self.tables.insert(table.to_owned(), Rows::new());
                free -= 1;
            }
            let named = if self.tables.contains_key(table) { table } else { OTHER };
            *self.copied.entry(named.to_owned()).or_default() += rows;
        }
    }

    /// Validations found values wanting.
    pub(super) fn ruled(&mut self, counts: &[RuleCount]) {
        for count in counts {
            let RuleCount { table, column, rule, outcome, values } = count;
            let series = [table.to_string(), column.clone(), rule.clone(), (*outcome).to_owned()];
            *self.rules.entry(series).or_default() += values;
        }
    }

    /// A database wrote that is not the owner.
    pub(super) fn flagged(&mut self, table: &TableName, kind: &'static str, writes: u64) {
        *self.flagged.entry((table.to_string(), kind)).or_default() += writes;
    }

    /// How many tables have series of their own.
    pub(super) fn tables_named(&self) -> usize {
        self.tables.len()
    }

    /// Rows by table and operation.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&str, &'static str, u64)> {
        let tables = self.tables.iter().map(|(table, rows)| (table.as_str(), rows));
        let all = tables.chain([(OTHER, &self.other)]);
        all.flat_map(|(table, rows)| rows.iter().map(move |(verb, rows)| (table, *verb, *rows)))
    }

    pub(super) fn histogram(&self, distribution: Distribution) -> &Histogram {
        match distribution {
            Distribution::BatchRows => &self.batch_rows,
            Distribution::ApplySeconds => &self.apply_seconds,
            Distribution::LatencySeconds => &self.latency_seconds,
        }
    }
}

const fn operation(verb: Verb) -> &'static str {
    match verb {
        Verb::Upsert => "upsert",
        Verb::Update => "update",
        Verb::Rekey => "rekey",
        Verb::Delete => "delete",
        Verb::Truncate => "truncate",
        Verb::Note => "note",
    }
}
