//! One table seen from both sides: rows of either as items that can be brought together, keys on their way
//! between the sides, and what is told of them. Pure.

use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::model::{Change, Op, Row, Value};
use crate::plan::{self, LinkPlan, TablePlan};
use crate::transform::rules::Beside;
use crate::verify::canonical::{Form, forms};
use crate::verify::digest::digest;
use crate::verify::merge::Item;

/// A table of a link and its mirror.
#[derive(Clone, Debug)]
pub struct Pair {
    plan: Arc<LinkPlan>,
    at: usize,
    table: Arc<TablePlan>,
    mirrored: Arc<TablePlan>,
    forms: Vec<Form>,
}

impl Pair {
    /// Of the table at this place of the plan.
    ///
    /// # Errors
    /// `Internal` where there is none.
    pub fn of(plan: &Arc<LinkPlan>, at: usize) -> Result<Pair> {
        let table = plan.tables.get(at).map(Arc::clone);
        let table = table.ok_or_else(|| Error::new(Kind::Internal, "a table outside the plan"))?;
        let mirrored = Arc::new(plan::mirror_table(&table));
        let forms = forms(&table);
        Ok(Pair { plan: Arc::clone(plan), at, table, mirrored, forms })
    }

    /// Its place in the plan.
    pub fn at(&self) -> usize {
        self.at
    }

    /// As the source is read.
    pub fn source(&self) -> &TablePlan {
        &self.table
    }

    /// As the target is read.
    pub fn target(&self) -> &TablePlan {
        &self.mirrored
    }

    /// The forms of its columns.
    pub fn forms(&self) -> &[Form] {
        &self.forms
    }

    /// Whether both servers may sort its keys alike: texts that they compare by collations are not worth
    /// a try.
    pub fn may_be_ordered(&self) -> bool {
        self.table.key.iter().filter_map(|at| self.table.columns.get(*at)).all(|column| {
            let source = self.table.source.columns.get(column.source);
            let target = self.table.target.columns.get(column.target);
            [source, target].into_iter().flatten().all(|column| column.exact_collation)
        })
    }

    /// Rows as the source was read, and how many of them have no key at the target.
    ///
    /// # Errors
    /// Where a row is not whole.
    pub fn of_source(&self, rows: Vec<Row>) -> Result<(Vec<Item>, u64)> {
        let (mut items, mut unfit, mut buffer) = (Vec::with_capacity(rows.len()), 0, Vec::new());
        for row in rows {
            let bytes = row.size_bytes();
            let change = Change { table: self.at, op: Op::Insert { after: row }, reshaped: false };
            match plan::prepare_whole(&self.plan, &change, Beside::default()) {
                Ok(row) => {
                    let digest = Some(digest(&self.forms, &row, &mut buffer)?);
                    items.push(Item { key: self.key_of(&row)?, digest, bytes });
                }
                Err(error) if error.is_about_a_row() => match self.key_of_source(&change) {
                    Some(key) => items.push(Item { key, digest: None, bytes }),
                    None => unfit += 1,
                },
                Err(error) => return Err(error),
            }
        }
        Ok((items, unfit))
    }

    /// Rows as the target was read.
    ///
    /// # Errors
    /// Where a row is not whole.
    pub fn of_target(&self, rows: &[Row]) -> Result<Vec<Item>> {
        let mut buffer = Vec::new();
        let item = |row: &Row| {
            let bytes = row.size_bytes();
            let row = self.planned(row);
            let digest = Some(digest(&self.forms, &row, &mut buffer)?);
            Ok(Item { key: self.key_of(&row)?, digest, bytes })
        };
        rows.iter().map(item).collect()
    }

    /// A row as the target was read, in the plan's columns.
    pub fn planned(&self, row: &Row) -> Row {
        plan::planned(&self.table, row)
    }

    /// The key of a row of the target at the source; `None` where the source cannot have it.
    pub fn source_key(&self, key: &Row) -> Option<Row> {
        plan::source_key(&self.table, key).ok()
    }

    /// A key of the target as the link would write it, which may be another spelling of it; `None` where
    /// the source cannot have it.
    pub fn as_written(&self, key: &Row) -> Option<Row> {
        let source = self.source_key(key)?;
        let columns = self.table.key.iter().filter_map(|at| self.table.columns.get(*at));
        let mut row = vec![Value::Unchanged; self.table.source.columns.len()];
        for (column, value) in columns.clone().zip(source.iter()) {
            *row.get_mut(column.source)? = value.clone();
        }
        let row = Row::from(row);
        let written =
            columns.map(|column| plan::column_value(column, &row)?.ok().filter(Value::is_known));
        written.collect()
    }

    /// A key for people; what is sensitive is not shown.
    pub fn shown(&self, key: &Row) -> String {
        let columns = self.table.key.iter().map(|at| self.table.columns.get(*at));
        let shown = columns.zip(key.iter()).map(|(column, value)| match column {
            Some(column) if !column.sensitive => value.clone(),
            _ => Value::Text("(sensitive)".into()),
        });
        plan::record::recorded_key(&shown.collect::<Vec<_>>())
    }

    /// The target's names of these columns of the plan.
    pub fn names(&self, columns: &[usize]) -> Vec<String> {
        let planned = columns.iter().filter_map(|at| self.table.columns.get(*at));
        let named = planned.filter_map(|column| self.table.target.columns.get(column.target));
        named.map(|column| column.name.clone()).collect()
    }

    /// The key of a row in the plan's columns.
    ///
    /// # Errors
    /// Where the row is not whole.
    pub fn key_of(&self, row: &Row) -> Result<Row> {
        let values = self.table.key.iter().map(|at| row.get(*at).cloned());
        values.collect::<Option<Row>>().ok_or_else(not_whole)
    }

    /// The key of an inserted row that has no form at the target, if the key has one.
    fn key_of_source(&self, insert: &Change) -> Option<Row> {
        let Op::Insert { after: row } = &insert.op else { return None };
        let columns = self.table.key.iter().map(|at| self.table.columns.get(*at));
        let key = columns.map(|column| {
            let column = column?;
            plan::column_value(column, row)?.ok().filter(Value::is_known)
        });
        key.collect()
    }
}

fn not_whole() -> Error {
    Error::new(Kind::Internal, "a row that is compared was not read whole")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::{plan_of, row};

    fn pair(change: impl FnOnce(&mut TablePlan)) -> Pair {
        let mut plan = plan_of(&["id", "n"]);
        change(Arc::make_mut(&mut plan.tables[0]));
        Pair::of(&Arc::new(plan), 0).expect("a pair")
    }

    /// Broken if a row that is the same on both sides had two digests or two keys.
    #[test]
    fn both_sides_make_one_item_of_a_row() {
        let pair = pair(|_| ());
        let (source, unfit) = pair.of_source(vec![row(&[1, 2])]).expect("items");
        assert_eq!((source, unfit), (pair.of_target(&[row(&[1, 2])]).expect("items"), 0));
    }

    /// Broken if a row that has no form at the target were not told of, or took its neighbours with it.
    #[test]
    fn what_has_no_form_is_told_by_its_key() {
        let pair = pair(|table| {
            for column in &mut table.columns {
                column.conversion.fit = crate::transform::Fit::Int { min: 0, max: 9 };
            }
        });
        let rows = vec![row(&[1, 10]), row(&[10, 1]), row(&[2, 2])];
        let (items, unfit) = pair.of_source(rows).expect("items");
        let told: Vec<_> = items.iter().map(|item| (&item.key, item.digest.is_some())).collect();
        assert_eq!((told, unfit), (vec![(&row(&[1]), false), (&row(&[2]), true)], 1));
    }

    /// Broken if a secret were shown, or a difference told under another name than the target's.
    #[test]
    fn sensitive_keys_are_not_shown() {
        let open = pair(|_| ());
        assert_eq!(open.shown(&row(&[7])), "[7]");
        assert_eq!(open.names(&[1]), ["n"]);
        let secret = pair(|table| table.columns[0].sensitive = true);
        assert_eq!(secret.shown(&row(&[7])), "[\"(sensitive)\"]");
    }
}
