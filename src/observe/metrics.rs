//! Metrics in OpenMetrics text, named as Prometheus wants.
//!
//! Counters are fed by the links' [`Observer`] port as batches commit; gauges are computed from each
//! link's status at the moment of the scrape, so that a stuck link's lag grows although nothing
//! happens. Names are registered without `_total`, which the encoder adds. Clock skew between the
//! source and this machine shows in `weir_lag_seconds` only while there is something to apply.

use std::fmt;
use std::sync::{Arc, OnceLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::config::LinkName;
use crate::error::{Disposition, Kind};
use crate::link::lag::lag_seconds;
use crate::link::observer::{BatchReport, Observer};
use crate::link::status::{LinkState, LinkStatus, now_us};
use crate::model::Verb;
use crate::observe::http::Exposition;

/// The registry and the counters that links feed.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    rows: Family<RowLabels, Counter>,
    transactions: Family<LinkLabels, Counter>,
    errors: Family<KindLabels, Counter>,
    retries: Family<KindLabels, Counter>,
    missed: Family<LinkLabels, Counter>,
    refetched: Family<LinkLabels, Counter>,
    batch_rows: Family<LinkLabels, Histogram>,
    apply_seconds: Family<LinkLabels, Histogram>,
    links: Arc<OnceLock<Vec<Watched>>>,
}

/// A link and where its status is seen.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The link.
    pub link: LinkName,
    /// Its status.
    pub status: watch::Receiver<LinkStatus>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LinkLabels {
    source: String,
    target: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RowLabels {
    source: String,
    target: String,
    table: String,
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    source: String,
    target: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    source: String,
    target: String,
    state: &'static str,
}

fn link_labels(link: &LinkName) -> LinkLabels {
    LinkLabels { source: link.source.clone(), target: link.target.clone() }
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

impl Default for Metrics {
    fn default() -> Self {
        let batch_rows = || Histogram::new(exponential_buckets(1.0, 4.0, 8));
        let apply_seconds = || Histogram::new(exponential_buckets(0.001, 4.0, 9));
        let mut metrics = Metrics {
            registry: Registry::default(),
            rows: Family::default(),
            transactions: Family::default(),
            errors: Family::default(),
            retries: Family::default(),
            missed: Family::default(),
            refetched: Family::default(),
            batch_rows: Family::new_with_constructor(batch_rows),
            apply_seconds: Family::new_with_constructor(apply_seconds),
            links: Arc::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("weir_build", "Version of weir", build);
        let mut counter = |name: &str, help: &str, family: &Family<LinkLabels, Counter>| {
            registry.register(name, help, family.clone());
        };
        counter("weir_transactions", "Source transactions applied", &self.transactions);
        counter("weir_missed_rows", "Updates that found no row on the target", &self.missed);
        counter("weir_refetched_rows", "Missed rows read again at the source", &self.refetched);
        registry.register(
            "weir_rows",
            "Rows written to the target, after merging",
            self.rows.clone(),
        );
        registry.register(
            "weir_errors",
            "Errors that ended an attempt of a link",
            self.errors.clone(),
        );
        registry.register(
            "weir_retries",
            "Retries after errors that may pass",
            self.retries.clone(),
        );
        let batch_rows = self.batch_rows.clone();
        registry.register("weir_batch_rows", "Rows written per target transaction", batch_rows);
        registry.register(
            "weir_apply_duration_seconds",
            "Target transaction, first statement to commit",
            self.apply_seconds.clone(),
        );
        registry.register_collector(Box::new(Gauges(Arc::clone(&self.links))));
    }

    /// Shows these links; called once, before the endpoint is up.
    pub fn watch(&self, links: Vec<Watched>) {
        for watched in &links {
            let labels = link_labels(&watched.link);
            drop(self.transactions.get_or_create(&labels));
            drop(self.missed.get_or_create(&labels));
            drop(self.refetched.get_or_create(&labels));
        }
        if self.links.set(links).is_err() {
            tracing::error!("the metrics watch other links already");
        }
    }

    fn watched(&self) -> &[Watched] {
        self.links.get().map_or(&[], Vec::as_slice)
    }
}

impl Observer for Metrics {
    fn applied(&self, link: &LinkName, batch: &BatchReport) {
        let labels = link_labels(link);
        self.transactions.get_or_create(&labels).inc_by(batch.transactions);
        let mut rows = 0;
        for count in &batch.rows {
            rows += count.rows;
            let labels = RowLabels {
                source: link.source.clone(),
                target: link.target.clone(),
                table: count.table.to_string(),
                operation: operation(count.verb),
            };
            self.rows.get_or_create(&labels).inc_by(count.rows);
        }
        self.batch_rows.get_or_create(&labels).observe(rows as f64);
        self.apply_seconds.get_or_create(&labels).observe(batch.elapsed.as_secs_f64());
    }

    fn missed(&self, link: &LinkName, rows: u64) {
        self.missed.get_or_create(&link_labels(link)).inc_by(rows);
    }

    fn refetched(&self, link: &LinkName, rows: u64) {
        self.refetched.get_or_create(&link_labels(link)).inc_by(rows);
    }

    fn failed(&self, link: &LinkName, kind: Kind) {
        let labels = KindLabels {
            source: link.source.clone(),
            target: link.target.clone(),
            kind: kind.name(),
        };
        self.errors.get_or_create(&labels).inc();
        if kind.disposition() == Disposition::Retry {
            self.retries.get_or_create(&labels).inc();
        }
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

    fn not_ready(&self) -> Vec<String> {
        let waiting = self.watched().iter().filter_map(|watched| {
            let status = watched.status.borrow();
            let why = status.error.as_ref().map_or("", |error| error.text.as_str());
            (status.state != LinkState::Running)
                .then(|| format!("{} {} {why}", watched.link, status.state.name()))
        });
        waiting.collect()
    }
}

/// What is computed at each scrape.
#[derive(Debug)]
struct Gauges(Arc<OnceLock<Vec<Watched>>>);

impl Gauges {
    fn links(&self) -> &[Watched] {
        self.0.get().map_or(&[], Vec::as_slice)
    }

    /// One gauge with a value per link; links without a value are left out.
    fn family(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        value: impl Fn(&LinkStatus) -> Option<f64>,
    ) -> Result<(), fmt::Error> {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for watched in self.links() {
            let value = value(&watched.status.borrow());
            if let Some(value) = value {
                let labels = link_labels(&watched.link);
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn states(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "1 for the state that the link is in";
        let mut family =
            encoder.encode_descriptor("weir_link_state", help, None, MetricType::Gauge)?;
        for watched in self.links() {
            let current = watched.status.borrow().state;
            for state in LinkState::ALL {
                let labels = StateLabels {
                    source: watched.link.source.clone(),
                    target: watched.link.target.clone(),
                    state: state.name(),
                };
                let value = i64::from(state == current);
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let encoder = &mut encoder;
        self.states(encoder)?;
        let now = now_us();
        self.family(
            encoder,
            "weir_lag_seconds",
            "How far the target is behind; near zero when idle, growing when stuck",
            |status| lag_seconds(&status.lag, now),
        )?;
        self.family(
            encoder,
            "weir_lag_bytes",
            "Bytes of log between the witness and the source's head",
            |status| status.lag_bytes.map(|bytes| bytes as f64),
        )?;
        self.family(
            encoder,
            "weir_last_applied_timestamp_seconds",
            "Source commit time of the newest applied transaction, Unix time",
            |status| status.lag.last_applied_us.map(|at| at as f64 / 1e6),
        )
    }
}
