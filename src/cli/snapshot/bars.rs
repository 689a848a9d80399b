//! How far copies are, while one waits for them: bars on a terminal, a line a table every few seconds
//! elsewhere; all of it on standard error, so that what comes of them stands alone on standard output.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::copies::CopyLine;
use crate::cli::output::complain;
use crate::snapshot::progress::Stage;

/// Bars at most; of more tables it is said how many there are.
const BARS_MAX: usize = 12;
/// Between two lines of a table.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// A table's name, a bar, and how far it is.
const TEMPLATE: &str = "{prefix:24!} [{bar:24}] {msg}";

/// Who shows it.
pub(super) enum Display {
    /// A terminal.
    Bars(Bars),
    /// A file or a pipe; when it was told last.
    Lines(Option<Instant>),
    /// Nobody: what comes of it is told as JSON.
    Silent,
}

/// What is on the terminal.
pub(super) struct Bars {
    screen: MultiProgress,
    tables: BTreeMap<String, ProgressBar>,
    rest: Option<ProgressBar>,
}

impl Display {
    /// For whoever reads standard error; nobody, where `silent`.
    pub(super) fn new(silent: bool) -> Display {
        use std::io::IsTerminal;
        match (silent, std::io::stderr().is_terminal()) {
            (true, _) => Display::Silent,
            (false, false) => Display::Lines(None),
            (false, true) => {
                let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
                Display::Bars(Bars { screen, tables: BTreeMap::new(), rest: None })
            }
        }
    }

    /// Shows these.
    pub(super) fn show(&mut self, lines: &[CopyLine]) {
        match self {
            Display::Bars(bars) => bars.show(lines),
            Display::Lines(told) => {
                if told.is_some_and(|at| at.elapsed() < TELL_EVERY) {
                    return;
                }
                *told = Some(Instant::now());
                crate::cli::copies::summary(lines).iter().for_each(|line| complain!("{line}"));
            }
            Display::Silent => {}
        }
    }

    /// Takes down what is on the terminal.
    pub(super) fn end(&mut self) {
        if let Display::Bars(bars) = self
            && let Err(cause) = bars.screen.clear()
        {
            tracing::debug!(%cause, "the bars stay");
        }
    }
}

impl Bars {
    fn show(&mut self, lines: &[CopyLine]) {
        let is_shown = |line: &&CopyLine| !line.is_over() && line.stage != Stage::Waiting.name();
        let shown: Vec<&CopyLine> = lines.iter().filter(is_shown).take(BARS_MAX).collect();
        self.tables.retain(|table, bar| {
            let stays = shown.iter().any(|line| line.table == *table);
            if !stays {
                bar.finish_and_clear();
                self.screen.remove(bar);
            }
            stays
        });
        for line in &shown {
            let screen = &self.screen;
            let bar = self.tables.entry(line.table.clone()).or_insert_with(|| {
                let bar = screen.insert(0, ProgressBar::new(1)).with_prefix(line.table.clone());
                if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                    bar.set_style(style.progress_chars("=> "));
                }
                bar
            });
            let all = line.rows_estimated.unwrap_or_default().max(line.rows).max(1);
            bar.set_length(all);
            bar.set_position(if line.rows_estimated.is_some() { line.rows } else { 0 });
            let text = line.to_string();
            let text = text.strip_prefix(&line.table).unwrap_or(&text).trim_start();
            bar.set_message(text.to_owned());
        }
        let over = lines.iter().filter(|line| line.is_over()).count();
        let rest = self.rest.get_or_insert_with(|| {
            let bar = self.screen.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            bar
        });
        rest.set_message(format!("{over} of {} tables are over", lines.len()));
        rest.tick();
    }
}
