//! Tables of PostgreSQL from tables of either dialect, by type-mapping §1, §2 and §5.
//!
//! Made are the schema, the table with its columns, primary key and unique keys, enum types, and
//! foreign keys: with the table where its parent is made before it, else after all tables. They are
//! judged at commit, since weir writes a transaction's rows in another order. Left out, and said so,
//! is what weir does not know enough of: columns of types that cannot cross, defaults that may not mean the same
//! (`defaults`), checks, computed columns and indexes that may not (`extras`). AUTO_INCREMENT becomes an
//! identity that takes given values, ON UPDATE a trigger. Names that are too long are shortened, and that is said.
//! Pure.

mod defaults;
mod extras;
mod formula;
mod types;

use std::collections::{HashMap, HashSet};

use super::setup::block;
use super::sql::{literal, quote, quote_name};
use crate::config::Dialect;
use crate::link::ports::Creation;
use crate::model::{Column, ForeignKey, Table, TableName, Type, Unique};
use crate::plan::Blueprint;
use types::{Definition, definition, enum_name, other_enum_name};

/// Longest name PostgreSQL keeps, in bytes.
const NAME_BYTES_MAX: usize = 63;
/// What remains of a longer one, before `_` and eight digits of its hash.
const NAME_BYTES_KEPT: usize = 54;
/// Foreign keys that are followed from a column to the one that counts by itself.
const KEYS_FOLLOWED_MAX: u8 = 8;

/// What creates the tables that do not exist yet, in order.
pub fn create_tables(blueprints: &[Blueprint], dialect: Dialect) -> Vec<Creation> {
    // Tables and indexes of a schema share their names.
    let names = blueprints.iter().map(|blueprint| blueprint.table.name.clone()).collect();
    let enums = wanted_enums(blueprints);
    let (made, shortened) = (HashSet::new(), Vec::new());
    let later = Vec::new();
    let mut maker = Maker { blueprints, dialect, names, enums, made, shortened, later };
    let mut schemas = HashSet::from(["public"]);
    let mut creations = Vec::new();
    for blueprint in blueprints.iter().filter(|blueprint| !blueprint.exists) {
        let mut creation = maker.table(blueprint);
        let schema = blueprint.table.name.schema.as_str();
        if !creation.statements.is_empty() && schemas.insert(schema) {
            creation.statements.insert(0, create_schema(schema));
        }
        // As one, so that no type is left behind where the table is refused.
        if !creation.statements.is_empty() {
            creation.statements = vec![creation.statements.join(";\n")];
        }
        creations.push(creation);
    }
    creations.extend(maker.later);
    creations
}

/// How many want a name for a type: columns of enum types, and tables, whose rows have one. Those that are
/// there count too, so that a name does not depend on what was made before.
fn wanted_enums(blueprints: &[Blueprint]) -> HashMap<TableName, usize> {
    let mut wanted: HashMap<TableName, usize> = HashMap::new();
    for table in blueprints.iter().map(|blueprint| &blueprint.table) {
        *wanted.entry(table.name.clone()).or_default() += 1;
        let is_enum = |column: &&Column| matches!(column.ty, Type::Enum { .. });
        for column in table.columns.iter().filter(is_enum) {
            *wanted.entry(enum_name(&table.name, &column.name)).or_default() += 1;
        }
    }
    wanted
}

/// The schema, unless it is there: `IF NOT EXISTS` would ask for the right to make it all the same.
fn create_schema(name: &str) -> String {
    block(&format!(
        "IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = {}) THEN \
         CREATE SCHEMA {}; END IF;",
        literal(name),
        quote(name)
    ))
}

/// Makes tables one after the other.
struct Maker<'a> {
    blueprints: &'a [Blueprint],
    dialect: Dialect,
    /// Names that are taken.
    names: HashSet<TableName>,
    /// How many want a type's name.
    enums: HashMap<TableName, usize>,
    /// Tables that a foreign key can refer to by now.
    made: HashSet<&'a TableName>,
    /// Names that were too long, in words, of the table that is being made.
    shortened: Vec<String>,
    /// Foreign keys whose parents come after them.
    later: Vec<Creation>,
}

impl<'a> Maker<'a> {
    fn table(&mut self, blueprint: &'a Blueprint) -> Creation {
        let table = &blueprint.table;
        let mut creation = Creation::of(table.name.to_string(), blueprint);
        let too_long =
            [&table.name.schema, &table.name.table].into_iter().find(|n| shorten(n) != **n);
        if let Some(long) = too_long {
            creation.refused = Some(format!(
                "the name {long} is longer than PostgreSQL takes; write `rename` with another, such as {}",
                shorten(long)
            ));
        }
        if creation.refused.is_some() {
            return creation;
        }
        let (mut lines, mut made) = (Vec::new(), Vec::new());
        for (at, column) in table.columns.iter().enumerate() {
            match self.definition(table, column) {
                Ok(Definition { ty, check, create_type, computed }) => {
                    if create_type.is_some() {
                        self.short_name(&types::long_enum_name(&table.name, &column.name));
                    }
                    creation.statements.extend(create_type);
                    foreign_type(column, &mut creation);
                    let default = match computed {
                        Some(text) => Some(format!("GENERATED ALWAYS AS ({text}) STORED")),
                        None => self.default(column, &ty, &mut creation),
                    };
                    lines.push(line(column, &ty, default, check));
                    made.push(column);
                }
                Err(why) => creation.leave_out_column(at, column, why),
            }
        }
        for unique in &table.uniques {
            match self.unique(table, unique) {
                Ok(line) => lines.push(line),
                Err(why) => creation.leave_out("unique index", &unique.name, why),
            }
        }
        lines.extend(self.checks(table, &mut creation));
        let is_known = |name: &String| table.extras.indexes.iter().any(|one| one.name == *name);
        for index in table.odd_unique_indexes.iter().filter(|name| !is_known(name)) {
            creation.leave_out("unique index", index, "not over plain columns");
        }
        self.foreign_keys(blueprint, &mut lines, &mut creation);
        if lines.is_empty() {
            creation.refused = Some("no column of it can cross".to_owned());
            creation.statements.clear();
            return creation;
        }
        let lines = lines.join(",\n  ");
        creation
            .statements
            .push(format!("CREATE TABLE {} (\n  {lines}\n)", quote_name(&table.name)));
        self.indexes(table, &mut creation);
        self.remarks(table, &made, &mut creation);
        creation.left_out.append(&mut self.shortened);
        creation
    }

    /// The foreign keys of a table, as lines of it where their parents are made.
    fn foreign_keys(
        &mut self,
        blueprint: &'a Blueprint,
        lines: &mut Vec<String>,
        creation: &mut Creation,
    ) {
        let table = &blueprint.table;
        self.made.insert(&table.name);
        for key in &table.foreign_keys {
            match self.foreign_key(blueprint, key) {
                Ok(line) if self.made.contains(&key.parent) => lines.push(line),
                Ok(line) => self.later.push(Creation {
                    what: format!("foreign key {} of {}", key.name, table.name),
                    statements: vec![format!("ALTER TABLE {} ADD {line}", quote_name(&table.name))],
                    ..Creation::default()
                }),
                Err(why) => {
                    let name = format!("{} to {}", key.name, key.parent);
                    creation.leave_out("foreign key", &name, why);
                }
            }
        }
    }

    /// The default of a column that does not count by itself.
    fn default(&self, column: &Column, ty: &str, creation: &mut Creation) -> Option<String> {
        if counts(column, ty) {
            return None;
        }
        let made = defaults::default(column, self.dialect).unwrap_or_else(|why| {
            creation.leave_out("default of", &column.name, &why);
            None
        });
        made.map(|text| format!("DEFAULT {text}"))
    }

    /// What is made once the table is there: comments, and what moves columns to the present.
    fn remarks(&mut self, table: &Table, made: &[&Column], creation: &mut Creation) {
        creation.statements.extend(defaults::comments(table, made.iter().copied()));
        let touched: Vec<&Column> = made.iter().copied().filter(|one| one.on_update_now).collect();
        if !touched.is_empty() {
            let name = self.free_name(table, &format!("{}{}", defaults::TOUCH, table.name.table));
            creation.statements.extend(defaults::touch(&table.name, &touched, &name));
        }
    }

    fn definition(&self, table: &Table, column: &Column) -> Result<Definition, &'static str> {
        if shorten(&column.name) != column.name {
            return Err(
                "its name is longer than PostgreSQL takes; give it another under [table.*.column]",
            );
        }
        let counts = self.counts(table, column, KEYS_FOLLOWED_MAX);
        let plain = enum_name(&table.name, &column.name);
        let name = match self.enums.get(&plain) {
            Some(2..) => other_enum_name(&table.name, &column.name),
            _ => plain,
        };
        if column.generated {
            let computed = Some(self.computed(table, column)?);
            let plain = Column { generated: false, ..column.clone() };
            return Ok(Definition { computed, ..definition(&plain, self.dialect, &name, counts)? });
        }
        definition(column, self.dialect, &name, counts)
    }

    /// Whether a column counts by itself, or refers to one that does: both need one type.
    fn counts(&self, table: &Table, column: &Column, follow: u8) -> bool {
        let refers = |key: &ForeignKey| {
            let at = key.columns.iter().position(|name| *name == column.name)?;
            let parent = &self.blueprint(&key.parent)?.table;
            let name = key.parent_columns.get(at)?;
            let referred = parent.columns.iter().find(|column| column.name == *name)?;
            Some(self.counts(parent, referred, follow.checked_sub(1)?))
        };
        column.auto_increment || table.foreign_keys.iter().any(|key| refers(key) == Some(true))
    }

    fn blueprint(&self, name: &TableName) -> Option<&'a Blueprint> {
        self.blueprints.iter().find(|blueprint| blueprint.table.name == *name)
    }

    fn unique(&mut self, table: &Table, unique: &Unique) -> Result<String, &'static str> {
        let mut columns = Vec::new();
        for at in &unique.columns {
            let column = table.columns.get(*at).ok_or("it names a column that is not there")?;
            if self.definition(table, column).is_err() {
                return Err("a column of it is left out");
            }
            columns.push(quote(&column.name));
        }
        let columns = columns.join(", ");
        let own = &table.name.table;
        if unique.primary {
            let constraint = self.free_name(table, &format!("{own}_pkey"));
            return Ok(format!("CONSTRAINT {} PRIMARY KEY ({columns})", quote(&constraint)));
        }
        // Index names are unique per schema here, and tables have them too; per table elsewhere.
        let constraint = match self.dialect {
            Dialect::Postgres if unique.name.starts_with(own.as_str()) => unique.name.clone(),
            _ => format!("{own}_{}_key", unique.name),
        };
        let constraint = self.free_name(table, &constraint);
        Ok(format!("CONSTRAINT {} UNIQUE ({columns})", quote(&constraint)))
    }

    /// A name that nothing else of the table's schema has.
    fn free_name(&mut self, table: &Table, name: &str) -> String {
        let mut free = self.short_name(name);
        while !self.names.insert(TableName::new(&table.name.schema, &free)) {
            free = shorten(&format!("{free}_{:08x}", crc32fast::hash(name.as_bytes())));
        }
        free
    }

    /// The name, or a shorter one, which is said.
    fn short_name(&mut self, name: &str) -> String {
        let short = shorten(name);
        if short != name {
            self.shortened.push(format!("end of the name {name}: it is {short} here"));
        }
        short
    }

    /// The line of a foreign key, where both sides can have it.
    fn foreign_key(
        &mut self,
        blueprint: &Blueprint,
        key: &ForeignKey,
    ) -> Result<String, &'static str> {
        if !blueprint.makes(key) {
            return Err("the link does without it; --foreign-keys makes it");
        }
        let parent = self.blueprint(&key.parent).ok_or("its parent is not made")?;
        if parent.refused.is_some() && !parent.exists {
            return Err("its parent is not made");
        }
        let over = |unique: &Unique| {
            let names = || unique.columns.iter().filter_map(|at| parent.table.columns.get(*at));
            unique.columns.len() == key.parent_columns.len()
                && names().all(|column| key.parent_columns.contains(&column.name))
        };
        if !parent.table.uniques.iter().any(over) {
            return Err("no unique index is over what it refers to");
        }
        let is_computed = |column: &Column| column.generated && key.columns.contains(&column.name);
        if blueprint.table.columns.iter().any(is_computed) {
            return Err("a column of it is computed");
        }
        for (own, theirs) in key.columns.iter().zip(&key.parent_columns) {
            let own = self.kind(&blueprint.table, own).ok_or("a column of it is left out")?;
            let theirs = self.kind(&parent.table, theirs).ok_or("a column of it is left out")?;
            if own != theirs {
                return Err("the types of its columns differ");
            }
        }
        let list =
            |names: &[String]| names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
        Ok(format!(
            "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE {} \
             DEFERRABLE INITIALLY DEFERRED",
            quote(&self.short_name(&key.name)),
            list(&key.columns),
            quote_name(&key.parent),
            list(&key.parent_columns),
            key.on_delete.sql(),
            key.on_update.sql()
        ))
    }

    /// What of a column's type must be the same on both ends of a foreign key.
    fn kind(&self, table: &Table, name: &str) -> Option<String> {
        let column = table.columns.iter().find(|column| column.name == name)?;
        let ty = self.definition(table, column).ok()?.ty;
        Some(match ty.split('(').next().unwrap_or_default() {
            "smallint" | "integer" | "bigint" => "integer".to_owned(),
            "char" | "varchar" | "text" => "text".to_owned(),
            "numeric" => "numeric".to_owned(),
            _ => ty,
        })
    }
}

/// Says which type of a column's is not PostgreSQL's own, and so not sure to be there.
fn foreign_type(column: &Column, creation: &mut Creation) {
    if let Type::Native { name, .. } = &column.ty
        && name.contains('.')
    {
        let what = format!("{name} of column {}", column.name);
        creation.leave_out("type", &what, "make it before, or its extension");
    }
}

/// Whether the column counts by itself.
fn counts(column: &Column, ty: &str) -> bool {
    column.auto_increment && matches!(ty, "smallint" | "integer" | "bigint")
}

fn line(column: &Column, ty: &str, default: Option<String>, check: Option<String>) -> String {
    let mut line = format!("{} {ty}", quote(&column.name));
    if !column.nullable {
        line.push_str(" NOT NULL");
    }
    if counts(column, ty) {
        line.push_str(" GENERATED BY DEFAULT AS IDENTITY");
    }
    if let Some(default) = default {
        line.push_str(&format!(" {default}"));
    }
    if let Some(check) = check {
        line.push(' ');
        line.push_str(&check);
    }
    line
}

/// A name that PostgreSQL does not cut: over-long ones end in a hash of the whole.
pub fn shorten(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let kept = name.char_indices().map(|(at, _)| at).filter(|at| *at <= NAME_BYTES_KEPT).max();
    let kept = kept.and_then(|end| name.get(..end)).unwrap_or_default();
    format!("{kept}_{:08x}", crc32fast::hash(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::JsonKind;
    use crate::plan::fixtures::foreign_key;
    use crate::postgres::sql::tests::{assert_golden, column, every_type, plan};

    fn mysql_table() -> Table {
        let int = |name: &str, native: &str, bits, unsigned| {
            column(name, native, Type::Int { bits, unsigned })
        };
        let mut id = int("id", "int unsigned", 32, true);
        id.auto_increment = true;
        id.nullable = false;
        let mut computed = int("total", "bigint", 64, false);
        computed.generated = true;
        let long = vec!["x".repeat(64), "it's".to_owned()];
        let columns = vec![
            id,
            int("tiny", "tinyint unsigned", 8, true),
            int("medium", "mediumint unsigned", 24, true),
            int("big", "bigint unsigned", 64, true),
            column("on", "tinyint(1)", Type::Bool),
            column("none", "char(0)", Type::Char { chars: 0 }),
            column("body", "longtext", Type::Text { chars: None, bytes: Some(u32::MAX.into()) }),
            column("key", "binary(16)", Type::Binary { bytes: 16 }),
            column("year", "year", Type::Year),
            column("at", "timestamp(3)", Type::Instant { digits: 3 }),
            column("doc", "json", Type::Json(JsonKind::Mysql)),
            column("long", "enum(…)", Type::Enum { labels: long }),
            column("place\nx", "geometry", Type::Unsupported),
            computed,
        ];
        let mut table = plan("orders", columns, &[0]).source;
        table.uniques.push(Unique { name: "by_key".into(), columns: vec![7, 4], primary: false });
        table.uniques.push(Unique { name: "by_place".into(), columns: vec![12], primary: false });
        table.odd_unique_indexes.push("by_prefix".into());
        let parent = TableName::new("public", "customers");
        let key = foreign_key("fk", parent);
        let (columns, parent_columns) = (vec!["id".into()], vec!["Id".into()]);
        table.foreign_keys.push(ForeignKey { columns, parent_columns, ..key });
        table.foreign_keys.push(foreign_key("fk_gone", TableName::new("public", "gone")));
        table
    }

    /// Broken if a table were made that cannot hold what its source holds.
    #[test]
    fn tables_are_as_reviewed() {
        let own = plan("every", every_type(), &[0, 1]).source;
        let mut customers = plan(
            "customers",
            vec![column("Id", "int", Type::Int { bits: 32, unsigned: true })],
            &[0],
        )
        .source;
        customers.name = TableName::new("public", "customers");
        let blueprints = [
            Blueprint::of(&mysql_table(), TableName::new("public", "orders")),
            Blueprint::of(&customers, customers.name.clone()),
        ];
        let copy = [Blueprint::of(&own, TableName::new("copy", "every"))];
        let parts =
            [create_tables(&blueprints, Dialect::Mysql), create_tables(&copy, Dialect::Postgres)];
        let text: String = parts.iter().flatten().map(|made| format!("{made}\n")).collect();
        assert_golden("postgres_ddl.sql", &text);
    }

    /// Broken if PostgreSQL cut a name in silence, two names became one, or a character was split.
    #[test]
    fn long_names_stay_apart_and_whole() {
        let (one, two) = (format!("{}a", "ü".repeat(40)), format!("{}b", "ü".repeat(40)));
        assert_ne!(shorten(&one), shorten(&two));
        assert!(shorten(&one).len() <= NAME_BYTES_MAX);
        assert!(shorten(&one).starts_with(&"ü".repeat(27)));
        assert_eq!(shorten("orders"), "orders");
    }
}
