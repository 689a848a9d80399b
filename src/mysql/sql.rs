//! Statement text for MySQL and MariaDB, from a table's plan. Pure; pinned by golden files.
//!
//! Names are always quoted and values are always parameters. A statement is for a number of rows
//! ([`Batch::Many`]: MySQL takes multi-row statements) or for one row that is executed in bulk
//! ([`Batch::Each`]: MariaDB's bulk execution). Keys are compared exactly, byte for byte, also
//! where the column's collation is not (type-mapping §0.9); `ON UPDATE CURRENT_TIMESTAMP` columns
//! that are not written keep their value; nothing here commits implicitly, and nothing ignores an
//! error. Keys are cast to the column's type, since the servers would otherwise compare them as
//! doubles; values of derived tables are cast to types that lose nothing on the way.

/// A time of weir's tables in microseconds since 1970.
macro_rules! us {
    ($column:literal) => {
        concat!("TIMESTAMPDIFF(MICROSECOND,'1970-01-01',", $column, ")")
    };
}

pub(crate) mod copies;
pub(crate) mod flags;
pub(crate) mod letters;
pub(crate) mod own;
mod referred;

use std::fmt::Write as _;

use super::encode::Form;
use super::session::Flavor;
use crate::error::{Error, Kind, Result};
use crate::model::{Column, Table, TableName, Type};
use crate::plan::TablePlan;

/// How many rows a statement takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Batch {
    /// The statement names all rows.
    Many,
    /// The statement is for one row and is executed for many (`COM_STMT_BULK_EXECUTE`).
    Each,
}

/// One statement with the places of a row's values among its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The text.
    pub(crate) text: String,
    /// Per row, which value of the step's row each parameter takes.
    pub(crate) binds: Vec<usize>,
}

/// Everything about one target table that its statements need.
#[derive(Clone, Debug)]
pub(crate) struct TableSql {
    flavor: Flavor,
    name: TableName,
    table: String,
    columns: Vec<ColumnSql>,
    key: Vec<usize>,
    /// Quoted names of all `ON UPDATE CURRENT_TIMESTAMP` columns, with their plan column.
    moving: Vec<(String, Option<usize>)>,
}

#[derive(Clone, Debug)]
struct ColumnSql {
    /// Quoted.
    name: String,
    /// A parameter as a value of the column's type, for comparing.
    typed: String,
    /// A parameter as a derived table's value that is assigned to the column.
    carried: String,
    /// Whether `=` on the column is equality of bytes.
    exact: bool,
    /// Whether the source owns it.
    owned: bool,
}

/// An identifier in backticks.
pub(crate) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text literal: quotes doubled, backslashes escaped (`NO_BACKSLASH_ESCAPES` is never set).
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Ends the references between rows of one table, where they may be absent, so that its rows can go
/// in any order: InnoDB judges row by row. `None` where there are none.
pub(crate) fn unlink(table: &Table) -> Option<String> {
    let own = table.foreign_keys.iter().filter(|key| key.parent == table.name);
    let absent = own.filter_map(|key| {
        let column = |name: &String| table.columns.get(table.column_index(name)?);
        let mut columns = key.columns.iter().filter_map(column);
        columns.find(|column| column.nullable && !column.generated)
    });
    let mut names: Vec<String> = absent.map(|column| quote(&column.name)).collect();
    names.sort_unstable();
    names.dedup();
    let set: Vec<String> = names.iter().map(|name| format!("{name} = NULL")).collect();
    let linked: Vec<String> = names.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    let text = || {
        let name = quote_table(&table.name);
        format!("UPDATE {name} SET {} WHERE {}", set.join(", "), linked.join(" OR "))
    };
    (!names.is_empty()).then(text)
}

/// A table's quoted full name.
pub(crate) fn quote_table(name: &TableName) -> String {
    format!("{}.{}", quote(&name.schema), quote(&name.table))
}

impl TableSql {
    /// The statements of `plan`; `collations` are those of the target's columns, by target column.
    ///
    /// # Errors
    /// `Internal` where the plan's indexes do not fit its table.
    pub(crate) fn new(
        plan: &TablePlan,
        flavor: Flavor,
        collations: &[Option<String>],
    ) -> Result<TableSql> {
        let target = &plan.target;
        let columns = plan
            .columns
            .iter()
            .map(|column| {
                let collation = collations.get(column.target).and_then(Option::as_deref);
                let owned = column.owned;
                target
                    .columns
                    .get(column.target)
                    .map(|column| ColumnSql { owned, ..ColumnSql::new(column, flavor, collation) })
                    .ok_or_else(|| misplanned(&target.name))
            })
            .collect::<Result<Vec<_>>>()?;
        if plan.key.is_empty() || plan.key.iter().any(|at| *at >= columns.len()) {
            return Err(misplanned(&target.name));
        }
        let moving = target.columns.iter().enumerate().filter(|(_, column)| column.on_update_now);
        Ok(TableSql {
            flavor,
            name: target.name.clone(),
            table: quote_table(&target.name),
            columns,
            key: plan.key.clone(),
            moving: moving
                .map(|(at, column)| {
                    let planned = plan.columns.iter().position(|planned| planned.target == at);
                    (quote(&column.name), planned)
                })
                .collect(),
        })
    }

    /// How inserts, updates and deletes are executed.
    pub(crate) fn batch(&self) -> Batch {
        match self.flavor {
            Flavor::Mysql => Batch::Many,
            Flavor::Mariadb => Batch::Each,
        }
    }

    /// A plain insert of `rows` rows of `columns`.
    pub(crate) fn insert(&self, columns: &[usize], rows: usize) -> Result<Statement> {
        let names = self.names(columns)?;
        let row = format!("({})", vec!["?"; columns.len()].join(","));
        let text = format!(
            "INSERT INTO {} ({}) VALUES {}",
            self.table,
            names.join(","),
            vec![row; rows].join(",")
        );
        Ok(Statement { text, binds: (0..columns.len()).collect() })
    }

    /// Insert, or update where the key exists. Only where the match key is the table's sole unique
    /// index and compares exactly: the server takes any unique index for the key.
    pub(crate) fn upsert(&self, columns: &[usize], rows: usize) -> Result<Statement> {
        let mut statement = self.insert(columns, rows)?;
        let alias = if self.name.table.eq_ignore_ascii_case("nw") { "`nw_`" } else { "`nw`" };
        let mut updates = Vec::new();
        for at in columns.iter().filter(|at| self.is_settable(at)) {
            let name = &self.column(*at)?.name;
            updates.push(match self.flavor {
                Flavor::Mysql => format!("{name}={alias}.{name}"),
                Flavor::Mariadb => format!("{name}=VALUES({name})"),
            });
        }
        let own = |name: &str| format!("{name}={}.{name}", self.table);
        updates.extend(self.pinned(columns).map(own));
        if updates.is_empty() {
            updates.push(own(&self.column(self.first_key()?)?.name));
        }
        if self.flavor == Flavor::Mysql {
            let _ = write!(statement.text, " AS {alias}");
        }
        let _ = write!(statement.text, " ON DUPLICATE KEY UPDATE {}", updates.join(","));
        Ok(statement)
    }

    /// Updates the rows with the keys in `columns`; the matched rows are counted. It never
    /// creates a row.
    pub(crate) fn update(&self, columns: &[usize], rows: usize) -> Result<Statement> {
        match self.batch() {
            Batch::Many => self.update_joined(columns, rows),
            Batch::Each => self.update_one(columns),
        }
    }

    /// As [`TableSql::update`] for one row, whatever the server. MySQL 9.7 gives parameters in a
    /// derived table the type of short text and cuts what is longer than 65535 bytes without a
    /// word, so wide rows are updated one by one.
    pub(crate) fn update_one(&self, columns: &[usize]) -> Result<Statement> {
        self.update_row(columns, &self.key_places(columns)?, 0)
    }

    /// Changes one row's key and columns; the old key precedes the columns in the row.
    pub(crate) fn rekey(&self, columns: &[usize]) -> Result<Statement> {
        let old_key: Vec<usize> = (0..self.key.len()).collect();
        self.update_row(columns, &old_key, self.key.len())
    }

    /// Whether an update writes a column: the source owns it, and it is no part of the match key.
    fn is_settable(&self, at: &usize) -> bool {
        !self.key.contains(at) && self.is_owned(*at)
    }

    fn is_owned(&self, at: usize) -> bool {
        self.columns.get(at).is_some_and(|column| column.owned)
    }

    /// Deletes rows by key; rows hold the key alone. Not by an IN list: on a small table the server
    /// would scan for it, and wait for locks on rows that are not in the list.
    pub(crate) fn delete(&self, rows: usize) -> Result<Statement> {
        let places: Vec<usize> = (0..self.key.len()).collect();
        if self.batch() == Batch::Each {
            let (condition, binds) = self.key_condition(&places)?;
            let text = format!("DELETE FROM {} WHERE {condition}", self.table);
            return Ok(Statement { text, binds });
        }
        // An alias to delete from would be looked for in the session's database.
        let (table, derived) = (&self.table, self.derived(&self.key, rows)?);
        let on = self.key_joined(&self.table, &places)?;
        let text = format!("DELETE FROM {table} USING {derived} STRAIGHT_JOIN {table} ON {on}");
        Ok(Statement { text, binds: places })
    }

    /// Removes all rows without the implicit commit of TRUNCATE.
    pub(crate) fn truncate(&self) -> String {
        format!("DELETE FROM {}", self.table)
    }

    /// The ordinals, from 0, of those rows of `columns` whose key is not in the table.
    pub(crate) fn absent(&self, columns: &[usize], rows: usize) -> Result<Statement> {
        let (condition, binds) = self.key_condition(&self.key_places(columns)?)?;
        let mut text = String::new();
        for row in 0..rows {
            let union = if row == 0 { "" } else { " UNION ALL " };
            let _ = write!(
                text,
                "{union}SELECT {row} FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM {} WHERE {condition})",
                self.table
            );
        }
        Ok(Statement { text, binds })
    }

    fn update_joined(&self, columns: &[usize], rows: usize) -> Result<Statement> {
        let derived = self.derived(columns, rows)?;
        let on = self.key_joined("t", &self.key_places(columns)?)?;
        let mut sets = Vec::new();
        for (place, at) in columns.iter().enumerate().filter(|(_, at)| self.is_settable(at)) {
            sets.push(format!("t.{}=s.c{place}", self.column(*at)?.name));
        }
        sets.extend(self.pinned(columns).map(|name| format!("t.{name}=t.{name}")));
        if sets.is_empty() {
            let name = &self.column(self.first_key()?)?.name;
            sets.push(format!("t.{name}=t.{name}"));
        }
        let text = format!(
            "UPDATE {derived} STRAIGHT_JOIN {} AS t ON {on} SET {}",
            self.table,
            sets.join(",")
        );
        Ok(Statement { text, binds: (0..columns.len()).collect() })
    }

    /// One row: sets `columns`, whose values start at `offset` of the row, where the key matches
    /// the values at `key_places`. The key itself is set only where it moves.
    fn update_row(
        &self,
        columns: &[usize],
        key_places: &[usize],
        offset: usize,
    ) -> Result<Statement> {
        let moves = offset > 0;
        let mut sets = Vec::new();
        let mut binds = Vec::new();
        for (place, at) in
            columns.iter().enumerate().filter(|(_, at)| moves || self.is_settable(at))
        {
            sets.push(format!("{}=?", self.column(*at)?.name));
            binds.push(place + offset);
        }
        sets.extend(self.pinned(columns).map(|name| format!("{name}={name}")));
        if sets.is_empty() {
            let name = &self.column(self.first_key()?)?.name;
            sets.push(format!("{name}={name}"));
        }
        let (condition, key_binds) = self.key_condition(key_places)?;
        binds.extend(key_binds);
        let text = format!("UPDATE {} SET {} WHERE {condition}", self.table, sets.join(","));
        Ok(Statement { text, binds })
    }

    /// A derived table `s` of `rows` rows with columns `c0`, `c1`, … (MySQL), to be looked up one by
    /// one: without STRAIGHT_JOIN the server scans, and locks, a whole table that it takes for small.
    fn derived(&self, columns: &[usize], rows: usize) -> Result<String> {
        let mut typed = Vec::with_capacity(columns.len());
        for at in columns {
            let column = self.column(*at)?;
            let key = self.key.contains(at);
            typed.push(if key { column.typed.as_str() } else { column.carried.as_str() });
        }
        let row = format!("ROW({})", typed.join(","));
        let names: Vec<String> = (0..columns.len()).map(|place| format!("c{place}")).collect();
        Ok(format!("(VALUES {}) AS s ({})", vec![row; rows].join(","), names.join(",")))
    }

    /// The key of the table called `t` against the derived table's columns at `places`.
    fn key_joined(&self, t: &str, places: &[usize]) -> Result<String> {
        let mut terms = Vec::new();
        for (at, place) in self.key.iter().zip(places) {
            let column = self.column(*at)?;
            terms.push(format!("{t}.{}=s.c{place}", column.name));
            if !column.exact {
                let (own, other) =
                    (exactly(&format!("{t}.{}", column.name)), exactly(&format!("s.c{place}")));
                terms.push(format!("{own}={other}"));
            }
        }
        Ok(terms.join(" AND "))
    }

    /// One row's key as a condition, with its parameters.
    fn key_condition(&self, places: &[usize]) -> Result<(String, Vec<usize>)> {
        let (mut terms, mut binds) = (Vec::new(), Vec::new());
        for (at, place) in self.key.iter().zip(places) {
            let column = self.column(*at)?;
            terms.push(format!("{}={}", column.name, column.typed));
            binds.push(*place);
            if !column.exact {
                terms.push(format!("{}=CAST(? AS BINARY)", exactly(&column.name)));
                binds.push(*place);
            }
        }
        Ok((terms.join(" AND "), binds))
    }

    /// The places of the key's values in a row of `columns`.
    fn key_places(&self, columns: &[usize]) -> Result<Vec<usize>> {
        let place = |at: &usize| columns.iter().position(|column| column == at);
        self.key.iter().map(|at| place(at).ok_or_else(|| misplanned(&self.name))).collect()
    }

    /// `ON UPDATE CURRENT_TIMESTAMP` columns that are not written with `columns`.
    fn pinned<'a>(&'a self, columns: &'a [usize]) -> impl Iterator<Item = &'a str> {
        self.moving
            .iter()
            .filter(|(_, planned)| {
                planned.is_none_or(|at| !columns.contains(&at) || !self.is_owned(at))
            })
            .map(|(name, _)| name.as_str())
    }

    fn names(&self, columns: &[usize]) -> Result<Vec<&str>> {
        columns.iter().map(|at| self.column(*at).map(|column| column.name.as_str())).collect()
    }

    fn first_key(&self) -> Result<usize> {
        self.key.first().copied().ok_or_else(|| misplanned(&self.name))
    }

    fn column(&self, at: usize) -> Result<&ColumnSql> {
        self.columns.get(at).ok_or_else(|| misplanned(&self.name))
    }
}

impl ColumnSql {
    fn new(column: &Column, flavor: Flavor, collation: Option<&str>) -> ColumnSql {
        ColumnSql {
            name: quote(&column.name),
            typed: typed(column, flavor, collation),
            carried: carried(column),
            exact: column.exact_collation,
            owned: true,
        }
    }
}

/// A parameter with the column's type. What travels as text is text before it is cast: MySQL 9.7
/// otherwise guesses a type for the parameter from the cast, and `CAST('12:00:00' AS TIME)` of a
/// parameter is midnight.
fn typed(column: &Column, flavor: Flavor, collation: Option<&str>) -> String {
    let cast = |ty: String| format!("CAST(CONVERT(? USING utf8mb4) AS {ty})");
    match &column.ty {
        Type::Decimal(Some(size)) => {
            cast(format!("DECIMAL({},{})", size.precision, size.scale.max(0)))
        }
        Type::Decimal(None) => cast("DECIMAL(65,30)".into()),
        Type::Char { .. } | Type::Text { .. } | Type::Enum { .. } => {
            match (&column.charset, collation) {
                (Some(charset), Some(collation)) => {
                    format!("CONVERT(? USING {charset}) COLLATE {collation}")
                }
                _ => "CONVERT(? USING utf8mb4)".into(),
            }
        }
        Type::Uuid if flavor == Flavor::Mariadb => cast("UUID".into()),
        Type::Date => cast("DATE".into()),
        Type::Time { digits } => cast(format!("TIME({digits})")),
        Type::Timestamp { digits } | Type::Instant { digits } => {
            cast(format!("DATETIME({digits})"))
        }
        _ => carried(column),
    }
}

/// A parameter with a type that the assignment to the column converts with a warning where it
/// does not fit; a cast to the column's own type would round in silence.
fn carried(column: &Column) -> String {
    match &column.ty {
        Type::Bool | Type::Year | Type::Int { unsigned: false, .. } => "CAST(? AS SIGNED)".into(),
        Type::Int { unsigned: true, .. } => "CAST(? AS UNSIGNED)".into(),
        Type::F32 | Type::F64 => "CAST(? AS DOUBLE)".into(),
        Type::Binary { .. } | Type::Bytes { .. } => "CAST(? AS BINARY)".into(),
        Type::Native { name, .. } if name == "bit" => "CAST(? AS UNSIGNED)".into(),
        Type::Native { .. } if Form::of(&column.ty) == Some(Form::Bytes) => {
            "CAST(? AS BINARY)".into()
        }
        _ => "CONVERT(? USING utf8mb4)".into(),
    }
}

/// Text as its bytes in UTF-8, whatever its character set and collation.
fn exactly(expression: &str) -> String {
    format!("CAST(CONVERT({expression} USING utf8mb4) AS BINARY)")
}

fn misplanned(table: &TableName) -> Error {
    Error::new(Kind::Internal, format!("the plan of {table} does not fit its columns"))
}

/// Whether a table is kept by the server or by weir, and never replicated.
pub(crate) fn is_system(schema: &str) -> bool {
    ["mysql", "information_schema", "performance_schema", "sys", "weir"]
        .iter()
        .any(|system| schema.eq_ignore_ascii_case(system))
}

#[cfg(test)]
mod tests;
