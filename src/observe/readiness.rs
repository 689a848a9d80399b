//! What `/readyz` says: whether every link runs, and a line for each that does not, or that runs with
//! rows set aside. Pure; no values of rows, no secrets.

use crate::config::LinkName;
use crate::link::moment::rfc3339;
use crate::link::status::{LinkState, LinkStatus};

/// How the links are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Links that do not run, one line each.
    pub waiting: Vec<String>,
    /// Links that run and have set rows aside, one line each.
    pub aside: Vec<String>,
}

impl Readiness {
    /// Of these links.
    pub(super) fn of<'a>(links: impl Iterator<Item = (&'a LinkName, LinkStatus)>) -> Readiness {
        let mut readiness = Readiness::default();
        for (link, status) in links {
            if status.state != LinkState::Running {
                readiness.waiting.push(waiting(link, &status));
            } else if status.set_aside.rows > 0 {
                readiness.aside.push(aside(link, &status));
            }
        }
        readiness
    }

    /// Whether every link runs.
    pub fn is_ready(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All of it, a line each.
    pub fn text(&self) -> String {
        let head = if self.is_ready() { "ready\n" } else { "" };
        let lines = self.waiting.iter().chain(&self.aside);
        lines.fold(head.to_owned(), |text, line| text + line + "\n")
    }
}

/// `shop:dwh halted since 2026-11-30T10:43:02Z: gap: …; hint: …`
fn waiting(link: &LinkName, status: &LinkStatus) -> String {
    let line = format!("{link} {} since {}", status.state.name(), rfc3339(status.since_us));
    match &status.error {
        Some(error) => {
            let (kind, text, hint) = (error.kind.name(), &error.text, &error.hint);
            one_line(&format!("{line}: {kind}: {text}; hint: {hint}"))
        }
        None if status.state == LinkState::Paused => {
            format!("{line}; hint: `weir resume {link}` lets it go on")
        }
        None => line,
    }
}

/// `shop:dwh runs, 3 rows set aside since 2026-11-30T10:43:02Z; hint: …`
fn aside(link: &LinkName, status: &LinkStatus) -> String {
    let set_aside = &status.set_aside;
    let since = set_aside.since_us.map_or(String::new(), |at| format!(" since {}", rfc3339(at)));
    let (count, hint) = (set_aside.count(), set_aside.hint(link));
    format!("{link} runs, {count} set aside{since}; hint: {hint}")
}

/// Servers write messages of several lines.
fn one_line(text: &str) -> String {
    text.split(char::is_control).map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::link::ledger::HaltRecord;
    use crate::link::status::SetAside;

    const SINCE_US: i64 = 1_709_210_096_000_000;

    fn said(status: LinkStatus) -> Readiness {
        let link = LinkName { source: "shop".to_owned(), target: "dwh".to_owned() };
        let status = LinkStatus { since_us: SINCE_US, ..status };
        Readiness::of([(&link, status)].into_iter())
    }

    /// Broken if whoever looks at `/readyz` could not tell which link stands, in which way, since when,
    /// why and what to do; or if a server's message broke its line.
    #[test]
    fn each_link_that_waits_says_why_in_one_line() {
        let error = HaltRecord {
            kind: Kind::DiskFull,
            text: "write a.t:\nno space".to_owned(),
            hint: "free space".to_owned(),
            since_us: 7,
        };
        for (state, error, expected) in [
            (LinkState::Starting, None, "starting since 2024-02-29T12:34:56Z"),
            (
                LinkState::Retrying,
                Some(error.clone()),
                "retrying since 2024-02-29T12:34:56Z: disk_full: write a.t: no space; hint: free space",
            ),
            (
                LinkState::Halted,
                Some(error),
                "halted since 2024-02-29T12:34:56Z: disk_full: write a.t: no space; hint: free space",
            ),
            (
                LinkState::Paused,
                None,
                "paused since 2024-02-29T12:34:56Z; hint: `weir resume shop:dwh` lets it go on",
            ),
        ] {
            let said = said(LinkStatus { state, error, ..LinkStatus::default() });
            assert!(!said.is_ready());
            assert_eq!(said.text(), format!("shop:dwh {expected}\n"));
        }
    }

    /// Broken if rows that are set aside took a link that runs out of service, or were not seen.
    #[test]
    fn rows_set_aside_are_told_of_links_that_run() {
        let running = LinkStatus { state: LinkState::Running, ..LinkStatus::default() };
        assert_eq!(said(running.clone()).text(), "ready\n");
        for (rows, letters, expected) in [(1, 1, "1 row"), (3, 7, "3 rows")] {
            let set_aside = SetAside { rows, letters, since_us: Some(SINCE_US) };
            let said = said(LinkStatus { set_aside, ..running.clone() });
            assert!(said.is_ready());
            let hint = "hint: see `weir dead-letters list shop:dwh`";
            let since = "since 2024-02-29T12:34:56Z";
            let line = format!("shop:dwh runs, {expected} set aside {since}; {hint}");
            assert_eq!(said.text(), format!("ready\n{line}\n"));
        }
    }
}
