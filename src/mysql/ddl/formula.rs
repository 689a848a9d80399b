//! Formulas as MySQL and MariaDB write them. What they mean is settled before (`plan/formula`).

use super::super::sql::{literal, quote};
use crate::model::formula::Formula;

/// A formula in brackets.
pub(super) fn print(formula: &Formula) -> String {
    match formula {
        Formula::Column(name) => quote(name),
        Formula::Number(digits) => digits.clone(),
        Formula::Text(text) => literal(text),
        Formula::Truth(true) => "TRUE".to_owned(),
        Formula::Truth(false) => "FALSE".to_owned(),
        Formula::Not(of) => match &**of {
            Formula::IsNull(of) => format!("({} IS NOT NULL)", print(of)),
            of => format!("(NOT {})", print(of)),
        },
        Formula::And(one, other) => format!("({} AND {})", print(one), print(other)),
        Formula::Or(one, other) => format!("({} OR {})", print(one), print(other)),
        Formula::Compare(how, one, other) => {
            format!("({} {} {})", print(one), how.sql(), print(other))
        }
        Formula::IsNull(of) => format!("({} IS NULL)", print(of)),
        Formula::Like(of, pattern) => format!("({} LIKE {})", print(of), literal(pattern)),
        Formula::Arithmetic(how, one, other) => {
            format!("({} {} {})", print(one), how.sql(), print(other))
        }
        Formula::Negative(of) => format!("(-{})", print(of)),
        Formula::Characters(of) => format!("CHAR_LENGTH({})", print(of)),
        Formula::Bytes(of) => format!("OCTET_LENGTH({})", print(of)),
        Formula::Concat(one, other) => format!("CONCAT({}, {})", print(one), print(other)),
        Formula::Start(of, count) => format!("LEFT({}, {count})", print(of)),
        // What has come this far is the same value without it.
        Formula::Cast(of, _) => print(of),
    }
}
