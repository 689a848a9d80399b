//! The verbs: what each step does with rows that exist, rows that do not, and what it reports.

use super::super::encode::Form;
use super::writer::{Action, Prepared, Rows, Writer};
use crate::error::{Error, Kind, Result};
use crate::link::ports::{MissedKey, Why};
use crate::model::{Row, Step, Verb};
use crate::plan::UpsertStrategy;

/// How often an update is repeated because rows came or went meanwhile.
const ATTEMPTS_MAX: usize = 3;

impl Writer {
    /// Does one step; gives the keys that an update or rekey did not find, but for updates of the
    /// tables of `unnoted`.
    ///
    /// # Errors
    /// As the server says; `Constraint` where a key hits several rows; `Contention` where other
    /// sessions insert the same keys again and again.
    pub(super) async fn step(&mut self, step: &Step, unnoted: &[usize]) -> Result<Vec<MissedKey>> {
        let prepared = self.prepared(step.table).await?;
        let table = &prepared.plan.target.name;
        if step.verb == Verb::Truncate {
            self.truncate(&prepared).await?;
            return Ok(Vec::new());
        }
        if step.rows.is_empty() {
            return Ok(Vec::new());
        }
        if step.verb == Verb::Note {
            let why = Why::Partial;
            let key = |key: &Row| MissedKey { table: step.table, key: key.clone(), why };
            return Ok(step.rows.iter().map(key).collect());
        }
        let forms = forms(&prepared, step)?;
        let all: Vec<&Row> = step.rows.iter().collect();
        let rows = Rows { table: step.table, columns: &step.columns, forms: &forms, rows: &all };
        match step.verb {
            Verb::Upsert => self.upsert(&prepared, rows).await.map(|()| Vec::new()),
            Verb::Update if unnoted.contains(&step.table) => {
                let context = format!("update {table}");
                let matched = self.write(&context, Action::Update, &prepared, rows).await?;
                refuse_repeated(&context, matched, all.len()).map(|()| Vec::new())
            }
            Verb::Update => {
                let absent = self.update(&format!("update {table}"), &prepared, rows).await?;
                missed(&prepared, step, &absent)
            }
            Verb::Rekey => {
                self.rekey(&format!("change a key of {table}"), &prepared, step, rows).await
            }
            Verb::Delete => {
                let context = format!("delete from {table}");
                self.delete(&context, &prepared, rows).await?;
                Ok(Vec::new())
            }
            Verb::Truncate | Verb::Note => Ok(Vec::new()),
        }
    }

    /// Inserts rows, and updates those that are there; updates alone where the source does not own the
    /// rows.
    pub(super) async fn upsert(&mut self, prepared: &Prepared, rows: Rows<'_>) -> Result<()> {
        if !prepared.plan.owns_rows {
            let context = format!("update {}", prepared.plan.target.name);
            return self.write(&context, Action::Update, prepared, rows).await.map(drop);
        }
        let context = format!("insert or update {}", prepared.plan.target.name);
        match prepared.plan.upsert {
            UpsertStrategy::Native => {
                self.write(&context, Action::Upsert, prepared, rows).await.map(drop)
            }
            UpsertStrategy::UpdateThenInsert => {
                self.update_then_insert(&context, prepared, rows).await
            }
        }
    }

    /// Updates rows; gives the indexes of those that are not there. What was matched is locked by
    /// this transaction, so only a row that another session inserts meanwhile can make the two
    /// looks differ; then the update, which is idempotent, is done again.
    async fn update(
        &mut self,
        context: &str,
        prepared: &Prepared,
        rows: Rows<'_>,
    ) -> Result<Vec<usize>> {
        let wanted = rows.rows.len();
        for _ in 0..ATTEMPTS_MAX {
            let matched = self.write(context, Action::Update, prepared, rows).await?;
            refuse_repeated(context, matched, wanted)?;
            let matched = usize::try_from(matched).unwrap_or(usize::MAX);
            if matched == wanted {
                return Ok(Vec::new());
            }
            if matched == 0 && wanted == 1 {
                return Ok(vec![0]);
            }
            let absent = self.absent(context, prepared, rows).await?;
            if absent.len() == wanted - matched {
                return Ok(absent);
            }
        }
        let context = format!("{context}: other sessions keep inserting the same keys");
        Err(Error::new(Kind::Contention, context))
    }

    /// The native insert-or-update could hit another row by another unique index or by a coarse
    /// collation, so rows that are there are updated and the others inserted; a collision then is
    /// an error.
    async fn update_then_insert(
        &mut self,
        context: &str,
        prepared: &Prepared,
        rows: Rows<'_>,
    ) -> Result<()> {
        let absent = self.update(context, prepared, rows).await?;
        let fresh: Vec<&Row> = absent.iter().filter_map(|at| rows.rows.get(*at).copied()).collect();
        let rows = Rows { rows: &fresh, ..rows };
        self.write(context, Action::Insert, prepared, rows).await?;
        Ok(())
    }

    async fn rekey(
        &mut self,
        context: &str,
        prepared: &Prepared,
        step: &Step,
        rows: Rows<'_>,
    ) -> Result<Vec<MissedKey>> {
        let mut absent = Vec::new();
        for (at, row) in rows.rows.iter().enumerate() {
            let one = Rows { rows: std::slice::from_ref(row), ..rows };
            match self.write(context, Action::Rekey, prepared, one).await? {
                0 => absent.push(at),
                1 => {}
                _ => {
                    let context = format!("{context}: a match key hits more than one row");
                    return Err(Error::new(Kind::Constraint, context));
                }
            }
        }
        missed(prepared, step, &absent)
    }
}

/// An update of `wanted` rows that matched more of them.
fn refuse_repeated(context: &str, matched: u64, wanted: usize) -> Result<()> {
    if matched <= wanted as u64 {
        return Ok(());
    }
    let context = format!("{context}: a match key hits more than one row");
    Err(Error::new(Kind::Constraint, context).hint("the match key must be unique on the target"))
}

/// The forms of a step's rows, place by place.
fn forms(prepared: &Prepared, step: &Step) -> Result<Vec<Form>> {
    let key = prepared.plan.key.iter();
    let columns = step.columns.iter();
    let places: Vec<usize> = match step.verb {
        Verb::Delete => key.copied().collect(),
        Verb::Rekey => key.chain(columns).copied().collect(),
        _ => columns.copied().collect(),
    };
    let form = |at: usize| prepared.forms.get(at).copied();
    places.into_iter().map(|at| form(at).ok_or_else(|| misplanned(prepared))).collect()
}

/// The match keys of the rows at `absent`; of a rekey, the new ones.
fn missed(prepared: &Prepared, step: &Step, absent: &[usize]) -> Result<Vec<MissedKey>> {
    let plan = &prepared.plan;
    let offset = if step.verb == Verb::Rekey { plan.key.len() } else { 0 };
    let place = |at: &usize| step.columns.iter().position(|column| column == at);
    let mut found = Vec::with_capacity(absent.len());
    for row in absent.iter().filter_map(|at| step.rows.get(*at)) {
        let key: Option<Vec<_>> =
            plan.key.iter().map(|at| row.get(place(at)? + offset).cloned()).collect();
        let key = key.ok_or_else(|| misplanned(prepared))?;
        found.push(MissedKey { table: step.table, key: key.into(), why: Why::NoRow });
    }
    Ok(found)
}

fn misplanned(prepared: &Prepared) -> Error {
    Error::new(
        Kind::Internal,
        format!("a step does not fit the plan of {}", prepared.plan.target.name),
    )
}
