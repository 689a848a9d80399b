//! Formulas as PostgreSQL writes them. What they mean is settled before (`plan/formula`).

use super::super::sql::{literal, quote};
use crate::model::formula::Formula;

/// A formula in brackets. Numbers are computed as numeric, which has room for what every server computes.
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
            format!("({} {} {})", number(one), how.sql(), number(other))
        }
        Formula::Negative(of) => format!("(-{})", number(of)),
        Formula::Characters(of) => format!("char_length({})", print(of)),
        Formula::Bytes(of) => format!("octet_length({})", print(of)),
        Formula::Concat(one, other) => format!("({} || {})", print(one), print(other)),
        Formula::Start(of, count) => format!("left({}, {count})", print(of)),
        // What has come this far is the same value without it.
        Formula::Cast(of, _) => print(of),
    }
}

/// An operand: integers of columns would run over where other servers have room.
fn number(formula: &Formula) -> String {
    match formula {
        Formula::Column(_) | Formula::Characters(_) | Formula::Bytes(_) => {
            format!("{}::numeric", print(formula))
        }
        _ => print(formula),
    }
}
