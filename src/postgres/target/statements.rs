//! Prepared statements of one connection, at most [`CACHED_MAX`], the least recently used going
//! first: ten thousand tables must not fill the server's memory with plans.

use std::hash::Hash;
use std::sync::Arc;

use hashbrown::HashMap;
use tokio_postgres::{Client, Statement};

use super::pipeline::in_time;
use crate::error::{Error, Kind, Result};
use crate::model::{Step, Verb};
use crate::plan::{LinkPlan, TablePlan};
use crate::postgres::failure::classify;
use crate::postgres::sql;

/// Statements kept per connection.
const CACHED_MAX: usize = 256;

/// What decides a statement's text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Shape {
    Step {
        table: usize,
        verb: Verb,
        columns: Arc<[usize]>,
    },
    Load {
        table: usize,
        binary: bool,
    },
    Lock(usize),
    Form(usize),
    /// A record of a flagged write, with the column that it looks at.
    Flag {
        table: usize,
        held: Option<usize>,
    },
    Fixed(&'static str),
}

/// The cache.
#[derive(Default)]
pub(super) struct Statements {
    cached: HashMap<Shape, (Statement, u64)>,
    uses: u64,
}

impl Statements {
    /// The statement of a step.
    pub(super) async fn of_step(
        &mut self,
        client: &Client,
        plan: &LinkPlan,
        step: &Step,
    ) -> Result<Statement> {
        let table = plan.tables.get(step.table).ok_or_else(|| {
            Error::new(Kind::Internal, format!("table {} is not in the plan", step.table))
        })?;
        let columns = match step.verb {
            Verb::Upsert | Verb::Update | Verb::Rekey => Arc::clone(&step.columns),
            Verb::Delete | Verb::Truncate | Verb::Note => Arc::default(),
        };
        if columns.iter().any(|column| *column >= table.columns.len()) {
            let context = format!("a step names a column that {} has not", table.target.name);
            return Err(Error::new(Kind::Internal, context));
        }
        let shape = Shape::Step { table: step.table, verb: step.verb, columns };
        if let Some(statement) = self.find(&shape) {
            return Ok(statement);
        }
        let text = text(table, step);
        let context = || format!("prepare a statement for {}", table.target.name);
        let found = self.prepare(client, shape, &text, context).await;
        found.map_err(|error| match (error.kind(), step.verb) {
            (Kind::Privilege, Verb::Delete) if !table.looked_at().is_empty() => {
                error.hint("let weir look whether rows refer to the one that goes: grant it SELECT on the tables whose foreign keys refer to this one, then start weir again")
            }
            _ => error,
        })
    }

    /// The COPY of whole rows into a table.
    pub(super) async fn of_load(
        &mut self,
        client: &Client,
        plan: &LinkPlan,
        table: usize,
        binary: bool,
    ) -> Result<Statement> {
        let text = |table: &TablePlan| sql::load(table, binary);
        self.of_table(client, plan, table, Shape::Load { table, binary }, text).await
    }

    /// What is locked before.
    pub(super) async fn of_lock(
        &mut self,
        client: &Client,
        plan: &LinkPlan,
        table: usize,
    ) -> Result<Statement> {
        self.of_table(client, plan, table, Shape::Lock(table), sql::lock).await
    }

    /// The types of its columns.
    pub(super) async fn of_form(
        &mut self,
        client: &Client,
        plan: &LinkPlan,
        table: usize,
    ) -> Result<Statement> {
        self.of_table(client, plan, table, Shape::Form(table), sql::form).await
    }

    /// A record of a flagged write.
    pub(super) async fn of_flag(
        &mut self,
        client: &Client,
        plan: &LinkPlan,
        table: usize,
        held: Option<usize>,
    ) -> Result<Statement> {
        let text = |table: &TablePlan| sql::flags::new(table, held);
        let shape = Shape::Flag { table, held };
        self.of_table(client, plan, table, shape, text).await.map_err(super::without_schema)
    }

    async fn of_table(
        &mut self,
        client: &Client,
        plan: &LinkPlan,
        table: usize,
        shape: Shape,
        text: impl FnOnce(&TablePlan) -> String,
    ) -> Result<Statement> {
        if let Some(statement) = self.find(&shape) {
            return Ok(statement);
        }
        let table = plan.tables.get(table).ok_or_else(|| {
            Error::new(Kind::Internal, format!("table {table} is not in the plan"))
        })?;
        let context = || format!("prepare a statement for {}", table.target.name);
        self.prepare(client, shape, &text(table), context).await
    }

    /// One of weir's own statements.
    pub(super) async fn fixed(&mut self, client: &Client, text: &'static str) -> Result<Statement> {
        let shape = Shape::Fixed(text);
        if let Some(statement) = self.find(&shape) {
            return Ok(statement);
        }
        self.prepare(client, shape, text, || "prepare a statement for schema weir".to_owned())
            .await
            .map_err(super::without_schema)
    }

    fn find(&mut self, shape: &Shape) -> Option<Statement> {
        self.uses += 1;
        let (statement, used) = self.cached.get_mut(shape)?;
        *used = self.uses;
        Some(statement.clone())
    }

    async fn prepare(
        &mut self,
        client: &Client,
        shape: Shape,
        text: &str,
        context: impl FnOnce() -> String,
    ) -> Result<Statement> {
        let statement =
            in_time(client.prepare(text)).await?.map_err(|error| classify(error, context()))?;
        if self.cached.len() >= CACHED_MAX {
            let oldest = self.cached.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(shape) = oldest.map(|(shape, _)| shape.clone()) {
                self.cached.remove(&shape);
            }
        }
        self.cached.insert(shape, (statement.clone(), self.uses));
        Ok(statement)
    }
}

fn text(table: &TablePlan, step: &Step) -> String {
    match step.verb {
        Verb::Upsert => sql::upsert(table, &step.columns),
        Verb::Update => sql::update(table, &step.columns),
        Verb::Rekey => sql::rekey(table, &step.columns),
        Verb::Delete => match table.looked_at() {
            keys if keys.is_empty() => sql::delete(table),
            keys => sql::delete_unreferred(table, &keys),
        },
        Verb::Truncate => sql::truncate(table),
        // Written with the misses, not as a step of its own.
        Verb::Note => String::new(),
    }
}
