//! Rows as statements: which text, how many rows at once, which parameters, and what came of it.
//!
//! MySQL takes multi-row statements of few fixed sizes, so that few are prepared; MariaDB takes
//! one-row statements in bulk. Both are cut by placeholders, rows and bytes (`max_allowed_packet`),
//! each cut being one command, so that counts and warnings are those of all its rows. A warning is
//! an error: the server has changed a value.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::{FromValue, Queryable};
use mysql_async::{Row as ServerRow, ServerError, Value as Parameter};

use super::super::catalog;
use super::super::encode::Form;
use super::super::failure::classify;
use super::super::session::{Session, within};
use super::super::sql::{Batch, Statement, TableSql, unlink};
use super::letters::OwnLetters;
use crate::error::{Error, Kind, Result};
use crate::model::{Row, Type};
use crate::plan::{LinkPlan, TablePlan};
use crate::snapshot::caution::Caution;

/// Longest time for one statement; locks are waited for less.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest time for emptying a table.
const TRUNCATE_TIMEOUT: Duration = Duration::from_secs(6 * 3600);
/// Rows of multi-row statements; few sizes, so that few statements are prepared.
const SIZES: [usize; 7] = [1000, 300, 100, 30, 10, 3, 1];
/// Rows of one bulk execution at most.
pub(super) const BULK_ROWS_MAX: usize = 2000;
/// Parameters of one statement at most, by the protocol.
const PARAMETERS_MAX: usize = 65_535;
/// Bytes of one command at most, unless a single row is larger. The library keeps up to 128 send
/// buffers for good, each as large as the largest command it has carried.
pub(super) const COMMAND_BYTES_MAX: usize = 256 << 10;
/// Bytes of one value in a derived table at most: its parameters are typed as text of up to 65535
/// bytes, and what is longer is cut in silence (MySQL 9.7).
const JOINED_BYTES_MAX: usize = 16_000;
/// Room for the command's header in a packet, in bytes.
pub(super) const HEADER_BYTES: usize = 4096;
/// Statement texts kept.
const TEXTS_MAX: usize = 256;
/// Warnings about the statement's spelling, not about a value: deprecations.
const HARMLESS: [u16; 6] = [1287, 1681, 3719, 3720, 3778, 3779];

/// What a statement does; part of its name in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// Plain insert.
    Insert,
    /// Insert or update.
    Upsert,
    /// Update.
    Update,
    /// Update of one row.
    UpdateOne,
    /// Change the key.
    Rekey,
    /// Delete.
    Delete,
    /// Look for keys that are not there.
    Absent,
}

/// Rows for one kind of statement on one table.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Index of the table in the plan.
    pub(super) table: usize,
    /// Columns of the statement.
    pub(super) columns: &'a Arc<[usize]>,
    /// The forms of a row's values.
    pub(super) forms: &'a [Form],
    /// The rows.
    pub(super) rows: &'a [&'a Row],
}

#[derive(PartialEq, Eq, Hash)]
struct TextName {
    table: usize,
    action: Action,
    columns: Arc<[usize]>,
    rows: usize,
}

/// A table's statements and parameter forms, loaded when it is first written.
pub(super) struct Prepared {
    pub(super) plan: Arc<TablePlan>,
    pub(super) sql: TableSql,
    /// By plan column.
    pub(super) forms: Vec<Form>,
}

/// The connection with what is known of tables and statements.
pub(super) struct Writer {
    session: Session,
    plan: Arc<LinkPlan>,
    tables: HashMap<usize, Arc<Prepared>>,
    texts: HashMap<TextName, Arc<Statement>>,
    packet_bytes_max: usize,
    caution: Caution,
}

impl Writer {
    pub(super) fn new(session: Session, plan: Arc<LinkPlan>, packet_bytes_max: usize) -> Writer {
        let (tables, texts) = (HashMap::new(), HashMap::new());
        Writer { session, plan, tables, texts, packet_bytes_max, caution: Caution::default() }
    }

    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(super) fn caution(&mut self) -> &mut Caution {
        &mut self.caution
    }

    /// The link's letters.
    pub(super) fn letters<'s>(&'s mut self, name: &'s str, link: &'s str) -> OwnLetters<'s> {
        let packet_bytes_max = self.packet_bytes_max;
        OwnLetters { session: &mut self.session, name, link, packet_bytes_max }
    }

    /// One statement that handles transactions.
    pub(super) async fn control(&mut self, context: &str, sql: &str) -> Result<()> {
        within(CALL_TIMEOUT, context, self.session.conn().query_drop(sql)).await
    }

    /// One prepared statement; gives the rows it matched.
    pub(super) async fn execute(
        &mut self,
        context: &str,
        sql: &str,
        parameters: Vec<Parameter>,
    ) -> Result<u64> {
        execute(&mut self.session, context, sql, parameters).await
    }

    /// Removes all rows of a table.
    pub(super) async fn truncate(&mut self, prepared: &Prepared) -> Result<()> {
        let context = format!("empty {}", prepared.plan.target.name);
        let unlink = unlink(&prepared.plan.target);
        for statement in unlink.into_iter().chain([prepared.sql.truncate()]) {
            let call = self.session.conn().query_drop(statement);
            within(TRUNCATE_TIMEOUT, &context, call).await?;
        }
        Ok(())
    }

    /// What is needed to write to a table; read at the first time.
    pub(super) async fn prepared(&mut self, table: usize) -> Result<Arc<Prepared>> {
        if let Some(prepared) = self.tables.get(&table) {
            return Ok(Arc::clone(prepared));
        }
        let plan = self.plan.tables.get(table).map(Arc::clone).ok_or_else(|| {
            Error::new(
                Kind::Internal,
                format!("the plan of {} has no table {table}", self.plan.link),
            )
        })?;
        let text =
            |ty: &Type| matches!(ty, Type::Char { .. } | Type::Text { .. } | Type::Enum { .. });
        let collations = if plan.target.columns.iter().any(|column| text(&column.ty)) {
            catalog::collations(&mut self.session, &plan.target).await?
        } else {
            Vec::new()
        };
        let sql = TableSql::new(&plan, self.session.flavor(), &collations)?;
        let columns =
            plan.columns.iter().filter_map(|column| plan.target.columns.get(column.target));
        let forms = columns.map(Form::of_column).collect::<Result<Vec<_>>>()?;
        let prepared = Arc::new(Prepared { plan, sql, forms });
        self.tables.insert(table, Arc::clone(&prepared));
        Ok(prepared)
    }

    /// Writes rows; gives the sum of the rows matched.
    pub(super) async fn write(
        &mut self,
        context: &str,
        action: Action,
        prepared: &Prepared,
        rows: Rows<'_>,
    ) -> Result<u64> {
        let batch = match action {
            Action::Rekey | Action::UpdateOne => Batch::Each,
            _ => prepared.sql.batch(),
        };
        if action != Action::Update || batch == Batch::Each {
            return self.write_batches(context, action, prepared, rows, batch).await;
        }
        let alone = |row: &&Row| rows.rows.len() == 1 || is_wide(row);
        let (single, joined): (Vec<&Row>, Vec<&Row>) = rows.rows.iter().partition(|row| alone(row));
        let joined = Rows { rows: &joined, ..rows };
        let mut matched = self.write_batches(context, action, prepared, joined, batch).await?;
        for row in &single {
            let one = Rows { rows: std::slice::from_ref(row), ..rows };
            let action = Action::UpdateOne;
            matched += self.write_batches(context, action, prepared, one, Batch::Each).await?;
        }
        Ok(matched)
    }

    async fn write_batches(
        &mut self,
        context: &str,
        action: Action,
        prepared: &Prepared,
        rows: Rows<'_>,
        batch: Batch,
    ) -> Result<u64> {
        let mut matched = 0;
        let mut rest = rows.rows;
        while !rest.is_empty() {
            let one = self.statement(action, prepared, rows, 1)?;
            let most = match batch {
                Batch::Each => BULK_ROWS_MAX,
                Batch::Many => self.rows_max(&one),
            };
            let (taken, mut parameters) = self.take(context, &one, rows.forms, rest, most)?;
            rest = rest.get(taken..).unwrap_or_default();
            if batch == Batch::Each {
                matched += self.execute_each(context, &one, parameters).await?;
                continue;
            }
            while !parameters.is_empty() {
                let size = size_for(parameters.len());
                let statement = self.statement(action, prepared, rows, size)?;
                let now = parameters.drain(..size).flatten().collect();
                matched += self.execute(context, &statement.text, now).await?;
            }
        }
        Ok(matched)
    }

    /// Rows of a multi-row statement at most, by its parameters and by the size of its text, of which
    /// `one` has those of one row.
    fn rows_max(&self, one: &Statement) -> usize {
        let by_parameters = PARAMETERS_MAX / one.binds.len().max(1);
        let limit = self.packet_bytes_max.saturating_sub(HEADER_BYTES);
        let by_text = limit / one.text.len().max(1);
        by_parameters.min(by_text).clamp(1, 1000)
    }

    /// Which of the rows' keys are not in the table, as indexes into the rows.
    pub(super) async fn absent(
        &mut self,
        context: &str,
        prepared: &Prepared,
        rows: Rows<'_>,
    ) -> Result<Vec<usize>> {
        const ROWS_MAX: usize = 100;
        let mut absent = Vec::new();
        let mut start = 0;
        while let Some(rest) = rows.rows.get(start..).filter(|rest| !rest.is_empty()) {
            let one = self.statement(Action::Absent, prepared, rows, 1)?;
            let (taken, mut parameters) = self.take(context, &one, rows.forms, rest, ROWS_MAX)?;
            while !parameters.is_empty() {
                let size = size_for(parameters.len());
                let statement = self.statement(Action::Absent, prepared, rows, size)?;
                let now: Vec<Parameter> = parameters.drain(..size).flatten().collect();
                let call = self.session.conn().exec::<ServerRow, _, _>(&statement.text, now);
                for row in within(CALL_TIMEOUT, context, call).await? {
                    absent.push(start + field::<usize>(context, &row, 0)?);
                }
                start += size;
            }
            debug_assert!(taken > 0);
        }
        Ok(absent)
    }

    /// Parameters of the first rows, as many as fit one command.
    fn take(
        &self,
        context: &str,
        statement: &Statement,
        forms: &[Form],
        rows: &[&Row],
        rows_max: usize,
    ) -> Result<(usize, Vec<Vec<Parameter>>)> {
        let limit = self.packet_bytes_max.saturating_sub(HEADER_BYTES);
        let mut taken = Vec::new();
        let mut bytes = 0;
        for row in rows.iter().take(rows_max) {
            let parameters = parameters(context, statement, forms, row)?;
            let size: usize = parameters.iter().map(wire_bytes).sum();
            if size > limit {
                let context = format!(
                    "{context}: too_long: a row of {size} bytes, above the target's \
                     max_allowed_packet of {} bytes",
                    self.packet_bytes_max
                );
                return Err(Error::new(Kind::Value, context)
                    .hint("raise max_allowed_packet on the target, then start weir again"));
            }
            if !taken.is_empty() && bytes + size > limit.min(COMMAND_BYTES_MAX) {
                break;
            }
            bytes += size;
            taken.push(parameters);
        }
        Ok((taken.len(), taken))
    }

    async fn execute_each(
        &mut self,
        context: &str,
        statement: &Statement,
        parameters: Vec<Vec<Parameter>>,
    ) -> Result<u64> {
        if let [_] = parameters.as_slice() {
            let one = parameters.into_iter().flatten().collect();
            return self.execute(context, &statement.text, one).await;
        }
        let call = self.session.conn().exec_batch(statement.text.as_str(), parameters);
        within(CALL_TIMEOUT, context, call).await?;
        refuse_warnings(&mut self.session, context).await?;
        Ok(self.session.conn().affected_rows())
    }

    fn statement(
        &mut self,
        action: Action,
        prepared: &Prepared,
        rows: Rows<'_>,
        count: usize,
    ) -> Result<Arc<Statement>> {
        let columns = Arc::clone(rows.columns);
        let name = TextName { table: rows.table, action, columns, rows: count };
        if let Some(statement) = self.texts.get(&name) {
            return Ok(Arc::clone(statement));
        }
        let sql = &prepared.sql;
        let statement = Arc::new(match action {
            Action::Insert => sql.insert(rows.columns, count)?,
            Action::Upsert => sql.upsert(rows.columns, count)?,
            Action::Update => sql.update(rows.columns, count)?,
            Action::UpdateOne => sql.update_one(rows.columns)?,
            Action::Rekey => sql.rekey(rows.columns)?,
            Action::Delete => sql.delete(count)?,
            Action::Absent => sql.absent(rows.columns, count)?,
        });
        if self.texts.len() >= TEXTS_MAX {
            self.texts.clear();
        }
        self.texts.insert(name, Arc::clone(&statement));
        Ok(statement)
    }
}

/// One prepared statement; gives the rows it matched.
pub(in crate::mysql) async fn execute(
    session: &mut Session,
    context: &str,
    sql: &str,
    parameters: Vec<Parameter>,
) -> Result<u64> {
    let call = session.conn().exec_drop(sql, parameters);
    within(CALL_TIMEOUT, context, call).await?;
    refuse_warnings(session, context).await?;
    Ok(session.conn().affected_rows())
}

/// A warning of the last statement says that the server changed a value: an error of kind
/// `Value`, with the warning's number and column but not its words.
async fn refuse_warnings(session: &mut Session, context: &str) -> Result<()> {
    let count = session.conn().get_warnings();
    if count == 0 {
        return Ok(());
    }
    let call = session.conn().query::<ServerRow, _>("SHOW WARNINGS");
    let told = within(CALL_TIMEOUT, context, call).await?;
    let hidden = usize::from(count).saturating_sub(told.len());
    for row in told {
        let (code, message): (u16, String) = (field(context, &row, 1)?, field(context, &row, 2)?);
        if HARMLESS.contains(&code) {
            continue;
        }
        let warned = format!("{context}: the server altered a value (warning {code})");
        let server = ServerError { code, message, state: "01000".to_owned() };
        let error = classify(mysql_async::Error::Server(server), warned.clone());
        return Err(match error.kind() {
            Kind::Value => error,
            _ => Error::new(Kind::Value, warned),
        });
    }
    if hidden == 0 {
        return Ok(());
    }
    let context =
        format!("{context}: the server may have altered a value ({hidden} warnings not shown)");
    Err(Error::new(Kind::Value, context)
        .hint("raise max_error_count on the target, so that it says what it warns of"))
}

/// Whether a value is too long for a parameter of a derived table.
fn is_wide(row: &Row) -> bool {
    row.iter().any(|value| value.heap_bytes() > JOINED_BYTES_MAX)
}

/// The largest size of [`SIZES`] up to `rows`, which is not 0.
pub(super) fn size_for(rows: usize) -> usize {
    SIZES.into_iter().find(|size| *size <= rows).unwrap_or(1)
}

/// One field of a server's answer.
pub(in crate::mysql) fn field<T: FromValue>(
    context: &str,
    row: &ServerRow,
    at: usize,
) -> Result<T> {
    row.get_opt(at).and_then(std::result::Result::ok).ok_or_else(|| {
        Error::new(Kind::Internal, format!("{context}: an answer without field {at}"))
    })
}

/// One row's parameters in the statement's order.
pub(in crate::mysql) fn parameters(
    context: &str,
    statement: &Statement,
    forms: &[Form],
    row: &Row,
) -> Result<Vec<Parameter>> {
    let short = || Error::new(Kind::Internal, format!("{context}: a row is too short"));
    let parameter = |place: &usize| {
        let value = row.get(*place).ok_or_else(short)?;
        let form = forms.get(*place).ok_or_else(short)?;
        form.parameter(value).map_err(|error| error.within(context))
    };
    statement.binds.iter().map(parameter).collect()
}

/// An upper bound of a parameter's bytes in a command: its data, length prefix, type and null bit.
fn wire_bytes(parameter: &Parameter) -> usize {
    match parameter {
        Parameter::Bytes(bytes) => bytes.len() + 13,
        _ => 13,
    }
}
