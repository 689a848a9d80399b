//! One row image: a bitmap of NULLs over the columns that are present, then their values.
//!
//! The values land in the order of the planned source table; what the image does not hold is
//! `Unchanged`. Text and bytes share the memory of the event they came in, unless that may hold much
//! besides them.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::shape::{Form, Reader, Shape};
use super::{decimal, json, temporal};
use crate::error::{Error, Kind, Result};
use crate::model::{Row, Value};
use crate::mysql::binlog::{Cursor, Wire, compressed, rows::bit};
use crate::transform::Charset;

/// One image.
#[derive(Debug)]
pub(crate) struct Image {
    /// As wide as the planned source table.
    pub(crate) values: Vec<Value>,
    /// Whether it is the present state of a row of a system-versioned table, not a past one; `None` where it
    /// does not say.
    pub(crate) current: Option<bool>,
}

impl Image {
    /// The image as a row.
    pub(crate) fn into_row(self) -> Row {
        self.values.into()
    }
}

impl Shape {
    /// Columns of the event.
    pub(crate) fn width_in_log(&self) -> usize {
        self.columns.len()
    }

    /// Whether images of the columns `present` hold every planned column of the event.
    pub(crate) fn is_full(&self, present: &[u8]) -> bool {
        let mut columns = self.columns.iter().enumerate();
        columns.all(|(index, reader)| reader.target.is_none() || bit(present, index))
    }

    /// Reads one image of the columns `present` from `cursor`, which must read from `event`.
    ///
    /// # Errors
    /// `Malformed` or `Value`, with the column's index in the event.
    pub(crate) fn image(
        &self,
        cursor: &mut Cursor<'_>,
        present: &[u8],
        event: &Bytes,
    ) -> Result<Image> {
        self.read_image(cursor, present, &[], event)
    }

    /// As [`Shape::image`], where values of JSON columns may be differences to those before; such a
    /// value is `Unchanged`. Says whether every planned value is whole.
    ///
    /// # Errors
    /// As [`Shape::image`].
    pub(crate) fn partial_image(
        &self,
        cursor: &mut Cursor<'_>,
        present: &[u8],
        event: &Bytes,
    ) -> Result<(Image, bool)> {
        const PARTIAL_JSON: u64 = 1;
        let options = cursor.packed()?;
        if options & !PARTIAL_JSON != 0 {
            let what = format!("the log holds rows with value options {options}");
            return Err(Error::new(Kind::Unsupported, what));
        }
        let documents = |(_, reader): &(usize, &Reader)| matches!(reader.wire, Wire::Json { .. });
        let documents: Vec<_> = self.columns.iter().enumerate().filter(documents).collect();
        let bits = match options {
            PARTIAL_JSON => cursor.bytes(documents.len().div_ceil(8))?,
            _ => &[],
        };
        let differs = documents.iter().enumerate().filter(|(place, _)| bit(bits, *place));
        let differs: Vec<usize> = differs.map(|(_, (index, _))| *index).collect();
        let image = self.read_image(cursor, present, &differs, event)?;
        let planned = |index: &usize| {
            let reader = self.columns.get(*index);
            bit(present, *index) && reader.is_some_and(|reader| reader.target.is_some())
        };
        let whole = !differs.iter().any(planned);
        Ok((image, whole))
    }

    /// Reads one image; the columns at `differs` are passed over.
    fn read_image(
        &self,
        cursor: &mut Cursor<'_>,
        present: &[u8],
        differs: &[usize],
        event: &Bytes,
    ) -> Result<Image> {
        let mut values = vec![Value::Unchanged; self.width];
        let mut current = None;
        let memory = self.shares.then_some(event);
        let there = (0..self.columns.len()).filter(|index| bit(present, *index)).count();
        let nulls = cursor.bytes(there.div_ceil(8))?;
        let mut place = 0;
        for (index, reader) in self.columns.iter().enumerate() {
            if !bit(present, index) {
                continue;
            }
            let null = bit(nulls, place);
            place += 1;
            let target = reader.target.as_ref().filter(|_| !differs.contains(&index));
            let value = match (target, null) {
                (None, true) => continue,
                (None, false) => {
                    let from = cursor.rest();
                    skip(reader.wire, cursor)?;
                    if self.row_end == Some(index) {
                        let bytes = from.get(..from.len() - cursor.len()).unwrap_or_default();
                        current = Some(is_without_end(reader.wire, bytes));
                    }
                    continue;
                }
                (Some(_), true) => Value::Null,
                (Some((_, form)), false) => read(reader, form, cursor, memory)
                    .map_err(|error| error.within(format_args!("column {}", index + 1)))?,
            };
            if let Some(slot) = target.and_then(|(at, _)| values.get_mut(*at)) {
                *slot = value;
            }
        }
        Ok(Image { values, current })
    }
}

/// Whether the end of a row's time is the last moment that there is, of 32 bits or 64, or the last
/// transaction.
fn is_without_end(wire: Wire, bytes: &[u8]) -> bool {
    match wire {
        Wire::LongLong => bytes == [0xFF; 8],
        _ => bytes.starts_with(&[0x7F, 0xFF, 0xFF, 0xFF]) || bytes.starts_with(&[0xFF; 4]),
    }
}

/// Passes over one value.
fn skip(wire: Wire, cursor: &mut Cursor<'_>) -> Result<()> {
    let bytes = match wire {
        Wire::Tiny | Wire::Year => 1,
        Wire::Short => 2,
        Wire::Medium | Wire::Date | Wire::OldTime => 3,
        Wire::Long | Wire::Float | Wire::OldTimestamp => 4,
        Wire::LongLong | Wire::Double | Wire::OldDatetime => 8,
        Wire::Decimal { precision, scale } => decimal::packed_bytes(precision, scale),
        Wire::Time { digits } => 3 + usize::from(digits.div_ceil(2)),
        Wire::Timestamp { digits } => 4 + usize::from(digits.div_ceil(2)),
        Wire::Datetime { digits } => 5 + usize::from(digits.div_ceil(2)),
        Wire::Enum { bytes } | Wire::Set { bytes } => usize::from(bytes),
        Wire::Bit { bits } => usize::from(bits.div_ceil(8)),
        Wire::Fixed { bytes } | Wire::Variable { bytes } => {
            return sized(cursor, length_bytes(bytes)).map(drop);
        }
        Wire::Blob { length_bytes }
        | Wire::Json { length_bytes }
        | Wire::Opaque { length_bytes, .. }
        | Wire::Compressed { length_bytes } => return sized(cursor, length_bytes).map(drop),
    };
    cursor.bytes(bytes).map(drop)
}

/// A column of more than 255 bytes has a length of two bytes in front of its values.
fn length_bytes(column_bytes: u16) -> u8 {
    if column_bytes > 255 { 2 } else { 1 }
}

/// Bytes after their length.
fn sized<'a>(cursor: &mut Cursor<'a>, length_bytes: u8) -> Result<&'a [u8]> {
    let bytes = cursor.uint(usize::from(length_bytes))?;
    cursor.bytes(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Reads one value.
fn read(
    reader: &Reader,
    form: &Form,
    cursor: &mut Cursor<'_>,
    memory: Option<&Bytes>,
) -> Result<Value> {
    match reader.wire {
        Wire::Tiny => Ok(integer(cursor, 1, form)?),
        Wire::Short => Ok(integer(cursor, 2, form)?),
        Wire::Medium => Ok(integer(cursor, 3, form)?),
        Wire::Long => Ok(integer(cursor, 4, form)?),
        Wire::LongLong => Ok(integer(cursor, 8, form)?),
        Wire::Bit { bits } => {
            let number = cursor.uint_be(usize::from(bits.div_ceil(8)))?;
            Ok(match form {
                Form::Bool => boolean(number as i64),
                _ => Value::from_u64(number),
            })
        }
        Wire::Float => Ok(Value::F32(f32::from_bits(cursor.u32()?))),
        Wire::Double => Ok(Value::F64(f64::from_bits(cursor.u64()?))),
        Wire::Decimal { precision, scale } => {
            decimal::read(cursor, precision, scale).map(Value::Decimal)
        }
        Wire::Year => {
            let year = i64::from(cursor.u8()?);
            Ok(Value::Int(if year == 0 { 0 } else { 1900 + year }))
        }
        Wire::Date => temporal::read_date(cursor),
        Wire::Time { digits } => temporal::read_time(cursor, digits),
        Wire::Datetime { digits } => temporal::read_datetime(cursor, digits),
        Wire::Timestamp { digits } => temporal::read_timestamp(cursor, digits),
        Wire::OldTime => temporal::read_old_time(cursor),
        Wire::OldDatetime => temporal::read_old_datetime(cursor),
        Wire::OldTimestamp => temporal::read_old_timestamp(cursor),
        Wire::Fixed { bytes } if matches!(form, Form::Address) => {
            address(sized(cursor, length_bytes(bytes))?, bytes)
        }
        Wire::Fixed { bytes } | Wire::Variable { bytes } => {
            string(sized(cursor, length_bytes(bytes))?, form, memory)
        }
        Wire::Blob { length_bytes } => string(sized(cursor, length_bytes)?, form, memory),
        Wire::Json { length_bytes } => {
            Ok(Value::Json(json::text(sized(cursor, length_bytes)?)?.into()))
        }
        Wire::Enum { bytes } => label(cursor.uint(usize::from(bytes))?, form),
        Wire::Compressed { length_bytes } => {
            let bytes = sized(cursor, length_bytes)?;
            match bytes.split_first() {
                None => string(bytes, form, memory),
                Some((_, stored)) => match compressed::column_value(bytes)? {
                    Some(unpacked) => string(&unpacked, form, None),
                    None => string(stored, form, memory),
                },
            }
        }
        Wire::Set { bytes } => members(cursor.uint(usize::from(bytes))?, form),
        Wire::Opaque { length_bytes, .. } => string(sized(cursor, length_bytes)?, form, memory),
    }
}

fn boolean(number: i64) -> Value {
    match number {
        0 => Value::Bool(false),
        1 => Value::Bool(true),
        other => Value::Int(other),
    }
}

fn integer(cursor: &mut Cursor<'_>, bytes: usize, form: &Form) -> Result<Value> {
    let raw = cursor.uint(bytes)?;
    let spare = 64 - 8 * bytes as u32;
    // Shifting left and back extends the sign of the narrower number.
    let signed = ((raw << spare) as i64) >> spare;
    Ok(match form {
        Form::Number { unsigned: true } => Value::from_u64(raw),
        Form::Bool => boolean(signed),
        _ => Value::Int(signed),
    })
}

fn label(index: u64, form: &Form) -> Result<Value> {
    let (Form::Enum(labels), Ok(index)) = (form, usize::try_from(index)) else {
        return Err(Error::new(Kind::Internal, "an enum without labels"));
    };
    match index.checked_sub(1) {
        None => Ok(Value::EnumInvalid),
        Some(index) => labels
            .get(index)
            .map(|label| Value::Enum(label.clone()))
            .ok_or_else(|| Error::new(Kind::Malformed, "an enum index without a label")),
    }
}

/// The labels of a set whose bits are set, as the servers print them.
fn members(bits: u64, form: &Form) -> Result<Value> {
    let Form::Set(labels) = form else {
        return Err(Error::new(Kind::Internal, "a set without labels"));
    };
    let known = labels.len().min(64) as u32;
    if bits.checked_shr(known).unwrap_or(0) != 0 {
        return Err(Error::new(Kind::Malformed, "a bit of a set without a label"));
    }
    let chosen = labels.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
    let chosen: Vec<&str> = chosen.map(|(_, label)| &**label).collect();
    Ok(Value::Text(chosen.join(",").into()))
}

/// An internet address of four or sixteen bytes as text.
fn address(bytes: &[u8], width: u16) -> Result<Value> {
    let bytes = padded(bytes, usize::from(width));
    let text = match (<[u8; 4]>::try_from(&*bytes), <[u8; 16]>::try_from(&*bytes)) {
        (Ok(bytes), _) => Ipv4Addr::from(bytes).to_string(),
        (_, Ok(bytes)) => Ipv6Addr::from(bytes).to_string(),
        _ => return Err(Error::new(Kind::Malformed, "an internet address of another width")),
    };
    Ok(Value::Text(text.into()))
}

/// Text or bytes. `bytes` lies inside `memory`, where the value is to share that.
fn string(bytes: &[u8], form: &Form, memory: Option<&Bytes>) -> Result<Value> {
    let shared = |bytes: &[u8]| {
        memory.map_or_else(|| Bytes::copy_from_slice(bytes), |memory| memory.slice_ref(bytes))
    };
    Ok(match form {
        Form::Text(charset) => text(*charset, shared(bytes)),
        Form::Trimmed(charset) => blanks_trimmed(text(*charset, shared(bytes))),
        Form::JsonText(charset) => match text(*charset, shared(bytes)) {
            Value::Text(document) => Value::Json(document),
            other => other,
        },
        Form::Bytes(width) if bytes.len() < *width => Value::Bytes(padded(bytes, *width).into()),
        Form::Bytes(_) => Value::Bytes(shared(bytes)),
        Form::Uuid => {
            let uuid: [u8; 16] = padded(bytes, 16)
                .try_into()
                .map_err(|_| Error::new(Kind::Malformed, "a UUID of more than 16 bytes"))?;
            Value::Uuid(uuid)
        }
        _ => return Err(Error::new(Kind::Internal, "a string that is none")),
    })
}

/// The log cuts trailing 0x00 off fixed-length binary values.
fn padded(bytes: &[u8], width: usize) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    if padded.len() < width {
        padded.resize(width, 0);
    }
    padded
}

/// Bytes of a text column as text. Bytes that are none stay bytes, which no text column takes.
pub(in crate::mysql) fn text(charset: Charset, bytes: Bytes) -> Value {
    charset.text(bytes.clone()).map_or(Value::Bytes(bytes), Value::Text)
}

/// A text without trailing U+0020.
pub(in crate::mysql) fn blanks_trimmed(value: Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(text.slice_ref(text.trim_end_matches(' '))),
        other => other,
    }
}
