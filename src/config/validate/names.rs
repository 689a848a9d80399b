//! Names in the configuration: their form, and references from one section to another.

use crate::config::problem::{Place, Report};
use crate::config::read::At;
use crate::config::suggest::did_you_mean;
use crate::model::TableName;

/// Checks `[a-z][a-z0-9_]*` of at most `chars_max` characters.
pub(super) fn well_formed(
    name: &At<String>,
    what: &str,
    chars_max: usize,
    report: &mut Report<'_>,
) {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let rest = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !first || !rest || name.len() > chars_max {
        report.add(
            name.place,
            format!("`{}` is not a well-formed name of {what}", name.value),
            format!("use a-z, 0-9 and _, a letter first, at most {chars_max} characters"),
        );
    }
}

/// The names of the configured databases.
pub(super) struct Databases<'f>(pub(super) Vec<&'f str>);

impl Databases<'_> {
    /// Whether a database is configured; notes it if not.
    pub(super) fn check(&self, name: &str, place: Place, report: &mut Report<'_>) -> bool {
        let known = self.0.contains(&name);
        if !known {
            let message = format!("there is no [database.{name}]");
            report.add(place, message, did_you_mean(name, &self.0));
        }
        known
    }
}

/// Reads `schema.table`.
pub(super) fn table_name(text: &str, place: Place, report: &mut Report<'_>) -> Option<TableName> {
    match text.split_once('.') {
        Some((schema, table)) if !schema.is_empty() && !table.is_empty() => {
            if table.contains('.') {
                let message = "names that hold a dot are not supported by this version";
                report.add(place, message, "write `schema.table`");
                return None;
            }
            if text.contains('*') {
                report.add(place, "a table is named here, not a pattern", "name it in full");
                return None;
            }
            Some(TableName::new(schema, table))
        }
        _ => {
            let message = format!("`{text}` does not name a table");
            report.add(place, message, "write `schema.table`; on MySQL `database.table`");
            None
        }
    }
}

/// Checks a list of names or patterns of columns and returns it.
pub(super) fn columns(
    list: Option<&At<Vec<At<String>>>>,
    patterns: bool,
    report: &mut Report<'_>,
) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in list.into_iter().flat_map(|list| &list.value) {
        if name.is_empty() {
            report.add(name.place, "a column's name is empty", "");
        } else if name.contains('*') && !patterns {
            report.add(name.place, "a column is named here, not a pattern", "name it in full");
        } else if names.contains(&name.value) {
            report.add(name.place, format!("`{}` is written twice", name.value), "keep one");
        } else {
            names.push(name.value.clone());
        }
    }
    names
}
