//! What becomes of copies: looked at in `weir.snapshot`, with what the running weir tells of their pace, until
//! all are over. A link that is halted or paused copies nothing, so nobody waits for it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::bars::Display;
use super::open;
use crate::cli::context::Ends;
use crate::cli::copies::CopyLine;
use crate::cli::output::{complain, say};
use crate::cli::status::{Line, look};
use crate::cli::{exit, hint, print_json};
use crate::config::Config;
use crate::error::{Disposition, Result};
use crate::link::ports::{Copies, StoredCopy};
use crate::snapshot::order::Order;
use crate::snapshot::progress::{Progress, Stage};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long weir may be away, as when it is started anew.
const AWAY_MAX: Duration = Duration::from_secs(10);

/// A table that is watched.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) source: String,
    pub(super) target: String,
    /// The id of what was asked.
    pub(super) order: Option<String>,
}

/// What one look saw.
pub(super) struct Seen {
    /// In the order of the tables.
    pub(super) lines: Vec<CopyLine>,
    /// Orders that are not taken up.
    asked: usize,
    running: bool,
    link: Option<Line>,
}

/// Who watches.
pub(super) struct Watch<'a> {
    config: &'a Config,
    ends: &'a Ends<'a>,
    copies: Option<Box<dyn Copies>>,
    tables: Vec<Table>,
    json: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        config: &'a Config,
        ends: &'a Ends<'a>,
        copies: Box<dyn Copies>,
        tables: Vec<Table>,
        json: bool,
    ) -> Watch<'a> {
        Watch { config, ends, copies: Some(copies), tables, json }
    }

    /// Watches until all are over or nobody works at them.
    pub(super) async fn run(mut self) -> Result<ExitCode> {
        let mut display = Display::new(self.json);
        let mut away: Option<Instant> = None;
        let mut troubled = false;
        loop {
            let Some(stored) = self.list(&mut troubled).await? else {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            };
            let seen = self.look(&stored).await?;
            display.show(&seen.lines);
            if seen.asked == 0 && seen.lines.iter().all(CopyLine::is_over) {
                display.end();
                return self.over(&seen.lines);
            }
            let since = away.filter(|_| !seen.running);
            away = (!seen.running).then(|| since.unwrap_or_else(Instant::now));
            let gone = away.is_some_and(|at| at.elapsed() > AWAY_MAX);
            if let Some(code) = self.nobody(&seen, gone) {
                display.end();
                self.print(&seen.lines)?;
                code.tell(self.ends);
                return Ok(ExitCode::from(code.exit()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What is stored; `None` where the target cannot be asked now, which is told once.
    async fn list(&mut self, troubled: &mut bool) -> Result<Option<Vec<StoredCopy>>> {
        let listed = match self.copies.as_mut() {
            Some(copies) => copies.list().await,
            None => match open(self.ends).await {
                Ok(mut copies) => {
                    let listed = copies.list().await;
                    self.copies = Some(copies);
                    listed
                }
                Err(error) => Err(error),
            },
        };
        match listed {
            Ok(stored) => {
                *troubled = false;
                Ok(Some(stored))
            }
            Err(error) if error.kind().disposition() == Disposition::Retry => {
                if !std::mem::replace(troubled, true) {
                    complain!("weir: {}; looking again", error.chain());
                    complain!("  hint: {}", hint(&error));
                }
                self.copies = None;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// How the tables stand, with what the running weir tells of them.
    pub(super) async fn look(&mut self, stored: &[StoredCopy]) -> Result<Seen> {
        let (running, links) = look(self.config).await?;
        let link = links.into_iter().find(|line| line.link == self.ends.link().to_string());
        let mut seen = Seen { lines: Vec::new(), asked: 0, running, link };
        for table in &self.tables {
            let kept = stored.iter().find(|copy| copy.table == table.target);
            let asked =
                kept.and_then(|copy| copy.asked.as_deref()).map(Order::of_text).transpose()?;
            let own = asked.as_ref().is_some_and(|order| Some(&order.id) == table.order.as_ref());
            seen.asked += usize::from(own);
            let progress = kept.and_then(|copy| copy.progress.as_deref());
            let progress = progress.map(Progress::of_text).transpose()?.unwrap_or_default();
            let mut line = match own && progress.stage.is_over() {
                // What is over is an earlier copy.
                true => CopyLine::of_progress(&table.source, &Progress::default()),
                false => CopyLine::of_progress(&table.source, &progress),
            };
            if let Some(order) = &asked {
                line.waits_for = Some(format!("{} is asked for", order.what.name()));
            } else if let Some(told) = pace(seen.link.as_ref(), &line) {
                line.rows_per_second = told.rows_per_second;
                line.seconds_left = told.seconds_left;
                line.waits_for.clone_from(&told.waits_for);
            }
            seen.lines.push(line);
        }
        Ok(seen)
    }

    /// Why nobody works at what is open, if so.
    fn nobody(&self, seen: &Seen, gone: bool) -> Option<Idle> {
        if gone {
            return Some(Idle::Away);
        }
        if !seen.running {
            return None;
        }
        match &seen.link {
            None => Some(Idle::Unknown),
            Some(line) if line.is_standing() => Some(Idle::Standing(Box::new(line.clone()))),
            Some(_) => {
                let mut open = seen.lines.iter().filter(|line| !line.is_over());
                let paused = seen.asked == 0 && open.clone().all(|line| line.paused);
                open.next().filter(|_| paused).map(|line| Idle::Paused(line.table.clone()))
            }
        }
    }

    fn print(&self, lines: &[CopyLine]) -> Result<()> {
        if self.json {
            let link = self.ends.link().to_string();
            return print_json(&serde_json::json!({ "link": link, "copies": lines }));
        }
        lines.iter().for_each(|line| say!("{line}"));
        Ok(())
    }

    /// All are over.
    fn over(&self, lines: &[CopyLine]) -> Result<ExitCode> {
        self.print(lines)?;
        if lines.iter().any(|line| line.set_aside > 0) {
            complain!("weir: rows were set aside");
            complain!("  hint: see `weir dead-letters list {}`", self.ends.link());
        }
        if let Some(line) = lines.iter().find(|line| line.extra > line.deleted) {
            complain!("weir: the target has rows that the source has not");
            let (link, table) = (self.ends.link(), &line.table);
            complain!(
                "  hint: `weir snapshot {link} {table} --delete-extra` copies it once more and deletes them"
            );
        }
        let cancelled = lines.iter().any(|line| line.stage == Stage::Cancelled.name());
        Ok(ExitCode::from(if cancelled { exit::FAILED } else { exit::GOOD }))
    }
}

/// What the running link tells of a copy.
fn pace<'a>(link: Option<&'a Line>, line: &CopyLine) -> Option<&'a CopyLine> {
    link?.copies.iter().find(|told| told.table == line.table && told.stage == line.stage)
}

/// Why nobody works at copies.
enum Idle {
    Away,
    Unknown,
    Standing(Box<Line>),
    Paused(String),
}

impl Idle {
    fn exit(&self) -> u8 {
        match self {
            Idle::Away | Idle::Unknown => exit::FAILED,
            Idle::Standing(_) | Idle::Paused(_) => exit::HALTED,
        }
    }

    fn tell(&self, ends: &Ends<'_>) {
        let link = ends.link();
        let (what, hint) = match self {
            Idle::Away => (
                "weir is not running: nothing is copied".to_owned(),
                "start `weir run`; what is asked for is remembered".to_owned(),
            ),
            Idle::Unknown => {
                (format!("{link} is not a link of the running weir"), "`weir reload`".to_owned())
            }
            Idle::Standing(line) => {
                (format!("{link} is {} and copies nothing", line.describe()), line.way_on())
            }
            Idle::Paused(table) => (
                format!("{link}: the copy of {table} is paused"),
                format!("`weir snapshot {link} {table} --resume`"),
            ),
        };
        complain!("weir: {what}");
        complain!("  hint: {hint}");
    }
}
