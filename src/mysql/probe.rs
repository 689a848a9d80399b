//! Doors to the decoders of this room, for the fuzz tests (`tests/fuzz`): any bytes in, and what came of
//! them out.
//!
//! What the log needs of a plan is made from the log itself: every column that it describes is planned as
//! what it is there. Nothing here is called by weir itself, and nothing here decodes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use mysql_async::Value as Cell;

use super::assemble::{Assembler, Server};
use super::binlog::{
    Cursor, Event, EventColumn, Format, Header, LoggedRows, Payload, TableMap, Wire, parse,
};
use super::decode::{Shape, decimal, json, temporal};
use super::encode::Form;
use super::scan;
use super::session::Flavor;
use crate::config::{Dialect, LinkName};
use crate::error::{Error, Kind, Result};
use crate::model::schema::{DecimalSize, JsonKind};
use crate::model::{Column, Table, TableName, Type, Value};
use crate::plan::{ColumnPlan, LinkPlan, TablePlan, Wanted};
use crate::position::{MariadbGtidSet, MysqlGtidSet, Position};
use crate::transform::{Charset, Conversion, Fit};

/// Bytes of a checksum behind each event of a file.
const CHECKSUM_BYTES: usize = 4;

/// Reads a file of the log, checksums unseen, as a link would that replicates all that it holds; how many
/// changes came out before the end or the error.
///
/// # Errors
/// As the link's.
pub fn file(bytes: &[u8], mariadb: bool) -> Result<usize> {
    let flavor = flavor(mariadb);
    let events = events(bytes);
    let plan = plan(tables(&events, flavor));
    let server = Server { flavor, names_by_case: true, logs_cascades: false, by_place: false };
    let from = match flavor {
        Flavor::Mysql => Position::Mysql(MysqlGtidSet::default(), None),
        Flavor::Mariadb => Position::Mariadb(MariadbGtidSet::default(), None),
    };
    let mut assembler = Assembler::new(Arc::new(plan), server, from, None)?;
    let mut ready = Vec::new();
    let mut changes = 0;
    for (header, body) in &events {
        assembler.take(header, body, &mut ready)?;
        changes += ready.drain(..).map(|part| part.changes.len()).sum::<usize>();
    }
    Ok(changes)
}

/// Reads each event of a file by itself, whatever became of those before it: table maps, and rows by the
/// last map of their table. How many rows, and how many events that are damaged.
pub fn events_apart(bytes: &[u8], mariadb: bool) -> (usize, usize) {
    let format = Format::unknown(flavor(mariadb));
    let mut shapes = HashMap::new();
    let (mut rows, mut damaged) = (0, 0);
    for (header, body) in events(bytes) {
        match event_apart(&header, &body, &format, &mut shapes) {
            Ok(count) => rows += count,
            Err(_) => damaged += 1,
        }
    }
    (rows, damaged)
}

/// A packed DECIMAL as text.
///
/// # Errors
/// As of a value in the log.
pub fn packed_decimal(bytes: &[u8], precision: u8, scale: u8) -> Result<String> {
    decimal::read(&mut Cursor::new(bytes), precision, scale).map(|text| text.to_string())
}

/// A packed date or time, by the number of its wire form, as the text that a server would be sent.
///
/// # Errors
/// As of a value in the log.
pub fn packed_moment(bytes: &[u8], kind: u8, digits: u8) -> Result<String> {
    let digits = digits % 7;
    let cursor = &mut Cursor::new(bytes);
    let (value, form) = match kind % 7 {
        0 => (temporal::read_date(cursor)?, Form::Date),
        1 => (temporal::read_time(cursor, digits)?, Form::Time(digits)),
        2 => (temporal::read_datetime(cursor, digits)?, Form::DateTime(digits)),
        3 => (temporal::read_timestamp(cursor, digits)?, Form::DateTime(digits)),
        4 => (temporal::read_old_time(cursor)?, Form::Time(0)),
        5 => (temporal::read_old_datetime(cursor)?, Form::DateTime(0)),
        _ => (temporal::read_old_timestamp(cursor)?, Form::DateTime(0)),
    };
    Ok(match form.parameter(&value)? {
        Cell::Bytes(text) => String::from_utf8_lossy(&text).into_owned(),
        other => format!("{other:?}"),
    })
}

/// A binary JSON document as text.
///
/// # Errors
/// As of a value in the log.
pub fn binary_json(document: &[u8]) -> Result<String> {
    json::text(document)
}

/// A cell of an answer as a value of `column`, and what would be sent of it.
///
/// # Errors
/// As of a row that is read.
pub fn cell(column: &Column, cell: Cell, index: Option<Cell>) -> Result<(Value, Cell)> {
    let value = scan::value(column, None, cell, index)?;
    let sent = match value {
        Value::EnumInvalid => Cell::NULL,
        // What no target takes.
        Value::Bytes(_) if matches!(column.ty, Type::Char { .. } | Type::Text { .. }) => {
            return Err(Error::new(Kind::Value, "bytes that are none of the character set"));
        }
        ref value => Form::of_column(column)?.parameter(value)?,
    };
    Ok((value, sent))
}

fn flavor(mariadb: bool) -> Flavor {
    if mariadb { Flavor::Mariadb } else { Flavor::Mysql }
}

/// The events of a file: header, and the bytes between it and the checksum.
fn events(file: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let mut cursor = Cursor::new(file.get(4..).unwrap_or_default());
    let mut events = Vec::new();
    while let Ok(header) = Header::read(&mut cursor) {
        let size = (header.size as usize).checked_sub(19 + CHECKSUM_BYTES);
        let Some(body) = size.and_then(|size| cursor.bytes(size).ok()) else { break };
        events.push((header, body.to_vec()));
        if cursor.bytes(CHECKSUM_BYTES).is_err() {
            break;
        }
    }
    events
}

fn event_apart(
    header: &Header,
    body: &[u8],
    format: &Format,
    shapes: &mut HashMap<u64, Shape>,
) -> Result<usize> {
    const TRANSACTION_PAYLOAD: u8 = 40;
    if header.kind == TRANSACTION_PAYLOAD {
        let mut payload = Payload::open(body)?;
        let mut rows = 0;
        while let Some((header, body)) = payload.next()? {
            if header.kind != TRANSACTION_PAYLOAD {
                rows += event_apart(&header, body, format, shapes)?;
            }
        }
        return Ok(rows);
    }
    match parse(header, body, format)? {
        Event::TableMap(map) => {
            let plan = table(&map, format.flavor)?;
            shapes.insert(map.id, Shape::new(&plan, &map, true)?);
            Ok(0)
        }
        Event::Rows(logged) => {
            shapes.get(&logged.table_id).map_or(Ok(0), |shape| rows(shape, &logged))
        }
        _ => Ok(0),
    }
}

fn rows(shape: &Shape, logged: &LoggedRows<'_>) -> Result<usize> {
    let images = logged.images()?;
    if images.columns != shape.width_in_log() {
        return Err(Error::new(Kind::Malformed, "rows of another width"));
    }
    let event = Bytes::copy_from_slice(&images.rows);
    let mut cursor = Cursor::new(&event);
    let mut rows = 0;
    while !cursor.is_empty() {
        let left = cursor.len();
        if !images.before.is_empty() {
            shape.image(&mut cursor, images.before, &event)?;
        }
        if images.partial_json {
            shape.partial_image(&mut cursor, images.after, &event)?;
        } else if !images.after.is_empty() {
            shape.image(&mut cursor, images.after, &event)?;
        }
        rows += 1;
        if cursor.len() == left {
            return Err(Error::new(Kind::Malformed, "rows without columns"));
        }
    }
    Ok(rows)
}

/// The tables that table maps of the file describe, each as it is described first.
fn tables(events: &[(Header, Vec<u8>)], flavor: Flavor) -> Vec<Arc<TablePlan>> {
    let format = Format::unknown(flavor);
    let mut tables = BTreeMap::new();
    let mut take = |header: &Header, body: &[u8]| {
        if let Ok(Event::TableMap(map)) = parse(header, body, &format)
            && let Ok(plan) = table(&map, flavor)
        {
            tables
                .entry((plan.source.name.schema.clone(), plan.source.name.table.clone()))
                .or_insert(Arc::new(plan));
        }
    };
    for (header, body) in events {
        take(header, body);
        let Ok(mut payload) = Payload::open(body) else { continue };
        while let Ok(Some((header, body))) = payload.next() {
            take(&header, body);
        }
    }
    tables.into_values().collect()
}

fn plan(tables: Vec<Arc<TablePlan>>) -> LinkPlan {
    let link = LinkName { source: "a".to_owned(), target: "b".to_owned() };
    let mut plan = LinkPlan::of_no_table(link, [Dialect::Mysql, Dialect::Postgres]);
    plan.tables = tables;
    plan.wanted = Wanted::default();
    plan
}

/// A plan of all columns of a table that weir can read.
fn table(map: &TableMap<'_>, flavor: Flavor) -> Result<TablePlan> {
    let logged = map.columns()?;
    let columns: Vec<Column> = logged.iter().map(|logged| column(logged, flavor)).collect();
    let carried = (0..columns.len())
        .filter(|at| columns.get(*at).is_some_and(|one| one.ty != Type::Unsupported));
    let conversion = Conversion { nullable: true, fit: Fit::Same };
    let planned = carried.map(|at| ColumnPlan::of(at, at, conversion.clone())).collect();
    let table = Table::keyless(TableName::new(map.schema, map.table), columns);
    Ok(TablePlan::alone(table.clone(), table, planned, Vec::new()))
}

/// A column as the log describes it.
fn column(logged: &EventColumn, flavor: Flavor) -> Column {
    let ty = logged_type(logged, flavor);
    let native = format!("{ty:?}");
    Column::plain(logged.name.clone().unwrap_or_default(), ty, native)
}

fn logged_type(logged: &EventColumn, flavor: Flavor) -> Type {
    let charset = logged.charset;
    let text = charset != Some(Charset::Binary);
    let chars = |bytes: u16| u32::from(bytes) / charset.map_or(1, Charset::bytes_per_char);
    let int = |bits| Type::Int { bits, unsigned: logged.unsigned };
    let native = |name: &str, modifier| {
        let shape = crate::model::shape::Shape::Opaque;
        Type::Native { name: name.to_owned(), modifier, shape }
    };
    let labels = || {
        let labels =
            logged.labels.iter().flatten().map(|label| String::from_utf8_lossy(label).into_owned());
        labels.collect::<Vec<_>>()
    };
    match logged.wire {
        Wire::Tiny => int(8),
        Wire::Short => int(16),
        Wire::Medium => int(24),
        Wire::Long => int(32),
        Wire::LongLong => int(64),
        Wire::Float => Type::F32,
        Wire::Double => Type::F64,
        Wire::Decimal { precision, scale } => {
            Type::Decimal(Some(DecimalSize { precision: precision.into(), scale: scale.into() }))
        }
        Wire::Date => Type::Date,
        Wire::Year => Type::Year,
        Wire::OldTime => Type::Time { digits: 0 },
        Wire::OldDatetime => Type::Timestamp { digits: 0 },
        Wire::OldTimestamp => Type::Instant { digits: 0 },
        Wire::Time { digits } => Type::Time { digits },
        Wire::Datetime { digits } => Type::Timestamp { digits },
        Wire::Timestamp { digits } => Type::Instant { digits },
        Wire::Fixed { bytes } if text => Type::Char { chars: chars(bytes) },
        Wire::Fixed { bytes: 16 } if flavor == Flavor::Mariadb => Type::Uuid,
        Wire::Fixed { bytes } => Type::Binary { bytes: bytes.into() },
        Wire::Variable { bytes } if text => Type::Text { chars: Some(chars(bytes)), bytes: None },
        Wire::Variable { bytes } => Type::Bytes { bytes: Some(bytes.into()) },
        Wire::Blob { .. } | Wire::Compressed { .. } if text => {
            Type::Text { chars: None, bytes: None }
        }
        Wire::Blob { .. } | Wire::Compressed { .. } => Type::Bytes { bytes: None },
        Wire::Json { .. } => Type::Json(JsonKind::Mysql),
        Wire::Enum { .. } => Type::Enum { labels: labels() },
        Wire::Bit { bits } => native("bit", bits.into()),
        Wire::Set { .. } => native(&format!("set('{}')", labels().join("','")), -1),
        Wire::Opaque { name, .. } => native(&name.to_ascii_lowercase(), -1),
    }
}
