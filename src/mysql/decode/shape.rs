//! How rows of one table map are read into the planned source table: per column of the event its
//! wire form, and where its value goes.
//!
//! The columns of the event are compared with the plan by name, order and type. A difference is a
//! `SchemaChanged` error that lists all of them, except while the operator has reviewed the
//! change: then columns are matched by name, and rows that may lack a planned column are reshaped:
//! to be read again at the source. Columns that the plan does not write are passed over without
//! decoding, and may change their types freely.

use bytestring::ByteString;

use crate::error::{Error, Kind, Result};
use crate::model::schema::{DecimalSize, JsonKind};
use crate::model::{Column, Table, Type};
use crate::mysql::binlog::{EventColumn, TableMap, Wire};
use crate::mysql::catalog::set_labels;
use crate::plan::TablePlan;
use crate::transform::Charset;

/// How rows of a table are read.
#[derive(Debug)]
pub(crate) struct Shape {
    /// One per column of the event.
    pub(super) columns: Vec<Reader>,
    /// Columns of the planned source table.
    pub(super) width: usize,
    /// Whether rows may lack what the plan writes: a planned column has another name or type in the
    /// log, from before a reviewed change.
    pub(crate) reshaped: bool,
    /// Whether values share the memory of their event. They do not where the event may hold much
    /// besides them: a long value that is passed over would stay in memory uncounted.
    pub(super) shares: bool,
    /// The column of the event that says until when a row was the present one.
    pub(super) row_end: Option<usize>,
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
    /// Labels by their bits, lowest first.
    Set(Box<[ByteString]>),
    /// An internet address, as text.
    Address,
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
        let used = |index: usize| plan.reads(index);
        if columns.iter().any(|column| column.name.is_none()) {
            return Err(Error::new(
                Kind::Setting,
                format!("the log does not name the columns of {}", plan.source.name),
            )
            .hint("set binlog_row_metadata = FULL on the source, then `weir teardown LINK --apply` and start anew"));
        }
        if by_name {
            require_key(plan, &columns)?;
        } else {
            hidden_labels(&plan.source, &columns, used)?;
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
        let keys = plan.key.iter().filter_map(|key| Some(plan.columns.get(*key)?.source));
        let keys: Vec<usize> = keys.collect();
        let found = |name: &str| columns.iter().any(|one| one.name.as_deref() == Some(name));
        let mut planned = plan.source.columns.iter().enumerate();
        let mut reshaped = planned.any(|(index, column)| used(index) && !found(&column.name));
        let mut readers = Vec::with_capacity(columns.len());
        for column in &columns {
            let index = column.name.as_deref().and_then(|name| plan.source.column_index(name));
            let known = index.and_then(|at| Some((at, plan.source.columns.get(at)?)));
            let about = |error: Error| {
                let name = column.name.as_deref().unwrap_or_default();
                error.within(format_args!("{}.{name}", plan.source.name))
            };
            passable(known.map(|(_, planned)| planned), column).map_err(about)?;
            let target = match known.filter(|(index, _)| used(*index)) {
                // Bytes of another type say nothing; the row is read again, if it is read at all.
                Some((index, planned))
                    if by_name && !same_type(&planned.ty, column) && !keys.contains(&index) =>
                {
                    reshaped = true;
                    None
                }
                Some((index, planned)) => Some((index, form(planned, column).map_err(about)?)),
                None => None,
            };
            readers.push(Reader { wire: column.wire, target });
        }
        let shares = readers.iter().all(|one| one.target.is_some() || !one.wire.is_sized());
        let row_end = plan.source.columns.iter().find(|column| column.row_end);
        let row_end = row_end.and_then(|planned| {
            columns.iter().position(|one| one.name.as_deref() == Some(planned.name.as_str()))
        });
        let width = plan.source.columns.len();
        Ok(Shape { columns: readers, width, reshaped, shares, row_end })
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
    let planned = planned.iter().map(|column| Some(column.name.as_str()));
    if list.is_empty() && !planned.eq(logged.iter().map(|column| column.name.as_deref())) {
        list.push("its columns are in another order".to_owned());
    }
    list
}

/// Refuses an enum whose labels the catalog shows otherwise than the log: it has a `?` for every
/// character beyond U+FFFF.
fn hidden_labels(
    planned: &Table,
    logged: &[EventColumn],
    used: impl Fn(usize) -> bool,
) -> Result<()> {
    for (_, column) in planned.columns.iter().enumerate().filter(|(index, _)| used(*index)) {
        let Type::Enum { labels } = &column.ty else { continue };
        let found = logged.iter().find(|logged| logged.name.as_deref() == Some(&column.name));
        let Some(Ok(found)) = found.filter(|one| one.labels.is_some()).map(enum_labels) else {
            continue;
        };
        if only_hidden(labels, &found) {
            return Err(Error::new(
                Kind::Unsupported,
                format!("{}.{}: the server's catalog does not show the characters beyond U+FFFF in the labels of this enum", planned.name, column.name),
            )
            .hint("give the labels characters up to U+FFFF, or leave the column out with `ignore`"));
        }
    }
    Ok(())
}

/// Whether labels of the catalog and the log differ, and only where the catalog has a `?` for a
/// character that it does not show.
pub(super) fn only_hidden(catalog: &[String], log: &[ByteString]) -> bool {
    let shown = |letter: char| if letter > '\u{FFFF}' { '?' } else { letter };
    let as_shown = log.iter().map(|label| label.chars().map(shown).collect::<String>());
    !catalog.iter().map(String::as_str).eq(log.iter().map(|label| &**label))
        && as_shown.eq(catalog.iter().cloned())
}

/// Refuses rows from before a reviewed change that do not hold the match key by its name: they
/// could not even be read again.
fn require_key(plan: &TablePlan, logged: &[EventColumn]) -> Result<()> {
    let keys = plan.key.iter().filter_map(|key| plan.columns.get(*key));
    let mut keys = keys.filter_map(|key| plan.source.columns.get(key.source));
    let missing = keys.find(|key| !logged.iter().any(|one| one.name.as_deref() == Some(&key.name)));
    let Some(missing) = missing else { return Ok(()) };
    Err(Error::new(
        Kind::Unsupported,
        format!("rows of {} from before the ALTER do not hold {} of the match key", plan.source.name, missing.name),
    )
    .hint("give the column its former name back on both sides and resume, or `weir teardown LINK --apply` and start anew"))
}

/// Whether a value of the logged column is a value of the planned type. Text of an unknown
/// character set is of the same type here, so that it is refused by that name later.
fn same_type(planned: &Type, logged: &EventColumn) -> bool {
    let text = logged.charset != Some(Charset::Binary);
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
        (Type::Text { .. }, Wire::Compressed { .. }) => text,
        (Type::Bytes { .. }, Wire::Compressed { .. }) => !text,
        (Type::Native { name, modifier, .. }, wire) => same_native(name, *modifier, wire, logged),
        (Type::Unsupported, _) => true,
        _ => false,
    }
}

/// The same for a type that crosses only into itself.
fn same_native(name: &str, modifier: i32, wire: Wire, logged: &EventColumn) -> bool {
    match wire {
        Wire::Bit { bits } => name == "bit" && modifier == i32::from(bits),
        Wire::Set { .. } => match (set_labels(name), enum_labels(logged)) {
            (Some(planned), Ok(logged)) => {
                planned.iter().map(String::as_str).eq(logged.iter().map(|label| &**label))
            }
            (planned, _) => planned.is_some(),
        },
        // The log does not tell one geometry type from another.
        Wire::Opaque { name: "GEOMETRY", .. } => {
            !["bit", "inet4", "inet6", "vector"].contains(&name) && !name.starts_with("set(")
        }
        Wire::Opaque { .. } => name == "vector",
        Wire::Fixed { bytes } => {
            let wanted = if name == "inet4" { 4 } else { 16 };
            name.starts_with("inet") && bytes == wanted && logged.charset == Some(Charset::Binary)
        }
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
    logged.charset.is_none_or(|charset| chars * charset.bytes_per_char() == u32::from(bytes))
}

fn enum_labels(column: &EventColumn) -> Result<Box<[ByteString]>> {
    let charset = supported_charset(column)?;
    let labels = column.labels.as_ref().ok_or_else(|| {
        Error::new(Kind::Setting, "the log does not hold the labels of an enum")
            .hint("set binlog_row_metadata = FULL on the source")
    })?;
    let text = |label: &Vec<u8>| {
        let text = charset.text(label.clone().into());
        text.ok_or_else(|| Error::new(Kind::Value, "a label that is none of its character set"))
    };
    labels.iter().map(text).collect()
}

fn supported_charset(column: &EventColumn) -> Result<Charset> {
    column.charset.ok_or_else(|| {
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
        Wire::Fixed { .. } if matches!(planned.ty, Type::Native { .. }) => Form::Address,
        Wire::Fixed { bytes } => match supported_charset(logged)? {
            Charset::Binary => Form::Bytes(usize::from(bytes)),
            charset => Form::Trimmed(charset),
        },
        Wire::Variable { .. } | Wire::Blob { .. } | Wire::Compressed { .. } => {
            match supported_charset(logged)? {
                Charset::Binary => Form::Bytes(0),
                charset if matches!(planned.ty, Type::Json(_)) => Form::JsonText(charset),
                charset => Form::Text(charset),
            }
        }
        Wire::Enum { .. } => Form::Enum(enum_labels(logged)?),
        Wire::Bit { .. } => Form::Number { unsigned: true },
        Wire::Set { .. } => Form::Set(enum_labels(logged)?),
        Wire::Opaque { .. } => Form::Bytes(0),
        _ => Form::Plain,
    })
}

/// Refuses a column whose values have a width that the log does not tell: the old temporal forms
/// are wider where they have a fraction, and only the catalog knows that.
fn passable(planned: Option<&Column>, logged: &EventColumn) -> Result<()> {
    let whole = planned.is_some_and(|column| {
        matches!(
            column.ty,
            Type::Time { digits: 0 } | Type::Timestamp { digits: 0 } | Type::Instant { digits: 0 }
        )
    });
    match logged.wire {
        Wire::OldTime | Wire::OldDatetime | Wire::OldTimestamp if !whole => {
            Err(unsupported("a fraction of a second in the temporal format before 5.6")
                .hint("ALTER TABLE … FORCE with mysql56_temporal_format = ON"))
        }
        _ => Ok(()),
    }
}
