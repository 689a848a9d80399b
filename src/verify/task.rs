//! Comparisons beside the stream: a task of each attempt, which takes up what is asked for at the link's
//! desk, and goes on where the attempt before was cut off.
//!
//! A comparison never ends an attempt: what may pass is tried again, a table that cannot be compared is
//! told of as refused. Its connections are its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::error::{Disposition, Error, Result};
use crate::link::backoff::Backoff;
use crate::link::ends::Ends;
use crate::link::lag::lag_seconds;
use crate::link::ports::Scan;
use crate::link::question::Question;
use crate::link::status::{LinkStatus, now_us};
use crate::plan::{LinkPlan, TablePlan, mirror};
use crate::verify::compare::Comparison;
use crate::verify::desk::Desk;
use crate::verify::inquiry::Inquiry;
use crate::verify::pace::Pace;
use crate::verify::pair::Pair;
use crate::verify::report::{Report, Stage, TableReport};

/// Waits after what may pass.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How often a table that is being copied is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a comparison needs of the attempt it is part of.
pub struct Task {
    /// The link's plan.
    pub plan: Arc<LinkPlan>,
    /// What it connects.
    pub ends: Arc<dyn Ends>,
    /// The apply task.
    pub questions: mpsc::Sender<Question>,
    /// Where it is asked.
    pub desk: Arc<Desk>,
    /// The link's status.
    pub status: watch::Receiver<LinkStatus>,
}

impl Task {
    /// Compares whenever that is asked for, until the apply task has ended.
    pub async fn run(self) {
        let apply = self.questions.clone();
        tokio::select! {
            biased;
            () = apply.closed() => {}
            never = self.serve() => match never {},
        }
    }

    async fn serve(&self) -> Infallible {
        let mut known = self.desk.watch();
        let mut backoff = Backoff::new(WAIT.0, WAIT.1, fastrand::u64(..));
        loop {
            if known.wait_for(|known| known.going).await.is_err() {
                // The desk lives as long as this task.
                std::future::pending::<()>().await;
            }
            match self.compare().await {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    tracing::warn!(
                        link = %self.plan.link,
                        error = error.chain(),
                        "the comparison will be tried again"
                    );
                    self.desk.update(|report| report.trouble = Some(error.chain()));
                    sleep(backoff.next_wait()).await;
                }
            }
        }
    }

    /// One comparison from where it stands to its end.
    async fn compare(&self) -> Result<()> {
        self.desk.update(|report| set_out(report, &self.plan));
        let Some(report) = self.desk.known().report else { return Ok(()) };
        let mirrored = Arc::new(mirror(&self.plan));
        let mut source = self.ends.reader(Arc::clone(&self.plan)).await?;
        let mut target = self.ends.target_reader(mirrored).await?;
        let inquiry = Inquiry { questions: self.questions.clone(), repair: report.order.repair };
        let status = self.status.clone();
        let lag = move || lag_seconds(&status.borrow().lag, now_us());
        let mut pace = Pace::new(report.order.rows_per_second, Box::new(lag));
        for (at, table) in report.tables.into_iter().enumerate() {
            if matches!(table.stage, Stage::Done | Stage::Refused) {
                continue;
            }
            let ends = [&mut source, &mut target];
            self.one((at, table), ends, &inquiry, &mut pace).await?;
            self.desk.update(|report| report.trouble = None);
        }
        self.desk.end(now_us()).await?;
        self.tell();
        Ok(())
    }

    /// One table.
    async fn one(
        &self,
        (at, mut report): (usize, TableReport),
        [source, target]: [&mut Box<dyn Scan>; 2],
        inquiry: &Inquiry,
        pace: &mut Pace,
    ) -> Result<()> {
        let named = |table: &Arc<TablePlan>| {
            table.source.name.to_string() == report.source
                && table.target.name.to_string() == report.target
        };
        let Some(index) = self.plan.tables.iter().position(named) else {
            report.stage = Stage::Refused;
            report.reason = Some("it is no table of this link".to_owned());
            return self.keep(at, &report).await;
        };
        while self.is_copied(&report.source) {
            report.reason = Some("it is being copied".to_owned());
            self.desk.put(at, &report);
            sleep(LOOK_EVERY).await;
        }
        report.reason = None;
        report.stage = Stage::Comparing;
        let pair = Pair::of(&self.plan, index)?;
        let desk = (self.desk.as_ref(), at);
        let mut comparison = Comparison {
            pair: &pair,
            source: source.as_mut(),
            target: target.as_mut(),
            inquiry,
            pace,
            desk,
            report,
        };
        match comparison.run().await {
            Err(error) if !may_pass(&error) => {
                let mut report = comparison.report;
                report.stage = Stage::Refused;
                report.reason = Some(error.chain());
                self.keep(at, &report).await
            }
            ended => {
                ended.map_err(|error| error.within(format!("compare {}", comparison.report.source)))
            }
        }
    }

    /// Whether rows of the table are being copied, so that the target lacks some.
    fn is_copied(&self, table: &str) -> bool {
        let status = self.status.borrow();
        status.copies.iter().any(|copy| copy.table == table && !copy.progress.stage.is_over())
    }

    async fn keep(&self, at: usize, report: &TableReport) -> Result<()> {
        self.desk.put(at, report);
        self.desk.keep(true).await
    }

    fn tell(&self) {
        let Some(report) = self.desk.known().report else { return };
        let total = report.total();
        tracing::info!(
            link = %self.plan.link,
            compared = total.compared,
            equal = total.equal,
            missing = total.missing,
            extra = total.extra,
            differing = total.differing,
            mended = total.mended,
            set_aside = total.set_aside,
            changing = total.changing,
            "both sides were compared"
        );
    }
}

fn may_pass(error: &Error) -> bool {
    matches!(error.disposition(), Disposition::Retry | Disposition::Wait)
}

/// Lists the tables that are asked for, where that was not done before.
fn set_out(report: &mut Report, plan: &LinkPlan) {
    if !report.tables.is_empty() {
        return;
    }
    let asked = &report.order.tables;
    let mut unknown: Vec<&String> = asked.iter().collect();
    for table in &plan.tables {
        let (source, target) = (table.source.name.to_string(), table.target.name.to_string());
        let is_named =
            |name: &String| *name == source || *name == target || *name == table.source.name.table;
        if asked.is_empty() || asked.iter().any(is_named) {
            report.tables.push(TableReport { source, target, ..TableReport::default() });
            let names = |name: &&String| {
                let table = [&table.source.name, &table.target.name];
                !table.iter().any(|table| table.to_string() == **name || table.table == **name)
            };
            unknown.retain(names);
        }
    }
    let unknown = unknown.into_iter().map(|name| TableReport {
        source: name.clone(),
        target: name.clone(),
        ..TableReport::default()
    });
    let unknown: Vec<_> = unknown.collect();
    report.tables.extend(unknown);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::plan_of;
    use crate::verify::report::Order;

    /// Broken if a table that is asked for by either name were not compared, one that nobody asked for
    /// was, or a name that is no table's passed in silence.
    #[test]
    fn tables_are_chosen_by_name() {
        let plan = plan_of(&["id"]);
        let chosen = |tables: &[&str]| -> Vec<String> {
            let tables = tables.iter().map(|&name| name.to_owned()).collect();
            let mut report = Report::of(Order { tables, ..Order::default() }, 0);
            set_out(&mut report, &plan);
            report.tables.into_iter().map(|table| table.source).collect()
        };
        assert_eq!(chosen(&[]), ["public.t"]);
        assert_eq!(chosen(&["my_db.t"]), ["public.t"]);
        assert_eq!(chosen(&["t"]), ["public.t"]);
        assert_eq!(chosen(&["public.t", "public.u"]), ["public.t", "public.u"]);
    }
}
