//! One order of match keys, total and the same for both sides, whatever their servers sort by.
//!
//! Two walks that both come in this order can be joined as they go. Whether they do is seen row by row
//! (`merge`), so nothing is assumed of a server's collation or of how it sorts a type.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::model::Value;
use crate::verify::canonical::{self, Form};

/// Compares two keys, value by value. `Equal` exactly where they are equal in canonical form.
pub fn compare(one: &[Value], other: &[Value]) -> Ordering {
    let mut pairs = one.iter().zip(other);
    let unequal = pairs.find_map(|(one, other)| Some(value(one, other)).filter(|at| at.is_ne()));
    unequal.unwrap_or_else(|| one.len().cmp(&other.len()))
}

fn value(one: &Value, other: &Value) -> Ordering {
    let (left, right) = (rank(one), rank(other));
    if left != right {
        return left.cmp(&right);
    }
    match (one, other) {
        (Value::Text(one) | Value::Enum(one), Value::Text(other) | Value::Enum(other)) => {
            one.as_bytes().cmp(other.as_bytes())
        }
        (Value::Bytes(one), Value::Bytes(other)) => one.cmp(other),
        (Value::Uuid(one), Value::Uuid(other)) => one.cmp(other),
        (Value::Date(one), Value::Date(other)) => one.cmp(other),
        (Value::Time(one), Value::Time(other))
        | (Value::Timestamp(one), Value::Timestamp(other))
        | (Value::Instant(one), Value::Instant(other)) => one.cmp(other),
        _ => match (whole(one), whole(other)) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => match (decimal(one), decimal(other)) {
                (Some(one), Some(other)) => decimals(&one, &other),
                _ => bytes(one).cmp(&bytes(other)),
            },
        },
    }
}

/// Kinds of values that are compared with each other; infinities lie around the dates.
const fn rank(value: &Value) -> u8 {
    match value {
        Value::Null | Value::Unchanged => 0,
        Value::NegativeInfinity => 1,
        Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Decimal(_) => 2,
        Value::DecimalSpecial(_) => 3,
        Value::F32(_) | Value::F64(_) => 4,
        Value::EnumInvalid => 5,
        Value::Text(_) | Value::Enum(_) => 6,
        Value::Bytes(_) => 7,
        Value::InvalidDate(_) => 8,
        Value::Date(_) => 9,
        Value::Time(_) => 10,
        Value::Timestamp(_) => 11,
        Value::Instant(_) => 12,
        Value::Uuid(_) => 13,
        Value::Json(_) => 14,
        Value::Infinity => 15,
    }
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Bool(value) => Some(i128::from(*value)),
        Value::Int(value) => Some(i128::from(*value)),
        Value::UInt(value) => Some(i128::from(*value)),
        _ => None,
    }
}

fn decimal(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Decimal(text) => Some(Cow::Borrowed(text)),
        value => whole(value).map(|whole| Cow::Owned(whole.to_string())),
    }
}

/// Decimals in plain notation, by value.
fn decimals(one: &str, other: &str) -> Ordering {
    let parts = |text: &str| -> (bool, String, String) {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let zero = whole.is_empty() && fraction.is_empty();
        (negative && !zero, whole.to_owned(), fraction.to_owned())
    };
    let ((minus, whole, fraction), (other_minus, other_whole, other_fraction)) =
        (parts(one), parts(other));
    let size =
        (whole.len(), whole, fraction).cmp(&(other_whole.len(), other_whole, other_fraction));
    match (minus, other_minus) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => size,
        (true, true) => size.reverse(),
    }
}

/// Of what has no order of its own.
fn bytes(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was not read has no bytes, and none of its kind has others.
    let _unread = canonical::write(&Form::Plain, value, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::key::tests::value as any_value;
    use proptest::prelude::*;

    /// Broken if keys of numbers were joined in the order of their texts, or negative ones backwards.
    #[test]
    fn numbers_are_ordered_by_value() {
        let decimal = |text: &str| Value::Decimal(text.into());
        let ascending = [
            decimal("-10"),
            decimal("-9.5"),
            Value::Int(-2),
            decimal("-0.01"),
            Value::Bool(false),
            decimal("0.009"),
            decimal("0.01"),
            Value::Int(1),
            decimal("1.5"),
            Value::Int(9),
            decimal("10.00"),
            Value::UInt(u64::MAX),
            decimal("18446744073709551616"),
        ];
        for pair in ascending.windows(2) {
            assert_eq!(compare(&pair[..1], &pair[1..]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(&pair[1..], &pair[..1]), Ordering::Greater, "{pair:?}");
        }
    }

    proptest! {
        /// Broken if the order were none: rows would be passed over, or one be taken for another.
        #[test]
        fn the_order_is_total_and_knows_equal_values(
            one in any_value(), other in any_value(), third in any_value(),
        ) {
            let compare = |one: &Value, other: &Value| {
                compare(std::slice::from_ref(one), std::slice::from_ref(other))
            };
            prop_assert_eq!(compare(&one, &other), compare(&other, &one).reverse());
            if compare(&one, &other).is_le() && compare(&other, &third).is_le() {
                prop_assert!(compare(&one, &third).is_le());
            }
            if one.is_known() && other.is_known() {
                let json = matches!(one, Value::Json(_)) || matches!(other, Value::Json(_));
                prop_assume!(!json);
                prop_assert_eq!(compare(&one, &other).is_eq(), bytes(&one) == bytes(&other));
            }
        }
    }
}
