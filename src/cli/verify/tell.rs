//! What a comparison has found, for people: a line per table, its first differences below it.

use crate::cli::output::{complain, say};
use crate::config::LinkName;
use crate::verify::report::{Counts, Difference, Listed, Report, Stage, TableReport};

/// What was found, on standard output.
pub(super) fn report(link: &str, report: &Report) {
    for table in &report.tables {
        say!("{link} {}", line(table));
        for one in &table.listed {
            say!("  {}", listed(one));
        }
        let counts = &table.counts;
        let more = (counts.missing + counts.extra + counts.differing)
            .saturating_sub(table.listed.len() as u64);
        if more > 0 && report.order.listed_max > 0 {
            say!("  and {more} more");
        }
    }
    let total = report.total();
    if total.differences() > 0 && !report.order.repair {
        complain!(
            "  hint: `weir verify {link} --repair` has these rows read at their owner and written"
        );
    }
    if total.set_aside > 0 {
        complain!("  hint: of rows that are set aside see `weir dead-letters list {link}`");
    }
}

/// How far it is, on standard error.
pub(super) fn progress(link: &LinkName, report: &Report) {
    let done = report.tables.iter().filter(|table| table.stage == Stage::Done).count();
    let total = report.total();
    let of = report.tables.iter().map(|table| table.estimate).sum::<Option<u64>>();
    let of = of.map_or(String::new(), |rows| format!(" of about {rows}"));
    let trouble = report.trouble.as_ref();
    let waits = report.tables.iter().find(|table| table.stage == Stage::Waiting);
    let why = trouble.or_else(|| waits.and_then(|table| table.reason.as_ref()));
    let why = why.map_or(String::new(), |why| format!("; {why}"));
    complain!(
        "{link}: {} rows{of} compared, {} differences, {done} of {} tables{why}",
        total.compared,
        total.differences(),
        report.tables.len()
    );
}

fn line(table: &TableReport) -> String {
    let names = match table.source == table.target {
        true => table.source.clone(),
        false => format!("{} -> {}", table.source, table.target),
    };
    match (table.stage, &table.reason) {
        (Stage::Done, _) => format!("{names}: {}", counted(&table.counts)),
        (_, Some(why)) => format!("{names}: not compared: {why}"),
        (_, None) => format!("{names}: not compared to its end; {}", counted(&table.counts)),
    }
}

/// The counts in words; what did not occur is left out.
fn counted(counts: &Counts) -> String {
    let more = [
        (counts.missing, "missing"),
        (counts.extra, "extra"),
        (counts.differing, "differing"),
        (counts.mended, "of these mended"),
        (counts.tolerated, "kept at the target after their delete"),
        (counts.set_aside, "set aside"),
        (counts.unfit, "without a form at the target"),
        (counts.changing, "changing all the time"),
    ];
    let more = more.into_iter().filter(|(rows, _)| *rows > 0);
    let more: String = more.map(|(rows, what)| format!(", {rows} {what}")).collect();
    format!("{} rows compared, {} equal{more}", counts.compared, counts.equal)
}

fn listed(one: &Listed) -> String {
    let what = match one.what {
        Difference::Missing => "missing",
        Difference::Extra => "extra",
        Difference::Differing => "differing",
    };
    let columns = match one.columns.is_empty() {
        true => String::new(),
        false => format!(": {}", one.columns.join(", ")),
    };
    let mended = if one.mended { " (mended)" } else { "" };
    format!("{what} {}{columns}{mended}", one.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a count were told under another's name, or one that matters not at all.
    #[test]
    fn counts_are_told_in_words() {
        let counts = Counts {
            compared: 9,
            equal: 5,
            missing: 2,
            differing: 1,
            set_aside: 1,
            ..Counts::default()
        };
        assert_eq!(
            counted(&counts),
            "9 rows compared, 5 equal, 2 missing, 1 differing, 1 set aside"
        );
        let one = Listed {
            what: Difference::Differing,
            key: "[7]".into(),
            columns: vec!["a".into(), "b".into()],
            mended: true,
        };
        assert_eq!(listed(&one), "differing [7]: a, b (mended)");
    }

    /// Broken if a table that was not compared looked as if it were equal.
    #[test]
    fn what_was_not_compared_is_told_so() {
        let table = TableReport {
            source: "a.t".into(),
            target: "a.t".into(),
            stage: Stage::Refused,
            reason: Some("no such table".into()),
            ..TableReport::default()
        };
        assert_eq!(line(&table), "a.t: not compared: no such table");
        let cut_off = TableReport { reason: None, stage: Stage::Comparing, ..table };
        assert!(line(&cut_off).contains("not compared to its end"));
    }
}
