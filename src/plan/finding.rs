//! What is wrong with a configuration or a server, with what to do about it.
//!
//! Findings are collected, so that an operator sees all of them at once.

use crate::error::Kind;

/// One result of a preflight check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the link cannot run with it.
    pub fatal: bool,
    /// The kind of error it would be at run time.
    pub kind: Kind,
    /// What it is about: a database, table, column or setting.
    pub subject: String,
    /// What is wrong, a lower-case phrase.
    pub message: String,
    /// What to do about it, with the statement to run where there is one.
    pub hint: String,
}
