//! Tables of MySQL and MariaDB from tables of either dialect, by type-mapping §1, §2 and §5.
//!
//! Made are the database, the table with its columns, primary key and unique keys, in utf8mb4 with a
//! collation that compares byte for byte without padding, on InnoDB, and foreign keys: with the table
//! where its parent is made before it, else after all tables. Left out, and said so, is what weir
//! does not know enough of: columns of types that cannot cross, defaults that may not mean the same (`defaults`),
//! checks, computed columns and indexes that may not (`extras`). Text in keys is as long as an index takes, and wide
//! rows have their widest texts beside the row. Names that are too long are shortened, and that is said. Pure.

use std::collections::HashSet;

use super::sql::{quote, quote_table};
use crate::config::Dialect;
use crate::link::ports::Creation;
use crate::model::schema::Rule;
use crate::model::{Column, ForeignKey, Table, TableName, Type, Unique};
use crate::plan::Blueprint;
use crate::transform::pair;

mod defaults;
mod extras;
mod formula;
mod keys;
mod types;

use keys::{KEY_BYTES_MAX, Keys};
use types::{Definition, definition};

/// Bytes of a row without its texts and blobs, less some for null bits.
const ROW_BYTES_MAX: usize = 65_535 - 600;
/// Bytes of a character of utf8mb4.
const CHAR_BYTES: usize = 4;
/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 64;
/// What remains of a longer one, before `_` and eight digits of its hash.
const NAME_CHARS_KEPT: usize = 54;

/// What creates the tables that do not exist yet on a server of `dialect`, in order.
pub fn create_tables(
    blueprints: &[Blueprint],
    source_dialect: Dialect,
    dialect: Dialect,
) -> Vec<Creation> {
    let dialects = (source_dialect, dialect);
    let drawn = blueprints.iter().map(|blueprint| Drawn::of(blueprint, dialects)).collect();
    let mut maker = Maker {
        drawn,
        source_dialect,
        dialect,
        made: HashSet::new(),
        names: HashSet::new(),
        later: Vec::new(),
        indexes: HashSet::new(),
        renamed: Vec::new(),
    };
    let mut databases = HashSet::new();
    let mut creations = Vec::new();
    for (at, blueprint) in blueprints.iter().enumerate().filter(|(_, table)| !table.exists) {
        let mut creation = maker.table(at, blueprint);
        let name = blueprint.table.name.schema.as_str();
        if !creation.statements.is_empty() && databases.insert(name) {
            let statement = format!("CREATE DATABASE IF NOT EXISTS {}", quote(name));
            creation.statements.insert(0, statement);
        }
        creations.push(creation);
    }
    creations.extend(maker.later);
    creations
}

/// A name that the servers take: over-long ones, and those with a blank at the end or with characters
/// outside the basic plane, end in a hash of the whole.
pub fn shorten(name: &str) -> String {
    let is_odd = |c: char| c as u32 > 0xFFFF || c == '\0';
    if name.chars().count() <= NAME_CHARS_MAX && !name.ends_with(' ') && !name.contains(is_odd) {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME_CHARS_KEPT).collect();
    format!("{}_{:08x}", kept.replace(is_odd, "_"), crc32fast::hash(name.as_bytes()))
}

/// A table with the definitions of its columns; `Err` says why a column has none.
struct Drawn<'a> {
    blueprint: &'a Blueprint,
    keys: Keys,
    columns: Vec<Result<Definition, &'static str>>,
}

impl<'a> Drawn<'a> {
    fn of(blueprint: &'a Blueprint, (dialect, target): (Dialect, Dialect)) -> Self {
        let table = &blueprint.table;
        let keys = Keys::of(blueprint, dialect);
        let mut seen = HashSet::new();
        let mut columns: Vec<_> = table
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                if shorten(&column.name) != column.name {
                    return Err(
                        "the server does not take its name; give it another under [table.*.column]",
                    );
                }
                if !seen.insert(column.name.to_lowercase()) {
                    return Err("its name differs from another one's by case only");
                }
                // MySQL and MariaDB have some of each other's types.
                if dialect != Dialect::Postgres
                    && matches!(column.ty, Type::Native { .. })
                    && pair(column, dialect, column, target).is_err()
                {
                    return Err("its type cannot cross");
                }
                // Held as the servers themselves hold moments.
                let moment = blueprint.moments.contains(&at);
                let from = if moment { target } else { dialect };
                let mut made = definition(column, from, keys.bytes(at))?;
                made.ty.push_str(&types::clause(column, target));
                Ok(made)
            })
            .collect();
        fit_row(&mut columns, &keys);
        let mut drawn = Drawn { blueprint, keys, columns };
        for (at, column) in table.columns.iter().enumerate().filter(|(_, one)| one.generated) {
            let made = drawn.computed(at, column, (dialect, target)).and_then(|text| {
                let plain = Column { generated: false, ..column.clone() };
                let definition = definition(&plain, dialect, drawn.keys.bytes(at))?;
                Ok(Definition { computed: Some(text), ..definition })
            });
            if let Some(place) = drawn.columns.get_mut(at) {
                *place = made;
            }
        }
        drawn
    }

    fn is_made(&self, at: usize) -> bool {
        self.columns.get(at).is_some_and(Result::is_ok)
    }

    /// What of a column's type must be the same on both ends of a foreign key.
    fn kind(&self, name: &str) -> Option<String> {
        let at = self.blueprint.table.column_index(name)?;
        let ty = &self.columns.get(at)?.as_ref().ok()?.ty;
        let (word, rest) = ty.split_once('(').unwrap_or((ty, ""));
        Some(match word {
            "char" | "varchar" => {
                format!("text{}", rest.split_once(')').map_or("", |(_, set)| set))
            }
            "binary" | "varbinary" => "bytes".to_owned(),
            _ => ty.clone(),
        })
    }
}

/// Makes tables one after the other.
struct Maker<'a> {
    drawn: Vec<Drawn<'a>>,
    source_dialect: Dialect,
    dialect: Dialect,
    /// Tables that a foreign key can refer to by now.
    made: HashSet<&'a TableName>,
    /// Databases and names of foreign keys, in lower case: one database has one of a name.
    names: HashSet<(String, String)>,
    /// Foreign keys whose parents come after them.
    later: Vec<Creation>,
    /// Names of indexes of the table that is being made, in lower case.
    indexes: HashSet<String>,
    /// Names that could not be kept, in words, of that table.
    renamed: Vec<String>,
}

impl<'a> Maker<'a> {
    fn table(&mut self, at: usize, blueprint: &'a Blueprint) -> Creation {
        let table = &blueprint.table;
        let mut creation = Creation::of(table.name.to_string(), blueprint);
        let Some(drawn) = self.drawn.get(at) else { return creation };
        creation.refused = creation.refused.or_else(|| refusal(drawn));
        if creation.refused.is_some() {
            return creation;
        }
        let counted = counted(drawn);
        let mut lines: Vec<String> = Vec::new();
        for (at, (column, definition)) in table.columns.iter().zip(&drawn.columns).enumerate() {
            match definition {
                Ok(definition) => {
                    let counts = counted == Some(at);
                    lines.push(line(
                        column,
                        definition,
                        counts,
                        (self.source_dialect, self.dialect),
                        &mut creation,
                    ));
                    if let Some(srid) = types::unsaid_srid(column, self.dialect) {
                        let why = format!("{} does not hold a column to {srid}", self.dialect);
                        creation.leave_out("SRID of", &column.name, &why);
                    }
                    if drawn.keys.shortens(at) {
                        let why = format!("an index takes no more than {}", definition.ty);
                        creation.leave_out("length of column", &column.name, &why);
                    }
                    if column.auto_increment && counted != Some(at) {
                        creation.leave_out("AUTO_INCREMENT of", &column.name, "not first in a key");
                    }
                }
                Err(why) => creation.leave_out_column(at, column, why),
            }
        }
        self.indexes.clear();
        for unique in &table.uniques {
            match self.unique(at, unique) {
                Some(line) => lines.push(line),
                None => creation.leave_out("unique index", &unique.name, "a column is left out"),
            }
        }
        let is_known = |name: &String| table.extras.indexes.iter().any(|one| one.name == *name);
        for index in table.odd_unique_indexes.iter().filter(|name| !is_known(name)) {
            creation.leave_out("unique index", index, "not over plain columns");
        }
        lines.extend(self.more_indexes(at, &mut creation));
        lines.extend(self.checks(at, &mut creation));
        self.made.insert(&table.name);
        self.foreign_keys(at, blueprint, &mut lines, &mut creation);
        creation.left_out.append(&mut self.renamed);
        let (comment, is_cut) = defaults::table_comment(table);
        if is_cut {
            creation.left_out.push("end of the comment: it is too long here".to_owned());
        }
        creation.statements.push(format!(
            "CREATE TABLE {} (\n  {}\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={}{comment}",
            quote_table(&table.name),
            lines.join(",\n  "),
            types::collation(self.dialect)
        ));
        creation
    }

    fn unique(&mut self, at: usize, unique: &Unique) -> Option<String> {
        let drawn = self.drawn.get(at)?;
        let mut names = Vec::new();
        for at in unique.columns.iter().filter(|at| drawn.is_made(**at)) {
            names.push(quote(&drawn.blueprint.table.columns.get(*at)?.name));
        }
        if names.len() < unique.columns.len() {
            return None;
        }
        let names = names.join(", ");
        if unique.primary {
            return Some(format!("PRIMARY KEY ({names})"));
        }
        Some(format!("UNIQUE KEY {} ({names})", quote(&self.index_name(&unique.name))))
    }

    /// A name that no other index of the table has: names that differ by case only are one here.
    fn index_name(&mut self, name: &str) -> String {
        let is_primary = name.eq_ignore_ascii_case("primary");
        let mut free = if is_primary { "primary_key".to_owned() } else { shorten(name) };
        while !self.indexes.insert(free.to_lowercase()) {
            free = shorten(&format!("{free}_{:08x}", crc32fast::hash(name.as_bytes())));
        }
        self.tell_name(name, &free);
        free
    }

    /// Says that a name is another one here.
    fn tell_name(&mut self, name: &str, here: &str) {
        if name != here {
            self.renamed.push(format!("name {name}: it is {here} here"));
        }
    }

    fn foreign_keys(
        &mut self,
        at: usize,
        blueprint: &'a Blueprint,
        lines: &mut Vec<String>,
        creation: &mut Creation,
    ) {
        let table = &blueprint.table;
        for key in &table.foreign_keys {
            if let Err(why) = self.can_have(at, key) {
                let name = format!("{} to {}", key.name, key.parent);
                creation.leave_out("foreign key", &name, why);
                continue;
            }
            let line = self.foreign_key(table, key);
            if self.made.contains(&key.parent) {
                lines.push(line);
                continue;
            }
            self.later.push(Creation {
                what: format!("foreign key {} of {}", key.name, table.name),
                statements: vec![format!("ALTER TABLE {} ADD {line}", quote_table(&table.name))],
                ..Creation::default()
            });
        }
    }

    /// Whether both sides of a foreign key can have it.
    fn can_have(&self, at: usize, key: &ForeignKey) -> Result<(), &'static str> {
        let own = self.drawn.get(at).ok_or("its table is not made")?;
        if !own.blueprint.makes(key) {
            return Err("the link does without it; --foreign-keys makes it");
        }
        let parent = self.drawn.iter().find(|drawn| drawn.blueprint.table.name == key.parent);
        let parent = parent.ok_or("its parent is not made")?;
        if !parent.blueprint.exists
            && (parent.blueprint.refused.is_some() || refusal(parent).is_some())
        {
            return Err("its parent is not made");
        }
        let table = &parent.blueprint.table;
        let over = |unique: &Unique| {
            let names = unique.columns.iter().filter_map(|at| table.columns.get(*at));
            names.map(|column| &column.name).eq(&key.parent_columns)
        };
        if !table.uniques.iter().any(over) {
            return Err("no unique index is over what it refers to");
        }
        let is_computed = |column: &Column| column.generated && key.columns.contains(&column.name);
        if own.blueprint.table.columns.iter().any(is_computed) {
            return Err("a column of it is computed");
        }
        for (name, referred) in key.columns.iter().zip(&key.parent_columns) {
            let own = own.kind(name).ok_or("a column of it is left out")?;
            if own != parent.kind(referred).ok_or("a column of it is left out")? {
                return Err("the types of its columns differ");
            }
        }
        if [key.on_delete, key.on_update].contains(&Rule::SetDefault) {
            return Err("InnoDB has no SET DEFAULT");
        }
        if key.logged && key.on_update.acts() && key.parent == own.blueprint.table.name {
            return Err("InnoDB refuses to change a key that its own table refers to");
        }
        Ok(())
    }

    fn foreign_key(&mut self, table: &Table, key: &ForeignKey) -> String {
        let list =
            |names: &[String]| names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
        let database = &table.name.schema;
        let mut name = shorten(&key.name);
        if !self.names.insert((database.clone(), name.to_lowercase())) {
            name = shorten(&format!("{}_{}", table.name.table, key.name));
            self.names.insert((database.clone(), name.to_lowercase()));
        }
        self.tell_name(&key.name, &name);
        format!(
            "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE {}",
            quote(&name),
            list(&key.columns),
            quote_table(&key.parent),
            list(&key.parent_columns),
            key.on_delete.sql(),
            key.on_update.sql()
        )
    }
}

/// Why a table cannot be made at all.
fn refusal(drawn: &Drawn<'_>) -> Option<String> {
    let name = &drawn.blueprint.table.name;
    if let Some(odd) = [&name.schema, &name.table].into_iter().find(|name| shorten(name) != **name)
    {
        return Some(format!(
            "the server does not take the name {odd}; write `rename` with another, such as {}",
            shorten(odd)
        ));
    }
    let none = drawn.columns.iter().all(Result::is_err);
    none.then(|| "no column of it can cross".to_owned())
}

fn line(
    column: &Column,
    definition: &Definition,
    counted: bool,
    (source, target): (Dialect, Dialect),
    creation: &mut Creation,
) -> String {
    let mut line = format!("{} {}", quote(&column.name), definition.ty);
    // MariaDB takes neither for what it computes.
    let takes_null = target == Dialect::Mysql || definition.computed.is_none();
    let null = if column.nullable { " NULL" } else { " NOT NULL" };
    if let Some(computed) = &definition.computed {
        line.push_str(&format!(" GENERATED ALWAYS AS ({computed}) STORED"));
    }
    line.push_str(if takes_null { null } else { "" });
    if counted {
        line.push_str(" AUTO_INCREMENT");
    } else if definition.computed.is_none() {
        let clauses = defaults::clauses(column, definition, source);
        line.push_str(&clauses.text);
        for (what, why) in &clauses.left_out {
            creation.leave_out(what, &column.name, why);
        }
    }
    if let Some((comment, is_cut)) = defaults::comment(column, definition) {
        line.push_str(&comment);
        if is_cut {
            creation.leave_out("end of the comment of", &column.name, "it is too long here");
        }
    }
    line
}

/// The one column that may count by itself: the first of a key, and an integer.
fn counted(drawn: &Drawn<'_>) -> Option<usize> {
    let table = &drawn.blueprint.table;
    table.columns.iter().enumerate().position(|(at, column)| {
        column.auto_increment
            && matches!(column.ty, Type::Int { .. })
            && drawn.is_made(at)
            && table.uniques.iter().any(|unique| {
                unique.columns.first() == Some(&at)
                    && unique.columns.iter().all(|at| drawn.is_made(*at))
            })
    })
}

/// Turns the widest texts that are in no key into TEXT until the row fits.
fn fit_row(columns: &mut [Result<Definition, &'static str>], keys: &Keys) {
    loop {
        let row: usize = columns.iter().flatten().map(|definition| definition.row_bytes).sum();
        if row <= ROW_BYTES_MAX {
            return;
        }
        let widest = columns
            .iter_mut()
            .enumerate()
            .filter(|(at, _)| keys.bytes(*at).is_none())
            .filter_map(|(_, definition)| definition.as_mut().ok())
            .filter(|definition| definition.beside.is_some())
            .max_by_key(|definition| definition.row_bytes);
        let Some(definition) = widest else { return };
        if let Some(beside) = definition.beside.take() {
            definition.ty = beside.to_owned();
            definition.row_bytes = 12;
        }
    }
}

#[cfg(test)]
mod tests;
