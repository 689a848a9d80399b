//! What is wrong with a configuration or a server, with what to do about it.
//!
//! Findings are collected, so that an operator sees all of them at once.

use crate::error::Kind;

/// One result of a preflight check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether `weir check` fails with it.
    pub fatal: bool,
    /// The kind of error it would be at run time.
    pub kind: Kind,
    /// What it is about: a database, table, column or setting.
    pub subject: String,
    /// What is wrong, a lower-case phrase.
    pub message: String,
    /// What to do about it, in words; beside `mend`, what to do after it or elsewhere, if anything.
    pub hint: String,
    /// The statements that mend it, to be run one by one in one session, in order, without a final
    /// semicolon; empty where no statement of the server's can.
    pub mend: Vec<String>,
}

impl Finding {
    /// The same, mended by these statements.
    #[must_use]
    pub fn mended_by<S: Into<String>>(mut self, statements: impl IntoIterator<Item = S>) -> Self {
        self.mend = statements.into_iter().map(Into::into).collect();
        self
    }

    /// Whether a link cannot run with it. Log that will be missing, or will fill a disk, one day is
    /// an error to whoever checks, and no reason to stop what is in order now.
    pub fn refuses_to_run(&self) -> bool {
        self.fatal && !matches!(self.kind, Kind::Gap | Kind::DiskFull)
    }

    /// What to do, as one line.
    pub fn advice(&self) -> String {
        let run = format!("run: {}", self.mend.join("; "));
        match (self.mend.is_empty(), self.hint.is_empty()) {
            (true, _) => self.hint.clone(),
            (false, true) => run,
            (false, false) => format!("{run}; {}", self.hint),
        }
    }
}

/// A server's clock that is further off than this, in seconds, is told.
const SKEW_SECONDS_MAX: f64 = 5.0;

/// What is wrong with a server's clock that said `there`, in seconds since 1970, between two moments
/// of weir's own, in microseconds since 1970.
pub fn skew(there: f64, (before, after): (i64, i64)) -> Option<String> {
    let ahead = there - f64::midpoint(before as f64, after as f64) / 1e6;
    let which = if ahead > 0.0 { "ahead of" } else { "behind" };
    let by = ahead.abs();
    (by > SKEW_SECONDS_MAX)
        .then(|| format!("the server's clock is {by:.0} s {which} weir's: lag will look wrong"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if an operator were told half of what to do, or a link stopped for what is in order.
    #[test]
    fn statements_come_before_words() {
        let finding = |kind, hint: &str| Finding {
            fatal: true,
            kind,
            subject: "database crm".to_owned(),
            message: "it is".to_owned(),
            hint: hint.to_owned(),
            mend: Vec::new(),
        };
        assert_eq!(finding(Kind::Setting, "restart it").advice(), "restart it");
        let mended = finding(Kind::Gap, "restart it").mended_by(["SET a = 1", "SET b = 2"]);
        assert_eq!(mended.advice(), "run: SET a = 1; SET b = 2; restart it");
        assert!(!mended.refuses_to_run() && finding(Kind::Setting, "").refuses_to_run());
        assert_eq!(finding(Kind::Setting, "").mended_by(["A"]).advice(), "run: A");
    }

    /// Broken if a clock that is off were not told, or told the wrong way round.
    #[test]
    fn clocks_that_are_off_are_told() {
        let between = (999_000_000, 1_001_000_000);
        assert_eq!(skew(1_004.0, between), None);
        assert!(skew(1_010.0, between).is_some_and(|text| text.contains("10 s ahead of")));
        assert!(skew(990.0, between).is_some_and(|text| text.contains("10 s behind")));
    }
}
