//! How a value of a database that is not the owner becomes the owner's: the way back of the column's steps and
//! conversion, and the owner's table as it is written for that.
//!
//! Only a value that comes back as it was is adopted: led to the owner and through the link again it must be what the
//! other database holds, or the link would write another one there. Pure.

use std::sync::Arc;

use crate::config::Config;
use crate::model::{Row, Table, Value};
use crate::plan::columns::Draft;
use crate::plan::select::choose;
use crate::plan::{ColumnPlan, LinkPlan, TablePlan, column_value, mirror_table};
use crate::transform::rules::{Lists, Rules, Site, compile};
use crate::transform::{Conversion, Fit, convert, reverse};

/// Bytes of a value beyond which its record does not hold all of it.
const VALUE_BYTES_MAX: usize = 4 << 10;

/// A column of a table whose values are taken back to its owner.
#[derive(Debug)]
pub struct Adoption {
    /// The owner's table at both ends: the match key's columns, and the column behind them.
    pub table: TablePlan,
    /// The other database's table, as it is read.
    pub read: TablePlan,
    column: ColumnPlan,
    width: usize,
    nullable: bool,
    reverse: Conversion,
    rules: Option<Arc<Rules>>,
}

/// The way back of a column of `plan`, which leads from its owner to the database that wrote; `names` are the
/// owner's table, the other one's, and its column.
///
/// # Errors
/// Why there is none.
pub fn adoption(
    (config, plan): (&Config, &LinkPlan),
    source_tables: &[Table],
    lists: &Lists,
    names: [&str; 3],
) -> Result<Adoption, String> {
    let link = &plan.link;
    let [source, target, name] = names;
    let found = plan.tables.iter().find(|table| {
        table.source.name.to_string() == source && table.target.name.to_string() == target
    });
    let table = found.ok_or_else(|| format!("{link} does not carry {source} to {target}"))?;
    let is_named = |column: &&ColumnPlan| {
        let target = table.target.columns.get(column.target);
        target.is_some_and(|target| target.name == name)
    };
    let column = table.columns.iter().find(is_named).filter(|column| column.owned);
    let column = column.ok_or_else(|| format!("{link} does not carry column {name}"))?;
    if column.sensitive {
        return Err(format!(
            "the values of {name} are not recorded, so nobody can say whether they still are what was decided about"
        ));
    }
    let (from, to) =
        (table.source.columns.get(column.source), table.target.columns.get(column.target));
    let (from, to) = from.zip(to).ok_or_else(|| format!("{link} does not carry column {name}"))?;
    let dialects = (plan.source_dialect, plan.target_dialect);
    let (reverse, rules) = match &column.rules {
        None => (reverse(from, dialects.0, to, dialects.1)?, None),
        Some(_) => {
            let chosen = choose(config, link, source_tables, &mut Vec::new());
            let chosen = chosen.iter().find(|one| one.source == table.source.name);
            let chosen = chosen.ok_or_else(|| format!("{link} does not carry {source}"))?;
            let (source, target) = (&table.source, &table.target);
            let conversion = &config.conversion;
            let draft = Draft { link, dialects, chosen, source, target, conversion, lists };
            way_back(&draft, from.name.as_str(), name)?
        }
    };
    Ok(Adoption {
        table: written(table, column),
        read: mirror_table(table),
        column: column.clone(),
        width: table.source.columns.len(),
        nullable: from.nullable,
        reverse,
        rules,
    })
}

/// The way back of steps: there is one where rows could be matched by the column.
fn way_back(
    draft: &Draft<'_>,
    source: &str,
    target: &str,
) -> Result<(Conversion, Option<Arc<Rules>>), String> {
    let none = || format!("the steps of {target} towards {} have no way back", draft.link.target);
    let (steps, settings) = draft.rules_of(source);
    let at = |table: &'_ Table, name: &str| table.column_index(name);
    let (from, to) = (at(draft.source, source), at(draft.target, target));
    let from = from.and_then(|at| draft.source.columns.get(at)).ok_or_else(none)?;
    let to = to.and_then(|at| draft.target.columns.get(at)).ok_or_else(none)?;
    let site = Site {
        source: (draft.source, from, draft.dialects.0),
        target: (draft.target, to, draft.dialects.1),
        key: true,
        lists: draft.lists,
    };
    let compiled = compile(&site, steps, &settings).map_err(|_| none())?;
    let reverse = match compiled.reverse {
        Some(conversion) => conversion,
        None => reverse(from, draft.dialects.0, to, draft.dialects.1)?,
    };
    Ok((reverse, compiled.rules.map(Arc::new)))
}

/// The owner's table alone, with the columns that find a row and the one that is written.
fn written(table: &TablePlan, column: &ColumnPlan) -> TablePlan {
    let as_is = |at| ColumnPlan::of(at, at, Conversion { nullable: true, fit: Fit::Same });
    let key = table.key.iter().filter_map(|at| table.columns.get(*at)).map(|column| column.source);
    let columns: Vec<_> = key.chain([column.source]).map(as_is).collect();
    let source = table.source.clone();
    TablePlan::alone(source.clone(), source, columns, (0..table.key.len()).collect())
}

impl Adoption {
    /// The value of the column in a row of the database that wrote, as [`Adoption::read`] reads it.
    pub fn held<'r>(&self, row: &'r Row) -> Option<&'r Value> {
        row.get(self.column.target).filter(|value| value.is_known())
    }

    /// What the owner is to hold for this value.
    ///
    /// # Errors
    /// Where it does not come back as it is.
    pub fn value(&self, held: &Value) -> Result<Value, String> {
        if held.heap_bytes() > VALUE_BYTES_MAX {
            return Err(format!("it is longer than the {VALUE_BYTES_MAX} bytes that are recorded"));
        }
        let value = match held {
            Value::Null if self.nullable => Value::Null,
            Value::Null => return Err("the owner's column takes no NULL".to_owned()),
            held => {
                let back = convert(&self.reverse, held).and_then(|value| match &self.rules {
                    Some(rules) => rules.back(value),
                    None => Ok(value),
                });
                back.map_err(|reason| format!("it has no form at the owner: {reason}"))?
            }
        };
        let mut row = vec![Value::Unchanged; self.width];
        if let Some(place) = row.get_mut(self.column.source) {
            place.clone_from(&value);
        }
        match column_value(&self.column, &row.into()) {
            Some(Ok(again)) if again == *held => Ok(value),
            _ => Err("it would come back from the owner as another one".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::fixtures::{BIGINT, TEXT, column, config, link, mapping, row, table};
    use crate::plan::plan;
    use crate::transform::rules::{Literal, build};

    /// `n` belongs to `pg` and goes to `my` through these steps.
    fn found(steps: &[(&str, Literal)], sensitive: bool) -> Result<Adoption, String> {
        let columns = |n| vec![column("id", BIGINT, "bigint"), n];
        let source = table("public", "t", columns(column("n", BIGINT, "bigint")));
        let to = match steps.is_empty() {
            true => column("n", BIGINT, "bigint"),
            false => column("n", TEXT, "longtext"),
        };
        let target = table("my_db", "t", columns(to));
        let addresses = [("pg", "public.t"), ("my", "my_db.t")];
        let mut mapping = mapping("t", Some("pg"), &addresses);
        let steps = steps.iter().map(|(name, value)| build(name, value).expect("a step"));
        let steps = BTreeMap::from([("my".to_owned(), steps.collect())]);
        mapping.steps.insert("n".to_owned(), steps);
        mapping.sensitive_columns.insert("n".to_owned(), sensitive);
        let config = config(Vec::new(), vec![mapping]);
        let tables = [std::slice::from_ref(&source), std::slice::from_ref(&target)];
        let plan = plan(&config, &link("pg", "my"), tables[0], tables[1]).expect("a plan");
        let names = ["public.t", "my_db.t", "n"];
        adoption((&config, &plan), tables[0], &Lists::default(), names)
    }

    fn words(values: &[(&str, &str)]) -> Vec<(&'static str, Literal)> {
        let text = |text: &str| Literal::Text(text.to_owned());
        let values = values.iter().map(|(from, to)| ((*from).to_owned(), text(to))).collect();
        vec![("map", Literal::Table(vec![("values".to_owned(), Literal::Table(values))]))]
    }

    /// Broken if the owner got another value than the one that a person decided about, or one that its own link
    /// then made something else of at the database that wrote.
    #[test]
    fn a_value_is_adopted_as_it_comes_back() {
        let plain = found(&[], false).expect("a way back");
        assert_eq!(plain.value(&Value::Int(7)), Ok(Value::Int(7)));
        assert_eq!(plain.value(&Value::Null), Ok(Value::Null));
        assert_eq!(plain.held(&row(&[1, 7])), Some(&Value::Int(7)));
        let names: Vec<_> = plain.table.columns.iter().map(|column| column.source).collect();
        assert_eq!((names, plain.table.key.clone()), (vec![0, 1], vec![0]));
        let mapped = found(&words(&[("1", "one"), ("2", "two")]), false).expect("a way back");
        assert_eq!(mapped.value(&Value::Text("two".into())), Ok(Value::Int(2)));
        assert!(mapped.value(&Value::Text("three".into())).is_err());
    }

    /// Broken if a guess were written at the owner, or a value that nobody has seen.
    #[test]
    fn what_does_not_lead_back_is_refused() {
        let twice = found(&words(&[("1", "one"), ("2", "one")]), false).expect_err("no way back");
        assert!(twice.contains("no way back"), "{twice}");
        assert!(found(&[], true).expect_err("sensitive").contains("not recorded"));
    }
}
