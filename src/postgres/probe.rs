//! Doors to the decoders of this room, for the fuzz tests (`tests/fuzz`): any bytes in, and what came of
//! them out.
//!
//! What the log needs of a plan is made from the log itself: every table that it describes is planned as
//! it is there. Nothing here is called by weir itself, and nothing here decodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio_postgres::types::ToSql;

use super::assemble::Assembler;
use super::catalog::logical;
use super::decode;
use super::encode::{Place, Single};
use super::members::Members;
use super::pgoutput::{self, Message, Old, Relation, Tuple};
use super::spool;
use crate::config::{Dialect, LinkName};
use crate::error::Result;
use crate::model::{Column, Table, TableName, Type, Value};
use crate::plan::{ColumnPlan, LinkPlan, TablePlan};
use crate::transform::{Conversion, Fit};

/// Reads messages as a link would that replicates all that they describe; how many changes came out
/// before the end or the error.
///
/// # Errors
/// As the link's.
pub fn messages(messages: &[Bytes]) -> Result<usize> {
    let mut assembler = Assembler::new(Arc::new(plan(messages)), Members::default(), None);
    let mut changes = 0;
    for message in messages {
        if assembler.is_unsettled() {
            assembler.renew(Members::default())?;
        }
        changes += assembler.push(message)?.map_or(0, |part| part.changes.len());
    }
    Ok(changes)
}

/// Reads one message by itself, out of a block and as one in a block. Says of each tuple how many columns
/// it claims and how many cells it has.
///
/// # Errors
/// Of the message out of a block.
pub fn message(bytes: &[u8]) -> Result<Vec<(usize, usize)>> {
    if let Ok((_, _, body)) = pgoutput::unframe(bytes) {
        // The body alone is no message; its tag stands before the transaction.
        let _ = pgoutput::parse(body);
    }
    let count = |tuple: &Tuple<'_>| (usize::from(tuple.columns), tuple.cells().count());
    let old = |old: &Old<'_>| match old {
        Old::Key(tuple) | Old::Full(tuple) => count(tuple),
    };
    Ok(match pgoutput::parse(bytes)? {
        Message::Insert { new, .. } => vec![count(&new)],
        Message::Update { old: before, new, .. } => {
            before.iter().map(old).chain([count(&new)]).collect()
        }
        Message::Delete { old: before, .. } => vec![old(&before)],
        _ => Vec::new(),
    })
}

/// The entries of a chunk of the spool, each with its transaction, up to the first that is damaged.
pub fn spooled(chunk: Bytes) -> Vec<(u32, Bytes)> {
    let mut rest = chunk;
    std::iter::from_fn(|| spool::entry(&mut rest)).collect()
}

/// The text of an output function as a value; `None` for what is none of the type.
pub fn decoded(ty: &Type, text: &[u8]) -> Option<Value> {
    decode::decode(ty, text, Bytes::copy_from_slice).ok()
}

/// What would be sent of a value: text, or the bytes of a column of bytes.
///
/// # Errors
/// Where PostgreSQL cannot hold it.
pub fn encoded(column: &Column, value: &Value) -> Result<Vec<u8>, String> {
    let table = TableName::new("public", "t");
    let single = Single { value, place: Place { table: &table, column, key: false } };
    let mut out = bytes::BytesMut::new();
    let sent = single.to_sql(&tokio_postgres::types::Type::TEXT, &mut out);
    sent.map(|_| out.to_vec()).map_err(|error| error.to_string())
}

/// A plan of the tables that relation messages describe, each as it is described first.
fn plan(messages: &[Bytes]) -> LinkPlan {
    let mut tables = BTreeMap::new();
    for message in messages {
        if let Ok(Message::Relation(relation)) = pgoutput::parse(message) {
            let name = (relation.schema, relation.table);
            tables.entry(name).or_insert_with(|| Arc::new(table(&relation)));
        }
    }
    let link = LinkName { source: "a".to_owned(), target: "b".to_owned() };
    let mut plan = LinkPlan::of_no_table(link, [Dialect::Postgres, Dialect::Mysql]);
    plan.tables = tables.into_values().collect();
    plan
}

fn table(relation: &Relation<'_>) -> TablePlan {
    let column = |(name, ty): (&str, Type)| {
        let native = format!("{ty:?}");
        Column::plain(name, ty, native)
    };
    let logged = relation.columns.iter();
    let logged = logged.map(|one| (one.name, logical(one.type_oid, one.type_modifier)));
    let columns: Vec<Column> = logged.map(column).collect();
    let key = relation.columns.iter().position(|column| column.key).unwrap_or_default();
    let conversion = Conversion { nullable: true, fit: Fit::Same };
    let planned = (0..columns.len()).map(|at| ColumnPlan::of(at, at, conversion.clone()));
    let planned = planned.collect();
    let table = Table::keyless(TableName::new(relation.schema, relation.table), columns);
    TablePlan::alone(table.clone(), table, planned, vec![key])
}
