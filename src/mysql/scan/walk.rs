//! The index by which a table is copied, and conditions for what lies after one place and up to another.
//!
//! That is the match key's own index where it has one, and otherwise another unique one of columns that
//! are never NULL. The conditions are in the form that the range optimizer of both servers turns into a
//! read that begins at the place: nothing before it is touched. What a walk depends on is in its text, so
//! that a place is never looked for in another index or order than it was found in.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use serde::{Deserialize, Serialize};

use super::place::Place;
use crate::error::{Error, Kind, Result};
use crate::model::Unique;
use crate::mysql::catalog;
use crate::mysql::session::{Flavor, Session, within};
use crate::mysql::sql::{literal, quote, quote_table};
use crate::plan::TablePlan;

/// How a table is walked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Walk {
    /// The index, quoted.
    index: String,
    /// Its columns.
    pub(super) places: Vec<Place>,
    /// It is the match key's.
    pub(super) by_match_key: bool,
    /// As the link keeps it.
    pub(super) text: String,
}

/// What of a walk is kept.
#[derive(Serialize, Deserialize, PartialEq)]
struct Kept {
    index: String,
    columns: Vec<String>,
}

/// Which end a bound is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Rows after the place.
    After,
    /// Rows from the place on.
    From,
    /// Rows up to the place, with it.
    Until,
}

impl Walk {
    /// The walk of a table as it is now.
    ///
    /// # Errors
    /// `Mapping` where there is no index to walk by.
    pub(super) async fn choose(session: &mut Session, plan: &TablePlan) -> Result<Walk> {
        let table = &plan.source;
        let collations = catalog::collations(session, table).await?;
        let usable = usable(session, plan).await?;
        let key: Vec<usize> =
            plan.key.iter().filter_map(|at| Some(plan.columns.get(*at)?.source)).collect();
        let walk = |unique: &Unique| {
            let columns = unique.columns.iter().map(|at| {
                let column = table.columns.get(*at).filter(|column| !column.nullable)?;
                let collation = collations.get(*at).and_then(Option::as_deref);
                let shape = [&column.name, &column.native, collation.unwrap_or_default()].join(" ");
                Some((Place::of(column, collation)?, shape))
            });
            let (places, columns): (Vec<_>, Vec<_>) =
                columns.collect::<Option<Vec<_>>>()?.into_iter().unzip();
            let by_match_key = unique.columns.len() == key.len()
                && unique.columns.iter().all(|at| key.contains(at));
            let kept = Kept { index: unique.name.clone(), columns };
            let text = serde_json::to_string(&kept).ok()?;
            Some(Walk { index: quote(&unique.name), places, by_match_key, text })
        };
        let mut uniques: Vec<&Unique> =
            table.uniques.iter().filter(|unique| usable.contains(&unique.name)).collect();
        uniques.sort_by_key(|unique| !unique.primary);
        let walks: Vec<Walk> = uniques.into_iter().filter_map(walk).collect();
        let by_key = walks.iter().find(|walk| walk.by_match_key);
        by_key.or(walks.first()).cloned().ok_or_else(|| {
            let context = format!(
                "table {} of database `{}` has no unique index of columns that are never NULL by \
                 which it could be copied",
                table.name,
                session.database()
            );
            Error::new(Kind::Mapping, context)
                .hint("give it a primary key, or fill the target's table by hand")
        })
    }

    /// Conditions on rows beyond a place, as the link keeps it.
    ///
    /// # Errors
    /// `Witness` for a text that is no place of this walk.
    pub(super) fn bounded(&self, bound: Bound, kept: &str) -> Result<String> {
        let unread = || {
            Error::new(Kind::Witness, "a place in weir.snapshot is not as weir wrote it")
                .hint("copy the table anew: `weir snapshot LINK TABLE`")
        };
        let kept: Vec<String> = serde_json::from_str(kept).map_err(|_| unread())?;
        if kept.len() != self.places.len() {
            return Err(unread());
        }
        let values = self.places.iter().zip(&kept).map(|(place, kept)| place.literal(kept));
        let values = values.collect::<Option<Vec<_>>>().ok_or_else(unread)?;
        Ok(self.beyond(bound, &values))
    }

    /// `a > x OR (a = x AND b > y)`.
    pub(super) fn beyond(&self, bound: Bound, values: &[String]) -> String {
        let mut terms = Vec::new();
        for (at, (place, value)) in self.places.iter().zip(values).enumerate() {
            let is_last = at + 1 == values.len();
            let operator = match bound {
                Bound::After => ">",
                Bound::From if is_last => ">=",
                Bound::From => ">",
                Bound::Until if is_last => "<=",
                Bound::Until => "<",
            };
            let equal = self.places.iter().zip(values).take(at);
            let mut all: Vec<String> =
                equal.map(|(place, value)| format!("{} = {value}", place.name)).collect();
            all.push(format!("{} {operator} {value}", place.name));
            terms.push(format!("({})", all.join(" AND ")));
        }
        format!("({})", terms.join(" OR "))
    }

    /// A place as the link keeps it.
    pub(super) fn kept(&self, cells: Vec<mysql_async::Value>) -> Result<String> {
        let kept = self.places.iter().zip(cells).map(|(place, cell)| place.kept(cell));
        let kept = kept.collect::<Result<Vec<_>>>()?;
        serde_json::to_string(&kept)
            .map_err(|error| Error::new(Kind::Internal, "a place of a copy").caused_by(error))
    }

    /// The place of one row, `skip` rows further on in the order of the walk or against it, of those for
    /// which all `conditions` are true; `None` where there are no more than `skip`.
    pub(super) async fn place(
        &self,
        session: &mut Session,
        plan: &TablePlan,
        conditions: &[String],
        order: &str,
        skip: u64,
        limit: Duration,
    ) -> Result<Option<String>> {
        let by: Vec<String> =
            self.places.iter().map(|place| format!("{} {order}", place.name)).collect();
        let sql = format!(
            "SELECT {} FROM {}{} ORDER BY {} LIMIT 1 OFFSET {skip}",
            self.list(),
            self.table(plan),
            filter(conditions),
            by.join(", ")
        );
        let context = format!(
            "look for a place in {} in database `{}`",
            plan.source.name,
            session.database()
        );
        let call = session.conn().exec_first::<mysql_async::Row, _, _>(sql, ());
        let row = within(limit, &context, call).await?;
        let cells = row.map(|row| row.unwrap_raw().into_iter().flatten().collect());
        cells.map(|cells| self.kept(cells)).transpose()
    }

    /// The expressions that yield a row's place.
    pub(super) fn list(&self) -> String {
        self.places.iter().map(Place::expression).collect::<Vec<_>>().join(", ")
    }

    /// `table FORCE INDEX (index)`.
    pub(super) fn table(&self, plan: &TablePlan) -> String {
        format!("{} FORCE INDEX ({})", quote_table(&plan.source.name), self.index)
    }

    /// `table USE INDEX (index)`.
    pub(super) fn offered(&self, plan: &TablePlan) -> String {
        format!("{} USE INDEX ({})", quote_table(&plan.source.name), self.index)
    }

    /// The order of the walk.
    pub(super) fn order(&self) -> String {
        self.places.iter().map(|place| place.name.clone()).collect::<Vec<_>>().join(", ")
    }
}

/// ` WHERE a AND b`, or nothing.
pub(super) fn filter(conditions: &[String]) -> String {
    match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    }
}

/// The unique indexes that the server may be told to use and that sort all their columns in one
/// direction.
async fn usable(session: &mut Session, plan: &TablePlan) -> Result<Vec<String>> {
    let hidden = match session.flavor() {
        Flavor::Mysql => "IS_VISIBLE = 'NO'",
        Flavor::Mariadb => "IGNORED = 'YES'",
    };
    let sql = format!(
        "SELECT INDEX_NAME FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND NON_UNIQUE = 0 GROUP BY INDEX_NAME \
         HAVING SUM({hidden}) = 0 AND COUNT(DISTINCT COLLATION) = 1",
        literal(&plan.source.name.schema),
        literal(&plan.source.name.table)
    );
    let rows = session.texts("read the unique indexes", &sql).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::place::PlaceForm;
    use super::*;

    fn walk(columns: &[&str]) -> Walk {
        let place = |name: &&str| Place { name: quote(name), form: PlaceForm::Integer };
        let places = columns.iter().map(place).collect();
        Walk { index: "`PRIMARY`".into(), places, by_match_key: true, text: String::new() }
    }

    /// Broken if a chunk began or ended at another row than the one that its place names.
    #[test]
    fn what_lies_beyond_a_place() {
        let (one, two) = (walk(&["a"]), walk(&["a", "b"]));
        for (walk, bound, kept, text) in [
            (&one, Bound::After, r#"["1"]"#, "((`a` > 1))"),
            (&one, Bound::From, r#"["1"]"#, "((`a` >= 1))"),
            (&two, Bound::After, r#"["1","2"]"#, "((`a` > 1) OR (`a` = 1 AND `b` > 2))"),
            (&two, Bound::Until, r#"["1","2"]"#, "((`a` < 1) OR (`a` = 1 AND `b` <= 2))"),
        ] {
            assert_eq!(walk.bounded(bound, kept).expect("a condition"), text);
        }
        for odd in ["", "[]", r#"["1"]"#, r#"["1","x"]"#, r#"["1","2","3"]"#, "1"] {
            let error = two.bounded(Bound::After, odd).expect_err("no place");
            assert_eq!(error.kind(), Kind::Witness, "{odd}");
        }
    }
}
