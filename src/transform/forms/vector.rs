//! Vectors of 32-bit floats: the bytes of MySQL and MariaDB, and the numbers of a PostgreSQL array or a
//! `vector`.

use crate::transform::Reason;
use crate::transform::forms::spell_float;

/// The numbers of a text `{1,2.5,-3}` or `[1,2.5,-3]`.
pub(crate) fn parse(text: &str) -> Result<Vec<f32>, Reason> {
    if text.starts_with('[') && text.contains('=') {
        return Err(Reason::ArrayBounds);
    }
    let inner = text.strip_prefix(['{', '[']).and_then(|text| text.strip_suffix(['}', ']']));
    let inner = inner.ok_or(Reason::Parse)?;
    if inner.trim().is_empty() {
        return Ok(Vec::new());
    }
    if inner.contains('{') {
        return Err(Reason::ArrayBounds);
    }
    inner.split(',').map(|part| number(part.trim())).collect()
}

fn number(text: &str) -> Result<f32, Reason> {
    match text {
        "NULL" => return Err(Reason::NullNotAllowed),
        "NaN" | "Infinity" | "-Infinity" => return Err(Reason::NonFinite),
        _ if !text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) => {
            return Err(Reason::Parse);
        }
        _ => {}
    }
    let (Ok(number), Ok(double)) = (text.parse::<f32>(), text.parse::<f64>()) else {
        return Err(Reason::Parse);
    };
    if !number.is_finite() {
        return Err(Reason::OutOfRange);
    }
    // Either the number itself, or the shortest text that stands for it.
    let stands_for = || shortest(number).parse::<f64>().is_ok_and(|short| short == double);
    if f64::from(number) == double || stands_for() {
        Ok(number)
    } else {
        Err(Reason::PrecisionLoss)
    }
}

/// The numbers of bytes, four each, lowest first.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<f32>, Reason> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Reason::Parse);
    }
    let number = |bytes: &[u8; 4]| Some(f32::from_le_bytes(*bytes)).filter(|f| f.is_finite());
    numbers.iter().map(|bytes| number(bytes).ok_or(Reason::NonFinite)).collect()
}

/// The bytes of numbers.
pub(crate) fn write(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The text of numbers between two signs.
pub(crate) fn spell(numbers: &[f32], first: char, last: char) -> String {
    let list: Vec<String> = numbers.iter().map(|number| shortest(*number)).collect();
    format!("{first}{}{last}", list.join(","))
}

/// The shortest text that reads back as the same number.
fn shortest(number: f32) -> String {
    match number {
        0.0 => "0".to_owned(),
        number if (1e-4..1e6).contains(&number.abs()) => number.to_string(),
        number => spell_float(number.to_string().parse().unwrap_or(f64::from(number))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Broken if a number that no vector holds were sent.
    #[test]
    fn only_numbers_are_taken() {
        assert_eq!(parse("{1,2.5,-3}"), Ok(vec![1.0, 2.5, -3.0]));
        assert_eq!(parse("[]"), Ok(Vec::new()));
        assert_eq!(parse("{1,NULL}"), Err(Reason::NullNotAllowed));
        assert_eq!(parse("{{1},{2}}"), Err(Reason::ArrayBounds));
        assert_eq!(parse("{NaN}"), Err(Reason::NonFinite));
        assert_eq!(parse("{1e39}"), Err(Reason::OutOfRange));
        assert_eq!(parse("{0.1,0.10000000149011612}"), Ok(vec![0.1, 0.1]));
        assert_eq!(parse("{0.100000001}"), Err(Reason::PrecisionLoss));
        assert_eq!(parse("[0:1]={1,2}"), Err(Reason::ArrayBounds));
        assert_eq!(read(&[0, 0, 0]), Err(Reason::Parse));
        assert_eq!(read(&f32::NAN.to_le_bytes()), Err(Reason::NonFinite));
    }

    proptest! {
        /// Broken if a vector did not come back.
        #[test]
        fn vectors_come_back(numbers in prop::collection::vec(-3e38_f32..3e38, 0..9)) {
            let one = |number: f32| if number == 0.0 { 0.0 } else { number };
            let numbers: Vec<f32> = numbers.into_iter().map(one).collect();
            prop_assert_eq!(parse(&spell(&numbers, '{', '}')), Ok(numbers.clone()));
            prop_assert_eq!(read(&write(&numbers)), Ok(numbers));
        }
    }
}
