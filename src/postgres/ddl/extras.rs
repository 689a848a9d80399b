//! Checks, computed columns and indexes of a table of PostgreSQL, as far as they mean the same there.

use super::super::sql::{quote, quote_name};
use super::Maker;
use super::formula::print;
use crate::link::ports::Creation;
use crate::model::formula::Formula;
use crate::model::schema::{Index, Part};
use crate::model::{Column, Table, Type};
use crate::plan::formula::{Kind, holds, meaning};

/// Bytes of an entry of an index, less some for what is around it.
const ENTRY_BYTES_MAX: usize = 2600;
/// Bytes of a character.
const CHAR_BYTES: usize = 4;
/// Bytes that a value of any other type takes in an entry.
const VALUE_BYTES: usize = 48;

/// Why something is left out whose expression is not understood.
pub(super) const UNKNOWN: &str = "it is not known to mean the same here";

impl<'a> Maker<'a> {
    /// The lines of a table's checks.
    pub(super) fn checks(&mut self, table: &Table, creation: &mut Creation) -> Vec<String> {
        let mut lines = Vec::new();
        for check in &table.extras.checks {
            let made = match &check.formula {
                _ if !check.holds => Err("the source does not hold every row to it"),
                None => Err(UNKNOWN),
                Some(formula) => self.formula(table, formula),
            };
            match made {
                Ok((text, Kind::Truth)) => {
                    let own = &table.name.table;
                    let name = match check.name.starts_with(own.as_str()) {
                        true => check.name.clone(),
                        false => format!("{own}_{}", check.name),
                    };
                    let name = quote(&self.free_name(table, &name));
                    lines.push(format!("CONSTRAINT {name} CHECK ({text})"));
                }
                Ok(_) => creation.leave_out("check", &said(&check.name, &check.text), UNKNOWN),
                Err(why) => creation.leave_out("check", &said(&check.name, &check.text), why),
            }
        }
        lines
    }

    /// What a computed column computes.
    pub(super) fn computed(&self, table: &Table, column: &Column) -> Result<String, &'static str> {
        const LEFT: &str = "computed by the source, in no way that is known to mean the same here";
        let formula = column.formula.as_ref().ok_or(LEFT)?;
        let is_computed =
            |column: &Column| column.generated && formula.columns().contains(column.name.as_str());
        if table.columns.iter().any(is_computed) {
            return Err("computed by the source of another computed column");
        }
        let (text, kind) = self.formula(table, formula).map_err(|_| LEFT)?;
        if holds(column, &kind) { Ok(text) } else { Err(LEFT) }
    }

    /// A formula over columns that are made.
    fn formula(&self, table: &Table, formula: &Formula) -> Result<(String, Kind), &'static str> {
        for name in formula.columns() {
            let column = table.columns.iter().find(|column| column.name == name);
            if column.is_none_or(|column| self.definition(table, column).is_err()) {
                return Err("a column of it is left out");
            }
        }
        let (formula, kind) = meaning(formula, table, self.dialect)?;
        Ok((print(&formula), kind))
    }

    /// The statements of a table's indexes beside its keys.
    pub(super) fn indexes(&mut self, table: &Table, creation: &mut Creation) {
        for index in &table.extras.indexes {
            let what = if index.unique { "unique index" } else { "index" };
            match self.parts(table, index) {
                Ok(parts) => {
                    let own = &table.name.table;
                    let name = match index.name.starts_with(own.as_str()) {
                        true => index.name.clone(),
                        false => format!("{own}_{}", index.name),
                    };
                    let name = self.free_name(table, &name);
                    creation.statements.push(format!(
                        "CREATE {}INDEX {} ON {} ({})",
                        if index.unique { "UNIQUE " } else { "" },
                        quote(&name),
                        quote_name(&table.name),
                        parts.join(", ")
                    ));
                }
                Err(why) => creation.leave_out(what, &index.name, &why),
            }
        }
    }

    fn parts(&self, table: &Table, index: &Index) -> Result<Vec<String>, String> {
        if let Some(why) = &index.unfit {
            return Err(why.clone());
        }
        let (mut parts, mut bytes) = (Vec::new(), 0);
        for (part, downwards) in &index.parts {
            let (text, most) = self.part(table, part)?;
            bytes += most;
            parts.push(if *downwards { format!("{text} DESC") } else { text });
        }
        if bytes > ENTRY_BYTES_MAX {
            return Err("its values may be longer than an index takes here".to_owned());
        }
        Ok(parts)
    }

    /// What an index is over, and the most bytes of it.
    fn part(&self, table: &Table, part: &Part) -> Result<(String, usize), String> {
        let characters = |count: u32| (count as usize).saturating_mul(CHAR_BYTES);
        match part {
            Part::Column(name) => {
                let column = self.made(table, name)?;
                let bytes = match &column.ty {
                    Type::Char { chars } | Type::Text { chars: Some(chars), .. } => {
                        characters(*chars)
                    }
                    Type::Text { chars: None, .. } | Type::Json(_) => usize::MAX / 2,
                    Type::Bytes { bytes } => bytes
                        .and_then(|bytes| usize::try_from(bytes).ok())
                        .unwrap_or(usize::MAX / 2),
                    Type::Binary { bytes } => *bytes as usize,
                    Type::Native { .. } => {
                        return Err("the type of a column of it has no order".to_owned());
                    }
                    _ => VALUE_BYTES,
                };
                Ok((quote(name), bytes))
            }
            Part::Prefix(name, length) => match &self.made(table, name)?.ty {
                Type::Text { .. } => {
                    Ok((format!("left({}, {length})", quote(name)), characters(*length)))
                }
                Type::Char { .. } => {
                    Ok((format!("left({}::text, {length})", quote(name)), characters(*length)))
                }
                Type::Bytes { .. } | Type::Binary { .. } => {
                    Ok((format!("substr({}, 1, {length})", quote(name)), *length as usize))
                }
                _ => Err(UNKNOWN.to_owned()),
            },
            Part::Formula(formula) => match self.formula(table, formula)? {
                (text, Kind::Number { .. } | Kind::Truth) => Ok((format!("({text})"), VALUE_BYTES)),
                _ => Err(UNKNOWN.to_owned()),
            },
            Part::Unknown(text) => Err(format!("{text} is not known to mean the same here")),
        }
    }

    /// A column that is made.
    fn made<'t>(&self, table: &'t Table, name: &str) -> Result<&'t Column, &'static str> {
        let column = table.columns.iter().find(|column| column.name == name);
        let column = column.ok_or("a column of it is left out")?;
        self.definition(table, column).map_err(|_| "a column of it is left out")?;
        Ok(column)
    }
}

/// A check by its name and what it says.
fn said(name: &str, text: &str) -> String {
    format!("{name} ({text})")
}
