//! Metrics in OpenMetrics text, named as Prometheus wants.
//!
//! Counters are fed by the links' [`Observer`] port as batches commit; gauges are computed from each
//! link's status at the moment of the scrape, so that a stuck link's lag grows although nothing
//! happens. What is not known has no series, and a link that is gone has none any more. Names are
//! given without `_total`, which the encoder adds.
//!
//! Clocks: `weir_lag_seconds` and `weir_latency_seconds` compare commit times of the source with this
//! machine's clock, the lag only while there is something to apply; where the source's clock is ahead
//! they show less, never below zero. MariaDB tells commit times in whole seconds.

mod alerts;
mod copies;
mod counts;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::config::{LinkName, TableSeries};
use crate::error::{Disposition, Kind};
use crate::link::lag::lag_seconds;
use crate::link::observer::{BatchReport, Observer, RuleCount};
use crate::link::space::Space;
use crate::link::status::{LinkState, LinkStatus, now_us};
use crate::model::TableName;
use crate::observe::http::Exposition;
use crate::observe::readiness::Readiness;

pub use alerts::AlertCounts;
use counts::{Counts, Distribution};

/// Tables with series of their own at most, over all links, unless all are to have some.
const TABLES_NAMED_MAX: usize = 200;

/// The registry and what links are counted by.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    links: Links,
    alerts: AlertCounts,
}

/// A link and where its status is seen.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The link.
    pub link: LinkName,
    /// Its status.
    pub status: watch::Receiver<LinkStatus>,
}

/// All that is shown of links. The lock is held for a count or a scrape, never over an await.
#[derive(Clone, Debug)]
struct Links {
    tables_named_max: usize,
    shown: Arc<Mutex<Shown>>,
}

#[derive(Debug, Default)]
struct Shown {
    watched: Vec<Watched>,
    space: Option<Space>,
    counts: BTreeMap<LinkName, Counts>,
}

impl Links {
    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, link: &LinkName, count: impl FnOnce(&mut Counts)) {
        count(self.lock().counts.entry(link.clone()).or_default());
    }
}

impl Metrics {
    /// Of no link yet.
    pub fn new(tables: TableSeries) -> Metrics {
        let tables_named_max = match tables {
            TableSeries::Top => TABLES_NAMED_MAX,
            TableSeries::All => usize::MAX,
            TableSeries::None => 0,
        };
        let links = Links { tables_named_max, shown: Arc::default() };
        let mut registry = Registry::default();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("weir_build", "Version of weir", build);
        registry.register_collector(Box::new(links.clone()));
        let alerts = AlertCounts::default();
        registry.register_collector(Box::new(alerts.clone()));
        Metrics { registry, links, alerts }
    }

    /// By what alerts are counted.
    pub fn alerts(&self) -> AlertCounts {
        self.alerts.clone()
    }

    /// Shows these links from now on, and no others: the series of those that are gone end.
    pub fn watch(&self, links: Vec<Watched>) {
        let mut shown = self.links.lock();
        let is_watched = |link: &LinkName| links.iter().any(|watched| watched.link == *link);
        shown.counts.retain(|link, _| is_watched(link));
        for watched in &links {
            shown.counts.entry(watched.link.clone()).or_default();
        }
        shown.watched = links;
    }

    /// Counts rows that copies have written, by table.
    pub fn copied<'a>(&self, link: &LinkName, rows: impl Iterator<Item = (&'a str, u64)>) {
        let mut shown = self.links.lock();
        let named = shown.counts.values().map(Counts::tables_named).sum();
        let free = self.links.tables_named_max.saturating_sub(named);
        shown.counts.entry(link.clone()).or_default().copied(rows, free);
    }

    /// Shows this free space from now on.
    pub fn watch_space(&self, space: Space) {
        self.links.lock().space = Some(space);
    }
}

impl Observer for Metrics {
    fn applied(&self, link: &LinkName, batch: &BatchReport) {
        let mut shown = self.links.lock();
        let named = shown.counts.values().map(Counts::tables_named).sum();
        let free = self.links.tables_named_max.saturating_sub(named);
        shown.counts.entry(link.clone()).or_default().applied(batch, free);
    }

    fn ruled(&self, link: &LinkName, counts: &[RuleCount]) {
        self.links.count(link, |all| all.ruled(counts));
    }

    fn flagged(&self, link: &LinkName, table: &TableName, kind: &'static str, writes: u64) {
        self.links.count(link, |all| all.flagged(table, kind, writes));
    }

    fn missed(&self, link: &LinkName, rows: u64) {
        self.links.count(link, |counts| counts.missed += rows);
    }

    fn partial(&self, link: &LinkName, rows: u64) {
        self.links.count(link, |counts| counts.partial += rows);
    }

    fn refetched(&self, link: &LinkName, rows: u64) {
        self.links.count(link, |counts| counts.refetched += rows);
    }

    fn set_aside(&self, link: &LinkName, letters: u64) {
        self.links.count(link, |counts| counts.set_aside += letters);
    }

    fn failed(&self, link: &LinkName, kind: Kind) {
        self.links.count(link, |counts| {
            *counts.errors.entry(kind.name()).or_default() += 1;
            if matches!(kind.disposition(), Disposition::Retry | Disposition::Wait) {
                *counts.retries.entry(kind.name()).or_default() += 1;
            }
        });
    }
}

impl Exposition for Metrics {
    fn metrics(&self) -> String {
        let mut out = String::new();
        match text::encode(&mut out, &self.registry) {
            Ok(()) => out,
            Err(cause) => format!("# cannot encode the metrics: {cause}\n# EOF\n"),
        }
    }

    fn readiness(&self) -> Readiness {
        let shown = self.links.lock();
        let of = |watched: &'_ Watched| watched.status.borrow().clone();
        Readiness::of(shown.watched.iter().map(|watched| (&watched.link, of(watched))))
    }
}

/// Name, help and value of a gauge; without a value it has no series.
type GaugeOf = (&'static str, &'static str, fn(&LinkStatus, i64) -> Option<f64>);

/// Name, help and value of a counter.
type SumOf = (&'static str, &'static str, fn(&Counts) -> u64);

/// One series per link each. The second parameter is the time, microseconds since 1970.
const GAUGES: &[GaugeOf] = &[
    (
        "weir_link_state_since_timestamp_seconds",
        "Since when the link is in its state, Unix time; tries in a row are one state",
        |status, _| (status.since_us > 0).then(|| status.since_us as f64 / 1e6),
    ),
    (
        "weir_lag_seconds",
        "How far the target is behind: zero when idle, growing when anything is stuck",
        |status, now| lag_seconds(&status.lag, now),
    ),
    (
        "weir_lag_bytes",
        "Bytes of log between what is applied and the head of the source",
        |status, _| status.lag_bytes.map(|bytes| bytes as f64),
    ),
    (
        "weir_lag_transactions",
        "Transactions between what is applied and the head of the source (MySQL and MariaDB)",
        |status, _| status.lag_transactions.map(|count| count as f64),
    ),
    (
        "weir_last_applied_timestamp_seconds",
        "Source commit time of the newest applied transaction, Unix time",
        |status, _| status.lag.last_applied_us.map(|at| at as f64 / 1e6),
    ),
    ("weir_queue_bytes", "Bytes read and waiting to be applied", |status, _| {
        status.queue_bytes.map(|bytes| bytes as f64)
    }),
    (
        "weir_missed",
        "Open notes of updates that found no row; above 500 at least so many",
        |status, _| status.open_notes.map(|open| open.missed as f64),
    ),
    (
        "weir_partial",
        "Open notes of rows that the log holds in part only; above 500 at least so many",
        |status, _| status.open_notes.map(|open| open.partial as f64),
    ),
    (
        "weir_refetch_seconds",
        "At least how long the oldest open note waits: zero without any",
        |status, now| status.refetch_seconds(now),
    ),
    (
        "weir_set_aside_rows",
        "Rows of which changes are set aside: they are not as at the source",
        |status, _| status.known_set_aside().map(|aside| aside.rows as f64),
    ),
    ("weir_dead_letters", "Changes that are set aside, rows of weir.dead_letter", |status, _| {
        status.known_set_aside().map(|aside| aside.letters as f64)
    }),
    (
        "weir_verify_last_run_timestamp_seconds",
        "When the last comparison of both sides was over",
        |status, _| status.compared?.ended_us.map(|at| at as f64 / 1e6),
    ),
    ("weir_verify_running", "1 while both sides are compared", |status, _| {
        status.compared.map(|compared| f64::from(u8::from(compared.going)))
    }),
    (
        "weir_verify_compared_rows",
        "Rows that the last comparison, or the one under way, has looked at",
        |status, _| status.compared.map(|compared| compared.counts.compared as f64),
    ),
    (
        "weir_slot_retained_bytes",
        "Bytes of log that the source keeps for the slot (PostgreSQL)",
        |status, _| status.retention.retained_bytes.map(|bytes| bytes as f64),
    ),
    (
        "weir_slot_safe_wal_bytes",
        "Bytes that may be written before the slot is lost, 0 where it is (PostgreSQL)",
        |status, _| status.retention.safe_bytes.map(|bytes| bytes as f64),
    ),
    (
        "weir_log_purge_eta_seconds",
        "Least time until the file that is read next may be purged (MySQL and MariaDB)",
        |status, _| status.retention.purge_eta.map(|eta| eta.as_secs_f64()),
    ),
    (
        "weir_prepared_seconds",
        "How long the oldest two-phase transaction (XA) waits for its commit (MySQL and MariaDB)",
        |status, now| status.prepared_for(now).map(|seconds| seconds as f64),
    ),
];

impl Collector for Links {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shown = self.lock();
        let encoder = &mut encoder;
        shown.space(encoder)?;
        shown.states(encoder)?;
        shown.differences(encoder)?;
        let now = now_us();
        for (name, help, value) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for Watched { link, status } in &shown.watched {
                let value = value(&status.borrow(), now);
                if let Some(value) = value {
                    let series = ConstGauge::new(value);
                    series.encode(family.encode_family(&labels(link))?)?;
                }
            }
        }
        shown.sums(encoder)?;
        shown.kinds(encoder, "weir_errors", "Errors that ended an attempt", |one| &one.errors)?;
        shown
            .kinds(encoder, "weir_retries", "Retries after such as may pass", |one| &one.retries)?;
        shown.rows(encoder)?;
        shown.rules(encoder)?;
        shown.flagged(encoder)?;
        shown.copies(encoder, self.tables_named_max)?;
        shown.distributions(encoder)
    }
}

fn labels(link: &LinkName) -> [(&str, &str); 2] {
    [("source", &link.source), ("target", &link.target)]
}

impl Shown {
    fn space(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) =
            ("weir_state_free_bytes", "Free space of the state directory's file system");
        let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        match self.space.as_ref().and_then(|space| space.now().free) {
            Some(free) => ConstGauge::new(free as f64).encode(gauge),
            None => Ok(()),
        }
    }

    fn states(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = ("weir_link_state", "1 for the state that the link is in");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for Watched { link, status } in &self.watched {
            let current = status.borrow().state;
            for state in LinkState::ALL {
                let [source, target] = labels(link);
                let labels = [source, target, ("state", state.name())];
                let value = ConstGauge::new(i64::from(state == current));
                value.encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn differences(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = (
            "weir_verify_rows",
            "Rows by what the last comparison, or the one under way, has found them to be",
        );
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for Watched { link, status } in &self.watched {
            let Some(compared) = status.borrow().compared else { continue };
            for (result, rows) in compared.counts.by_name() {
                let [source, target] = labels(link);
                let labels = [source, target, ("result", result)];
                ConstGauge::new(rows as f64).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn sums(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let families: [SumOf; 5] = [
            ("weir_transactions", "Source transactions applied", |one| one.transactions),
            ("weir_missed_rows", "Updates that found no row on the target", |one| one.missed),
            ("weir_partial_rows", "Rows that the log held in part only", |one| one.partial),
            ("weir_refetched_rows", "Such rows read again at the source", |one| one.refetched),
            ("weir_set_aside_changes", "Changes that were set aside", |one| one.set_aside),
        ];
        for (name, help, value) in families {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (link, counts) in &self.counts {
                count(value(counts), family.encode_family(&labels(link))?)?;
            }
        }
        Ok(())
    }

    fn kinds(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        by_kind: fn(&Counts) -> &BTreeMap<&'static str, u64>,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (link, counts) in &self.counts {
            for (kind, value) in by_kind(counts) {
                let [source, target] = labels(link);
                let labels = [source, target, ("kind", kind)];
                count(*value, family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn rows(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = ("weir_rows", "Rows written to the target, after merging");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (link, counts) in &self.counts {
            for (table, operation, value) in counts.rows() {
                let [source, target] = labels(link);
                let labels = [source, target, ("table", table), ("operation", operation)];
                count(value, family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn flagged(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = ("weir_flagged_writes", "Writes by a database that is not the owner");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (link, counts) in &self.counts {
            for ((table, kind), value) in &counts.flagged {
                let [source, target] = labels(link);
                let labels = [source, target, ("table", table.as_str()), ("kind", kind)];
                count(*value, family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn rules(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = ("weir_rule_outcomes", "Values that validations found wanting");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (link, counts) in &self.counts {
            for ([table, column, rule, outcome], value) in &counts.rules {
                let [source, target] = labels(link);
                let labels = [
                    source,
                    target,
                    ("table", table.as_str()),
                    ("column", column.as_str()),
                    ("rule", rule.as_str()),
                    ("outcome", outcome.as_str()),
                ];
                count(*value, family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn distributions(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for distribution in Distribution::ALL {
            let (name, help) = distribution.name();
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
            for (link, counts) in &self.counts {
                let labels = labels(link);
                counts.histogram(distribution).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn count(value: u64, series: MetricEncoder<'_>) -> fmt::Result {
    ConstCounter::new(value).encode(series)
}

#[cfg(test)]
mod tests;
