//! What a room proposes to make at a target: statements, and in words what they do without. Plain data
//! that prints as a script.

use std::fmt;

use crate::model::Column;
use crate::plan::{Blueprint, comment};

/// One thing that `weir ddl` makes on a target. Printed, it is a script for the server's own client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Creation {
    /// What it is: a table, or a foreign key of one.
    pub what: String,
    /// The statements; they belong together.
    pub statements: Vec<String>,
    /// Why it cannot be made, in words; there are no statements then.
    pub refused: Option<String>,
    /// What it does without, in words.
    pub left_out: Vec<String>,
    /// The columns among that, by their places in the blueprint, with the reason.
    pub columns_left_out: Vec<(usize, String)>,
}

impl Creation {
    /// Nothing made of a blueprint yet.
    pub(crate) fn of(what: String, blueprint: &Blueprint) -> Creation {
        let (refused, left_out) = (blueprint.refused.clone(), blueprint.left_out.clone());
        Creation { what, refused, left_out, ..Creation::default() }
    }

    pub(crate) fn leave_out(&mut self, what: &str, name: &str, why: &str) {
        self.left_out.push(format!("{what} {name}: {why}"));
    }

    pub(crate) fn leave_out_column(&mut self, at: usize, column: &Column, why: &str) {
        self.leave_out("column", &format!("{} ({})", column.name, column.native), why);
        self.columns_left_out.push((at, why.to_owned()));
    }
}

impl fmt::Display for Creation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.refused {
            writeln!(f, "{}", comment(&format!("{} is not made: {why}", self.what)))?;
        }
        for remark in &self.left_out {
            writeln!(f, "{}", comment(&format!("left out: {remark}")))?;
        }
        for statement in &self.statements {
            writeln!(f, "{};", statement.trim_end().trim_end_matches(';'))?;
        }
        Ok(())
    }
}
