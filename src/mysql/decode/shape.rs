//! How rows of one table map are read into the planned source table: per column of the event its
//! wire form, and where its value goes.
//!
//! The columns of the event are compared with the plan by name, order and type. A difference is a
//! `SchemaChanged` error that lists all of them, except while the operator has reviewed the
//! change: then columns are matched by name alone. Columns that the plan does not write are passed
//! over without decoding, and may change their types freely.

use bytestring::ByteString;

use super::charset::Charset;
use crate::error::{Error, Kind, Result};
use crate::model::schema::{DecimalSize, JsonKind};
use crate::model::{Column, Type};
use crate::mysql::binlog::{EventColumn, TableMap, Wire};
use crate::plan::TablePlan;

/// How rows of a table are read.
#[derive(Debug)]
pub(crate) struct Shape {
    /// One per column of the event.
    pub(super) columns: Vec<Reader>,
    /// Columns of the planned source table.
    pub(super) width: usize,
}

/// How one column of the event is read.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) wire: Wire,
    /// Index in the planned source table and form of the value; `None` is passed over.
    pub(super) target: Option<(usize, Form)>,
}

/// What the bytes become.
#[derive(Debug)]
pub(super) enum Form {
    /// A number, by the wire form's width.
    Number {
        /// Without sign.
        unsigned: bool,
    },
    /// 0 and 1 are booleans, anything else stays a number.
    Bool,
    /// Dates, times, floats, decimals, binary JSON: the wire form says it all.
    Plain,
    /// Text.
    Text(Charset),
    /// Text without trailing blanks.
    Trimmed(Charset),
    /// JSON as text.
    JsonText(Charset),
    /// Bytes, padded with 0x00 to this length.
    Bytes(usize),
    /// Sixteen bytes.
    Uuid,
    /// A label by its index, which starts at 1.
    Enum(Box<[ByteString]>),
}

impl Shape {
    /// Compares `map` with the plan and decides how its rows are read. `by_name` is given while
    /// the operator has reviewed differences.
    ///
    /// # Errors
    /// `Setting` where names are missing, `SchemaChanged` with a list of differences,
    /// `Unsupported` for columns that weir cannot read.
    pub(crate) fn new(plan: &TablePlan, map: &TableMap<'_>, by_name: bool) -> Result<Shape> {
        let columns = map.columns()?;
        let used = |index: usize| plan.columns.iter().any(|column| column.source == index);
        if columns.iter().any(|column| column.name.is_none()) {
            return Err(Error::new(
                Kind::Setting,
                format!("the log does not name the columns of {}", plan.source.name),
            )
            .hint("set binlog_row_metadata = FULL on the source, then tear the link down and start anew"));
        }
        if !by_name {
            let differences = differences(&plan.source.columns, &columns, used);
            if !differences.is_empty() {
                let list = differences.join("; ");
                let table = &plan.source.name;
                return Err(Error::new(
                    Kind::SchemaChanged,
                    format!("table {table} changed: {list}"),
                ));
            }
        }
        let mut readers = Vec::with_capacity(columns.len());
        for column in &columns {
            let index = column.name.as_deref().and_then(|name| plan.source.column_index(name));
            let target = match index.filter(|index| used(*index)) {
                Some(index) => {
                    let planned = &plan.source.columns[index];
                    let form = form(planned, column).map_err(|error| {
                        error.within(format_args!("{}.{}", plan.source.name, planned.name))
                    })?;
                    Some((index, form))
                }
                None => None,
            };
            readers.push(Reader { wire: column.wire, target });
        }
        Ok(Shape { columns: readers, width: plan.source.columns.len() })
    }
}

/// Every difference between the planned columns and those of the log, in words.
fn differences(
    planned: &[Column],
    logged: &[EventColumn],
    used: impl Fn(usize) -> bool,
) -> Vec<String> {
    let name = |column: &EventColumn| column.name.clone().unwrap_or_default();
    let mut list = Vec::new();
    for (index, column) in planned.iter().enumerate() {
        match logged.iter().find(|logged| logged.name.as_deref() == Some(column.name.as_str())) {
            None => list.push(format!("column {} is gone", column.name)),
            Some(logged) if used(index) && !same_type(&column.ty, logged) => {
                list.push(format!("column {} is no longer {}", column.name, column.native));
            }
            Some(_) => {}
        }
    }
    for column in logged {
        if !planned.iter().any(|planned| Some(planned.name.as_str()) == column.name.as_deref()) {
            list.push(format!("column {} is new", name(column)));
        }
    }
    list
}

/// The character set of a column, if weir carries it.
fn charset(column: &EventColumn) -> Option<Charset> {
    Charset::of_collation(column.collation?)
}

/// Whether a value of the logged column is a value of the planned type. Text of an unknown
/// character set is of the same type here, so that it is refused by that name later.
fn same_type(planned: &Type, logged: &EventColumn) -> bool {
    let text = charset(logged) != Some(Charset::Binary);
    match (planned, logged.wire) {
        (Type::Bool, Wire::Tiny) => !logged.unsigned,
        (Type::Bool, Wire::Bit { bits }) => bits == 1,
        (Type::Int { bits, unsigned }, wire) => {
            integer_bits(wire) == Some(*bits) && *unsigned == logged.unsigned
        }
        (
            Type::Decimal(Some(DecimalSize { precision, scale })),
            Wire::Decimal { precision: p, scale: s },
        ) => u16::from(p) == *precision && i16::from(s) == *scale,
        (Type::F32, Wire::Float) | (Type::F64, Wire::Double) => true,
        (Type::Char { chars }, Wire::Fixed { bytes }) => text && chars_fit(logged, *chars, bytes),
        (Type::Text { chars: Some(chars), .. }, Wire::Variable { bytes }) => {
            text && chars_fit(logged, *chars, bytes)
        }
        (Type::Text { chars: None, .. }, Wire::Blob { .. } | Wire::Variable { .. }) => text,
        (Type::Binary { bytes }, Wire::Fixed { bytes: logged }) => {
            !text && *bytes == u32::from(logged)
        }
        (Type::Bytes { bytes: Some(limit) }, Wire::Variable { bytes }) => {
            !text && *limit == u64::from(bytes)
        }
        (Type::Bytes { .. }, Wire::Blob { .. }) => !text,
        (Type::Uuid, Wire::Fixed { bytes: 16 }) => !text,
        (Type::Date, Wire::Date) | (Type::Year, Wire::Year) => true,
        (Type::Time { digits }, Wire::Time { digits: logged })
        | (Type::Timestamp { digits }, Wire::Datetime { digits: logged })
        | (Type::Instant { digits }, Wire::Timestamp { digits: logged }) => *digits == logged,
        // The old forms do not say how many digits; with a fraction they cannot be read.
        (Type::Time { .. }, Wire::OldTime)
        | (Type::Timestamp { .. }, Wire::OldDatetime)
        | (Type::Instant { .. }, Wire::OldTimestamp) => true,
        (Type::Json(JsonKind::Mysql), Wire::Json { .. }) => true,
        (Type::Json(_), Wire::Blob { .. }) => text,
        (Type::Enum { labels }, Wire::Enum { .. }) => match enum_labels(logged) {
            Ok(logged) => labels.iter().map(String::as_str).eq(logged.iter().map(|label| &**label)),
            Err(_) => true,
        },
        (Type::Unsupported, _) | (_, Wire::Compressed { .. }) => true,
        _ => false,
    }
}

fn integer_bits(wire: Wire) -> Option<u8> {
    Some(match wire {
        Wire::Tiny => 8,
        Wire::Short => 16,
        Wire::Medium => 24,
        Wire::Long => 32,
        Wire::LongLong => 64,
        _ => return None,
    })
}

fn chars_fit(logged: &EventColumn, chars: u32, bytes: u16) -> bool {
    charset(logged).is_none_or(|charset| chars * charset.bytes_per_char() == u32::from(bytes))
}

fn enum_labels(column: &EventColumn) -> Result<Box<[ByteString]>> {
    let charset = supported_charset(column)?;
    let labels = column.labels.as_ref().ok_or_else(|| {
        Error::new(Kind::Setting, "the log does not hold the labels of an enum")
            .hint("set binlog_row_metadata = FULL on the source")
    })?;
    labels.iter().map(|label| charset.text(label.clone().into())).collect()
}

fn supported_charset(column: &EventColumn) -> Result<Charset> {
    charset(column).ok_or_else(|| {
        let id = column.collation.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
        Error::new(Kind::Unsupported, format!("text of the character set with collation id {id}"))
    })
}

fn unsupported(what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("{what} cannot be replicated yet"))
}

/// What the values of `logged` become for the `planned` column.
fn form(planned: &Column, logged: &EventColumn) -> Result<Form> {
    Ok(match logged.wire {
        Wire::Tiny | Wire::Bit { bits: 1 } if planned.ty == Type::Bool => Form::Bool,
        Wire::Tiny | Wire::Short | Wire::Medium | Wire::Long | Wire::LongLong => {
            Form::Number { unsigned: logged.unsigned }
        }
        Wire::Fixed { .. } if planned.ty == Type::Uuid => Form::Uuid,
        Wire::Fixed { bytes } => match supported_charset(logged)? {
            Charset::Binary => Form::Bytes(usize::from(bytes)),
            charset => Form::Trimmed(charset),
        },
        Wire::Variable { .. } | Wire::Blob { .. } => match supported_charset(logged)? {
            Charset::Binary => Form::Bytes(0),
            charset if matches!(planned.ty, Type::Json(_)) => Form::JsonText(charset),
            charset => Form::Text(charset),
        },
        Wire::Enum { .. } => Form::Enum(enum_labels(logged)?),
        Wire::OldTime | Wire::OldDatetime | Wire::OldTimestamp if digits(&planned.ty) > 0 => {
            return Err(unsupported("a fraction of a second in the temporal format before 5.6")
                .hint("ALTER TABLE … FORCE with mysql56_temporal_format = ON"));
        }
        Wire::Bit { .. } => return Err(unsupported("BIT of more than one bit")),
        Wire::Set { .. } => return Err(unsupported("SET")),
        Wire::Opaque { name, .. } => return Err(unsupported(name)),
        Wire::Compressed { .. } => return Err(unsupported("a COMPRESSED column")),
        _ => Form::Plain,
    })
}

fn digits(ty: &Type) -> u8 {
    match ty {
        Type::Time { digits } | Type::Timestamp { digits } | Type::Instant { digits } => *digits,
        _ => 0,
    }
}
