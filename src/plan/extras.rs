//! What of a source's checks, indexes and computed columns a target's table can have, under its names.
//!
//! They are over values as the source has them: over a column that is changed on its way none is carried.

use crate::model::formula::Formula;
use crate::model::schema::{Check, Extras, Index, Part};

/// Why something of a table is left out.
const OTHER: &str = "a column of it is ignored, or changed on its way";

/// The extras of a table whose columns have other names; `name` knows those that are what they are at the
/// source. Says in words what is left out.
pub(super) fn renamed(
    extras: &Extras,
    name: &impl Fn(&str) -> Option<String>,
    left_out: &mut Vec<String>,
) -> Extras {
    let mut made = Extras { comment: extras.comment.clone(), ..Extras::default() };
    for check in &extras.checks {
        let formula = check.formula.as_ref().map(|formula| formula.renamed(name));
        match formula {
            Some(None) => left_out.push(format!("check {} ({}): {OTHER}", check.name, check.text)),
            formula => made.checks.push(Check { formula: formula.flatten(), ..check.clone() }),
        }
    }
    for index in &extras.indexes {
        let parts: Option<Vec<_>> =
            index.parts.iter().map(|(of, down)| Some((part(of, name)?, *down))).collect();
        match parts {
            Some(parts) => made.indexes.push(Index { parts, ..index.clone() }),
            None => left_out.push(format!("index {}: {OTHER}", index.name)),
        }
    }
    made
}

fn part(part: &Part, name: &impl Fn(&str) -> Option<String>) -> Option<Part> {
    Some(match part {
        Part::Column(own) => Part::Column(name(own)?),
        Part::Prefix(own, length) => Part::Prefix(name(own)?, *length),
        Part::Formula(formula) => Part::Formula(Formula::renamed(formula, name)?),
        Part::Unknown(text) => Part::Unknown(text.clone()),
    })
}
