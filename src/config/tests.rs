//! Whole configurations: what is accepted, what is refused, and that all of it is told at once.

mod alerts;
mod copies;
mod files;
mod random;
mod refused;
mod rules;

use std::path::Path;

use super::{Config, Problems, parse};

/// A configuration that is complete but for its tables.
const HEAD: &str = "name = 'prod'\n\
    [database.shop]\nurl = 'mysql://weir@127.0.0.1/shop'\n\
    [database.dwh]\nurl = 'postgres://weir@127.0.0.1/dwh'\n\
    [database.crm]\nurl = 'mariadb://weir@127.0.0.1:3307/sales'\n";

fn parsed(text: &str) -> Result<Config, Problems> {
    parse(&[("weir.toml", text)], Path::new("/etc/weir"))
}

/// The problems of a text, one per line, hints included.
fn problems(text: &str) -> String {
    match parsed(text) {
        Ok(_) => "none".to_owned(),
        Err(problems) => problems.to_string(),
    }
}
