//! Copies of tables in the metrics: how many stand where, and how far each is that is not over. Which
//! tables have series of their own is bounded as for rows; those of more are summed up as one.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::counts::OTHER;
use super::{Shown, count, labels};
use crate::link::status::CopyStatus;
use crate::snapshot::progress::Stage;

/// In place of the stage of one that a person has paused.
const PAUSED: &str = "paused";
const STAGES: [&str; 6] = [
    Stage::Waiting.name(),
    Stage::Copying.name(),
    Stage::Checking.name(),
    PAUSED,
    Stage::Done.name(),
    Stage::Cancelled.name(),
];

/// Name, help and value of a gauge.
type FarOf = (&'static str, &'static str, fn(&Far) -> u64);

/// Rows written, and rows that there are by the source's estimate.
#[derive(Clone, Copy, Default)]
struct Far {
    rows: u64,
    estimate: u64,
}

fn standing(copy: &CopyStatus) -> &'static str {
    let paused = copy.progress.paused && !copy.progress.stage.is_over();
    if paused { PAUSED } else { copy.progress.stage.name() }
}

impl Shown {
    /// All of it.
    pub(super) fn copies(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        tables_named_max: usize,
    ) -> fmt::Result {
        self.stages(encoder)?;
        self.far(encoder, tables_named_max)?;
        let (name, help) = ("weir_copy_rows", "Rows written by copies of tables");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (link, counts) in &self.counts {
            for (table, rows) in &counts.copied {
                let [source, target] = labels(link);
                let labels = [source, target, ("table", table)];
                count(*rows, family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn stages(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = ("weir_copies", "Tables whose copy stands there");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for watched in &self.watched {
            let status = watched.status.borrow();
            if status.copies.is_empty() {
                continue;
            }
            for stage in STAGES {
                let [source, target] = labels(&watched.link);
                let labels = [source, target, ("stage", stage)];
                let tables = status.copies.iter().filter(|copy| standing(copy) == stage).count();
                ConstGauge::new(tables as i64).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn far(&self, encoder: &mut DescriptorEncoder<'_>, tables_named_max: usize) -> fmt::Result {
        let mut free = tables_named_max;
        let mut all = Vec::new();
        for watched in &self.watched {
            let mut tables: BTreeMap<String, Far> = BTreeMap::new();
            let status = watched.status.borrow();
            for copy in status.copies.iter().filter(|copy| !copy.progress.stage.is_over()) {
                let named = free > 0;
                free -= usize::from(named);
                let table = if named { copy.table.clone() } else { OTHER.to_owned() };
                let far = tables.entry(table).or_default();
                far.rows += copy.progress.rows;
                far.estimate += copy.progress.estimate.unwrap_or_default().max(copy.progress.rows);
            }
            all.push((&watched.link, tables));
        }
        let families: [FarOf; 2] = [
            ("weir_copy_rows_done", "Rows written by a copy that is not over", |far| far.rows),
            (
                "weir_copy_rows_estimate",
                "Rows that such a copy has to write, as the source estimates them",
                |far| far.estimate,
            ),
        ];
        for (name, help, value) in families {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (link, tables) in &all {
                for (table, far) in tables {
                    let [source, target] = labels(link);
                    let labels = [source, target, ("table", table.as_str())];
                    ConstGauge::new(value(far) as f64).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use crate::config::{LinkName, TableSeries};
    use crate::link::status::{CopyStatus, LinkStatus};
    use crate::observe::http::Exposition;
    use crate::observe::metrics::{Metrics, Watched};
    use crate::snapshot::progress::{Progress, Stage};

    fn copy(number: usize, stage: Stage) -> CopyStatus {
        CopyStatus {
            table: format!("s.t{number}"),
            progress: Progress { stage, rows: 2, estimate: Some(8), ..Progress::default() },
            ..CopyStatus::default()
        }
    }

    /// Broken if how far copies are were not to be seen, if ten thousand of them were ten thousand series,
    /// or if one that is over went on being shown.
    #[test]
    fn copies_are_shown_within_bounds() {
        let metrics = Metrics::new(TableSeries::Top);
        let link = LinkName { source: "shop".to_owned(), target: "dwh".to_owned() };
        let mut copies: Vec<_> = (0..250).map(|number| copy(number, Stage::Copying)).collect();
        copies.push(copy(900, Stage::Done));
        copies.push(CopyStatus {
            progress: Progress { paused: true, ..copy(901, Stage::Copying).progress },
            ..copy(901, Stage::Copying)
        });
        let status = LinkStatus { copies, ..LinkStatus::default() };
        metrics.watch(vec![Watched { link: link.clone(), status: watch::channel(status).1 }]);
        metrics.copied(&link, [("s.t0", 5), ("s.t0", 6)].into_iter());
        let text = metrics.metrics();
        let value = |series: &str| {
            let line = text.lines().find(|line| line.starts_with(series));
            line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
        };
        let ends = "source=\"shop\",target=\"dwh\"";
        let of = |name: &str, label: &str| value(&format!("{name}{{{ends},{label}}}"));
        assert_eq!(of("weir_copies", "stage=\"copying\"").as_deref(), Some("250"));
        assert_eq!(of("weir_copies", "stage=\"paused\"").as_deref(), Some("1"));
        assert_eq!(of("weir_copies", "stage=\"done\"").as_deref(), Some("1"));
        assert_eq!(of("weir_copy_rows_estimate", "table=\"s.t0\"").as_deref(), Some("8.0"));
        assert_eq!(of("weir_copy_rows_done", "table=\"other\"").as_deref(), Some("102.0"));
        assert_eq!(of("weir_copy_rows_total", "table=\"s.t0\"").as_deref(), Some("11"));
        let series = text.lines().filter(|line| line.starts_with("weir_copy_rows_done{")).count();
        assert_eq!(series, 201);
        assert!(of("weir_copy_rows_done", "table=\"s.t900\"").is_none());
    }
}
