//! Checks, computed columns and indexes of a table of MySQL or MariaDB, as far as they mean the same there.

use super::super::sql::quote;
use super::formula::print;
use super::keys::KEY_BYTES_MAX;
use super::{CHAR_BYTES, Drawn, Maker, shorten};
use crate::config::Dialect;
use crate::link::ports::Creation;
use crate::model::Column;
use crate::model::formula::Formula;
use crate::model::schema::{Index, Part};
use crate::plan::formula::{Kind, holds, meaning};

/// Why something is left out whose expression is not understood.
const UNKNOWN: &str = "it is not known to mean the same here";

impl Drawn<'_> {
    /// What a computed column computes.
    pub(super) fn computed(
        &self,
        at: usize,
        column: &Column,
        (source, target): (Dialect, Dialect),
    ) -> Result<String, &'static str> {
        const LEFT: &str = "computed by the source, in no way that is known to mean the same here";
        let table = &self.blueprint.table;
        let is_primary = |own: &&[usize]| own.contains(&at);
        if target == Dialect::Mariadb && table.primary_key().as_ref().is_some_and(is_primary) {
            return Err("computed by the source, and MariaDB has no such primary keys");
        }
        let formula = column.formula.as_ref().ok_or(LEFT)?;
        let is_computed =
            |column: &Column| column.generated && formula.columns().contains(column.name.as_str());
        if table.columns.iter().any(is_computed) {
            return Err("computed by the source of another computed column");
        }
        let (text, kind) = self.formula(formula, source).map_err(|_| LEFT)?;
        if holds(column, &kind) { Ok(text) } else { Err(LEFT) }
    }

    /// A formula over columns that are made, and that servers let one be over.
    fn formula(&self, formula: &Formula, source: Dialect) -> Result<(String, Kind), &'static str> {
        let table = &self.blueprint.table;
        for name in formula.columns() {
            let at = table.column_index(name).filter(|at| self.is_made(*at));
            let column = at.and_then(|at| table.columns.get(at));
            if column.ok_or("a column of it is left out")?.auto_increment {
                return Err("a column of it counts by itself");
            }
            let acts = table.foreign_keys.iter().any(|key| {
                self.blueprint.makes(key)
                    && (key.on_delete.acts() || key.on_update.acts())
                    && key.columns.iter().any(|own| own == name)
            });
            if acts {
                return Err("a foreign key changes a column of it");
            }
        }
        let (formula, kind) = meaning(formula, table, source)?;
        Ok((print(&formula), kind))
    }

    /// What an index is over, where it may take so many bytes.
    fn part(
        &self,
        part: &Part,
        most: usize,
        index: &Index,
        dialects: (Dialect, Dialect),
    ) -> Result<String, String> {
        let (name, length) = match part {
            Part::Column(name) => (name, None),
            Part::Prefix(name, length) => (name, Some(*length as usize)),
            Part::Formula(formula) => {
                if dialects.1 == Dialect::Mariadb {
                    return Err("MariaDB has no indexes over expressions".to_owned());
                }
                return match self.formula(formula, dialects.0)? {
                    (text, Kind::Number { .. } | Kind::Truth) => Ok(format!("({text})")),
                    _ => Err(UNKNOWN.to_owned()),
                };
            }
            Part::Unknown(text) => {
                return Err(format!("{text} is not known to mean the same here"));
            }
        };
        let at = self.blueprint.table.column_index(name);
        let definition = at.and_then(|at| self.columns.get(at)).and_then(|made| made.as_ref().ok());
        let ty = &definition.ok_or("a column of it is left out")?.ty;
        let (own, unit) = match width(ty) {
            Width::None => return Err(format!("no index is over {ty}")),
            Width::Short if length.is_some() => return Err(UNKNOWN.to_owned()),
            Width::Short => return Ok(quote(name)),
            Width::Characters(own) => (own, CHAR_BYTES),
            Width::Bytes(own) => (own, 1),
        };
        // A prefix as long as the column is none.
        let length = length.filter(|length| own.is_none_or(|own| *length < own));
        let room = most / unit;
        let taken = length.or(own).filter(|taken| *taken <= room);
        match (taken, length) {
            (Some(_), None) => Ok(quote(name)),
            (Some(length), Some(_)) => Ok(format!("{}({length})", quote(name))),
            // One that is not unique finds the same rows by less.
            (None, _) if !index.unique => Ok(format!("{}({room})", quote(name))),
            (None, _) => Err("an index takes no values of that length".to_owned()),
        }
    }
}

/// How long values of a type are in an index.
enum Width {
    /// No index is over them.
    None,
    /// Of a few bytes.
    Short,
    /// Of so many characters, where there is a limit.
    Characters(Option<usize>),
    /// Of so many bytes, where there is a limit.
    Bytes(Option<usize>),
}

fn width(ty: &str) -> Width {
    let word = ty.split(['(', ' ']).next().unwrap_or_default();
    let count = || {
        let inner = ty.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        inner.and_then(|(count, _)| count.parse().ok())
    };
    match word {
        "json" | "geometry" | "point" | "linestring" | "polygon" | "multipoint"
        | "multilinestring" | "multipolygon" | "geometrycollection" | "vector" => Width::None,
        "char" | "varchar" => Width::Characters(count()),
        "binary" | "varbinary" => Width::Bytes(count()),
        word if word.ends_with("text") => Width::Characters(None),
        word if word.ends_with("blob") => Width::Bytes(None),
        _ => Width::Short,
    }
}

impl<'a> Maker<'a> {
    /// The lines of a table's checks.
    pub(super) fn checks(&mut self, at: usize, creation: &mut Creation) -> Vec<String> {
        let mut lines = Vec::new();
        let Some(blueprint) = self.drawn.get(at).map(|drawn| drawn.blueprint) else { return lines };
        let table = &blueprint.table;
        for check in &table.extras.checks {
            let made = match (&check.formula, self.drawn.get(at)) {
                _ if !check.holds => Err("the source does not hold every row to it"),
                (Some(formula), Some(drawn)) => drawn.formula(formula, self.source_dialect),
                _ => Err(UNKNOWN),
            };
            let said = format!("{} ({})", check.name, check.text);
            match made {
                Ok((text, Kind::Truth)) => {
                    let own = &table.name.table;
                    let name = match check.name.starts_with(own.as_str()) {
                        true => check.name.clone(),
                        false => format!("{own}_{}", check.name),
                    };
                    let name = self.constraint_name(&table.name.schema, &name);
                    lines.push(format!("CONSTRAINT {} CHECK ({text})", quote(&name)));
                }
                Ok(_) => creation.leave_out("check", &said, UNKNOWN),
                Err(why) => creation.leave_out("check", &said, why),
            }
        }
        lines
    }

    /// A name that no other constraint of the database has.
    fn constraint_name(&mut self, database: &str, name: &str) -> String {
        let mut free = shorten(name);
        while !self.names.insert((database.to_owned(), free.to_lowercase())) {
            free = shorten(&format!("{free}_{:08x}", crc32fast::hash(name.as_bytes())));
        }
        self.tell_name(name, &free);
        free
    }

    /// The lines of a table's indexes beside its keys.
    pub(super) fn more_indexes(&mut self, at: usize, creation: &mut Creation) -> Vec<String> {
        let mut lines = Vec::new();
        let Some(blueprint) = self.drawn.get(at).map(|drawn| drawn.blueprint) else { return lines };
        for index in &blueprint.table.extras.indexes {
            let what = if index.unique { "unique index" } else { "index" };
            match self.parts(at, index) {
                Ok(parts) => {
                    let unique = if index.unique { "UNIQUE " } else { "" };
                    let name = quote(&self.index_name(&index.name));
                    lines.push(format!("{unique}KEY {name} ({})", parts.join(", ")));
                }
                Err(why) => creation.leave_out(what, &index.name, &why),
            }
        }
        lines
    }

    fn parts(&self, at: usize, index: &Index) -> Result<Vec<String>, String> {
        if let Some(why) = &index.unfit {
            return Err(why.clone());
        }
        let drawn = self.drawn.get(at).ok_or("its table is not made")?;
        let most = KEY_BYTES_MAX / index.parts.len().max(1);
        let dialects = (self.source_dialect, self.dialect);
        let parts = index.parts.iter().map(|(part, downwards)| {
            let text = drawn.part(part, most, index, dialects)?;
            Ok(if *downwards { format!("{text} DESC") } else { text })
        });
        parts.collect()
    }
}
