//! The exposition as a whole: names, labels, which series there are.

use std::time::Duration;

use super::*;
use crate::link::notes::OpenNotes;
use crate::link::observer::RowCount;
use crate::link::ports::Retention;
use crate::link::status::SetAside;
use crate::model::{TableName, Verb};
use crate::verify::report::{Counts, Summary};

fn link(target: &str) -> LinkName {
    LinkName { source: "shop".to_owned(), target: target.to_owned() }
}

fn batch(tables: impl Iterator<Item = String>) -> BatchReport {
    let rows = tables.map(|table| RowCount {
        table: TableName::new("s", table),
        verb: Verb::Update,
        rows: 2,
    });
    BatchReport {
        transactions: 1,
        rows: rows.collect(),
        latencies: vec![Duration::from_millis(3)],
        ..BatchReport::default()
    }
}

fn watched(link: &LinkName, status: LinkStatus) -> Watched {
    Watched { link: link.clone(), status: watch::channel(status).1 }
}

fn rows(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("weir_rows_total{")).collect()
}

/// Broken if ten thousand tables were ten thousand series, if a count moved between a table's own
/// series and the common one, or if a row were counted in both or none.
#[test]
fn tables_are_named_up_to_a_limit_and_stay_so() {
    let metrics = Metrics::new(TableSeries::Top);
    let (first, second) = (link("dwh"), link("crm"));
    metrics.applied(&first, &batch((0..150).map(|n| format!("t{n}"))));
    metrics.applied(&second, &batch((0..150).map(|n| format!("t{n}"))));
    for _ in 0..3 {
        metrics.applied(&second, &batch(["t49".to_owned(), "t50".to_owned()].into_iter()));
    }
    let text = metrics.metrics();
    let series = rows(&text);
    assert_eq!(series.len(), 201);
    let of = |table: &str| {
        let label = format!("target=\"crm\",table=\"{table}\"");
        series.iter().find(|line| line.contains(&label)).map(|line| line.rsplit(' ').next())
    };
    assert_eq!(of("s.t49"), Some(Some("8")));
    assert_eq!((of("s.t50"), of("other")), (None, Some(Some("206"))));

    metrics.watch(vec![watched(&second, LinkStatus::default())]);
    metrics.applied(&second, &batch(["t50".to_owned()].into_iter()));
    let text = metrics.metrics();
    assert!(rows(&text).iter().any(|line| line.contains("s.t50") && line.ends_with(" 2")));
    assert!(rows(&text).iter().any(|line| line.contains("other") && line.ends_with(" 206")));
    for (tables, named) in [(TableSeries::All, 300), (TableSeries::None, 1)] {
        let metrics = Metrics::new(tables);
        metrics.applied(&first, &batch((0..300).map(|n| format!("t{n}"))));
        assert_eq!(rows(&metrics.metrics()).len(), named);
    }
}

/// Broken if a link that is not configured any more went on to be shown, or one that has done
/// nothing yet had no counters to take a rate of.
#[test]
fn a_link_that_is_gone_has_no_series() {
    let metrics = Metrics::new(TableSeries::Top);
    let (first, second) = (link("dwh"), link("crm"));
    metrics.watch(vec![watched(&first, LinkStatus::default())]);
    metrics.failed(&first, Kind::Connection);
    metrics.missed(&first, 1);
    metrics.set_aside(&first, 2);
    let aside = "weir_set_aside_changes_total{source=\"shop\",target=\"dwh\"} 2\n";
    assert!(metrics.metrics().contains(aside));
    assert!(metrics.metrics().contains("target=\"dwh\",kind=\"connection\"} 1"));
    metrics.watch(vec![watched(&second, LinkStatus::default())]);
    let text = metrics.metrics();
    assert!(!text.contains("dwh"), "{text}");
    assert!(text.contains("weir_transactions_total{source=\"shop\",target=\"crm\"} 0"), "{text}");
}

/// Broken if what is not known were shown as nothing, or what is known were not shown.
#[test]
fn what_is_not_known_has_no_series() {
    let metrics = Metrics::new(TableSeries::Top);
    let name = link("dwh");
    metrics.watch(vec![watched(&name, LinkStatus::default())]);
    let text = metrics.metrics();
    for (gauge, ..) in GAUGES {
        assert!(!text.contains(&format!("\n{gauge}{{")), "{gauge}");
    }
    let mut status = LinkStatus {
        seen: "mysql:~mysql:~X'61',X'',1@1700000000".parse().ok(),
        lag_bytes: Some(1),
        lag_transactions: Some(0),
        queue_bytes: Some(2_048),
        since_us: 1_700_000_000_000_000,
        open_notes: Some(OpenNotes { missed: 3, partial: 4 }),
        set_aside: SetAside { rows: 2, letters: 5, since_us: None },
        retention: Retention {
            retained_bytes: Some(4),
            safe_bytes: Some(-5),
            purge_eta: Some(Duration::from_secs(6)),
        },
        compared: Some(Summary { ended_us: Some(1), ..Summary::default() }),
        ..LinkStatus::default()
    };
    status.lag.caught_up_at_us = Some(now_us());
    status.lag.last_applied_us = Some(1_700_000_000_000_000);
    metrics.watch(vec![watched(&name, status)]);
    let text = metrics.metrics();
    for (gauge, ..) in GAUGES {
        assert!(text.contains(&format!("\n{gauge}{{source=\"shop\",target=\"dwh\"}} ")), "{gauge}");
    }
    for (gauge, value) in [("weir_set_aside_rows", 2), ("weir_dead_letters", 5)] {
        let line = format!("{gauge}{{source=\"shop\",target=\"dwh\"}} {value}.0");
        assert!(text.contains(&line), "{line}");
    }
    assert!(text.contains("weir_slot_safe_wal_bytes{source=\"shop\",target=\"dwh\"} -5"), "{text}");
}

/// Broken if what a comparison has found were not to be seen, or a link that was never compared looked as
/// if both sides were equal.
#[test]
fn what_a_comparison_finds_has_series() {
    let metrics = Metrics::new(TableSeries::None);
    let counts = Counts { compared: 9, equal: 6, missing: 3, ..Counts::default() };
    let compared = Some(Summary { going: false, ended_us: Some(5_000_000), counts });
    let found = LinkStatus { compared, ..LinkStatus::default() };
    metrics.watch(vec![watched(&link("dwh"), found), watched(&link("crm"), LinkStatus::default())]);
    let text = metrics.metrics();
    for line in [
        "weir_verify_rows{source=\"shop\",target=\"dwh\",result=\"missing\"} 3.0",
        "weir_verify_compared_rows{source=\"shop\",target=\"dwh\"} 9.0",
        "weir_verify_running{source=\"shop\",target=\"dwh\"} 0.0",
        "weir_verify_last_run_timestamp_seconds{source=\"shop\",target=\"dwh\"} 5.0",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in\n{text}");
    }
    assert!(!text.lines().any(|line| line.starts_with("weir_verify") && line.contains("crm")));
}
