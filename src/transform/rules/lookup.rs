//! Values that a table of a database gives for others: the step `lookup`, and the check `references`.
//!
//! A step names its table in a [`Look`]; whoever plans reads the table and hands its rows over as a
//! [`List`], so that nothing is read here. Values are compared by their text, as in `map`. One key with
//! several values is refused, and so is a column pair whose values never could be equal.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytestring::ByteString;
use sha2::{Digest, Sha256};

use super::bind::{Bound, Ground};
use super::kind::Kind;
use super::registry::{Params, Table};
use super::secrets::hexed;
use super::step::Step;
use super::values::{text_of, value_of};
use super::words::{Else, bind_map, otherwise, textual};
use crate::model::{Column, Table as Described, TableName, Value};

/// Which table is looked into, and for what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Look {
    /// The database, by its name in the configuration; `None`: the one that the values are for.
    pub database: Option<String>,
    /// The table.
    pub table: TableName,
    /// The column that holds what is looked for.
    pub key: String,
    /// The column that holds what it becomes; none where it only has to be there.
    pub value: Option<String>,
}

/// A table that is looked into.
#[derive(Clone, Debug)]
pub struct List {
    key: Column,
    value: Option<Column>,
    rows: Option<Rows>,
}

/// Keys, by their text, with what each becomes.
pub(super) type Keys = HashMap<ByteString, Value>;

/// What a table held when it was read.
#[derive(Clone, Debug)]
struct Rows {
    values: Arc<Keys>,
    digest: String,
}

impl List {
    /// The columns of `look`, of a table whose rows are not read.
    ///
    /// # Errors
    /// The column that it does not have.
    pub fn of(look: &Look, table: &Described) -> Result<List, String> {
        let column = |name: &String| {
            let at = table.column_index(name).and_then(|at| table.columns.get(at));
            at.cloned().ok_or_else(|| format!("table {} has no column {name}", look.table))
        };
        let value = look.value.as_ref().map(column).transpose()?;
        Ok(List { key: column(&look.key)?, value, rows: None })
    }

    /// The column that is looked in, and the one that is looked up.
    pub fn columns(&self) -> (&Column, Option<&Column>) {
        (&self.key, self.value.as_ref())
    }

    /// With these rows: keys, each with its value. Those without a key are passed over.
    ///
    /// # Errors
    /// Where a key has several values, or one of its values has no text.
    pub fn filled(self, rows: impl IntoIterator<Item = (Value, Value)>) -> Result<List, String> {
        let mut values = HashMap::new();
        for (key, value) in rows {
            if key == Value::Null {
                continue;
            }
            let key = text_of(&key)
                .ok_or_else(|| format!("a value of {} cannot be compared", self.key.name))?;
            match values.get(&key) {
                Some(other) if *other != value => {
                    return Err(format!(
                        "{} holds a value several times, with different {}",
                        self.key.name,
                        self.value.as_ref().map_or("values", |column| column.name.as_str())
                    ));
                }
                _ => values.insert(key, value),
            };
        }
        let rows = Some(Rows { digest: digest(&values), values: Arc::new(values) });
        Ok(List { rows, ..self })
    }

    fn values(&self) -> Arc<Keys> {
        self.rows.as_ref().map(|rows| Arc::clone(&rows.values)).unwrap_or_default()
    }
}

/// Of all rows, in whatever order they were read.
fn digest(values: &Keys) -> String {
    let mut sorted: Vec<_> = values.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let mut hash = Sha256::new();
    for (key, value) in sorted {
        let value = format!("{value:?}");
        for part in [key.as_bytes(), value.as_bytes()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hexed(hash.finalize().get(..8).unwrap_or_default())
}

/// The tables that the steps of a link look into, or why one cannot be.
#[derive(Clone, Debug, Default)]
pub struct Lists(pub BTreeMap<Look, Result<List, String>>);

impl Lists {
    fn get(&self, look: &Look) -> Result<&List, String> {
        match self.0.get(look) {
            Some(Ok(list)) => Ok(list),
            Some(Err(why)) => Err(why.clone()),
            None => Err(format!("table {} was not read", look.table)),
        }
    }

    /// What tells the rows of the tables that these steps look into from others; `None` where they look into
    /// none, or their rows were not read.
    pub(super) fn digest<'s>(&self, steps: impl Iterator<Item = &'s Step>) -> Option<String> {
        let looks = steps.filter_map(|step| step.look.as_ref());
        let rows = looks.filter_map(|look| self.get(look).ok()?.rows.as_ref());
        let digests: Vec<&str> = rows.map(|rows| rows.digest.as_str()).collect();
        (!digests.is_empty()).then(|| digests.join(" "))
    }
}

/// `lookup = { table, key, value, database, miss }`.
pub(super) fn lookup(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["table", "key", "value", "database", "miss"])?;
    let look = Look { value: Some(named(&table, "value")?), ..look(&table, "key")? };
    let miss = otherwise("miss", table.get("miss"), true)?;
    let wanted = look.clone();
    let step = Step::of(move |ground| bind(ground, &wanted, &miss));
    Ok(Step { look: Some(look), ..step })
}

/// Which table a step names, and its column `key`.
pub(super) fn look(table: &Table<'_>, key: &str) -> Result<Look, String> {
    let name = named(table, "table")?;
    let (schema, rest) = name
        .split_once('.')
        .filter(|(schema, rest)| !schema.is_empty() && !rest.is_empty() && !name.contains('*'))
        .ok_or("`table` is \"schema.table\"")?;
    let database = table.text("database")?.map(str::to_owned);
    let table_name = TableName::new(schema, rest);
    Ok(Look { database, table: table_name, key: named(table, key)?, value: None })
}

fn named(table: &Table<'_>, name: &str) -> Result<String, String> {
    match table.text(name)? {
        Some("") => Err(format!("`{name}` is empty")),
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("`{name}` is missing")),
    }
}

/// The list of a look, whose keys can be equal to the values that a step gets.
pub(super) fn comparable<'g>(ground: &Ground<'g>, look: &Look) -> Result<&'g List, String> {
    let list = ground.lists.get(look)?;
    let key = Kind::of(&list.key.ty);
    textual(ground.kind)?;
    textual(key)?;
    let (is_text, is_exact) =
        (|kind| matches!(kind, Kind::Text | Kind::Enum), |kind: Kind| kind.is_number());
    let alike = key == ground.kind
        || is_text(key)
        || is_text(ground.kind)
        || is_exact(key) && is_exact(ground.kind);
    if alike {
        return Ok(list);
    }
    Err(format!("gets {}, and column {} of {} is {key}", ground.kind, look.key, look.table))
}

/// The keys of a list; `None` where its rows are not read.
pub(super) fn keys(list: &List) -> Option<Arc<Keys>> {
    list.rows.as_ref().map(|rows| Arc::clone(&rows.values))
}

fn bind(ground: &Ground<'_>, look: &Look, miss: &Else) -> Result<Bound, String> {
    let list = comparable(ground, look)?;
    let column = list.value.as_ref().ok_or("`value` is missing")?;
    let kind = Kind::of(&column.ty);
    if kind == Kind::Other {
        return Err(format!("column {} of {} is {kind}", column.name, look.table));
    }
    let instead = match miss {
        Else::Value(literal) => Some(value_of(literal, kind)?),
        _ => None,
    };
    bind_map(ground, &list.values(), kind, miss, instead.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::{BIGINT, TEXT, column, table};

    fn list(rows: &[(&str, i64)]) -> Result<List, String> {
        let table = table("s", "l", vec![column("k", TEXT, "text"), column("v", BIGINT, "bigint")]);
        let look = Look {
            database: None,
            table: table.name.clone(),
            key: "k".into(),
            value: Some("v".into()),
        };
        let rows = rows.iter().map(|(key, value)| (Value::Text((*key).into()), Value::Int(*value)));
        List::of(&look, &table)?.filled(rows)
    }

    /// Broken if which of two values a key has were left to the order in which rows are read, or a row that
    /// is there twice kept a link from starting.
    #[test]
    fn a_key_has_one_value() {
        let said = list(&[("a", 1), ("b", 2), ("a", 3)]).expect_err("two values");
        assert_eq!(said, "k holds a value several times, with different v");
        assert_eq!(list(&[("a", 1), ("a", 1)]).expect("a list").values().len(), 1);
    }

    /// Broken if a table that has changed passed for what it was, or one that was only read in another order
    /// for changed.
    #[test]
    fn other_rows_have_another_digest() {
        let of = |rows: &[(&str, i64)]| list(rows).expect("a list").rows.expect("rows").digest;
        assert_eq!(of(&[("a", 1), ("b", 2)]), of(&[("b", 2), ("a", 1)]));
        assert_ne!(of(&[("a", 1), ("b", 2)]), of(&[("a", 2), ("b", 1)]));
        assert_ne!(of(&[("a", 1)]), of(&[]));
    }
}
