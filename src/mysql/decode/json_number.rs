//! A double as MySQL prints it in JSON text.
//!
//! The shortest digits that read back as the same double; plain notation while the decimal point
//! is within 15 places or has digits after it, else an exponent without plus sign or leading zeros; a plain number
//! without a fraction gets `.0`. Source: MySQL `my_gcvt` and its tests, checked on a server.

use std::fmt::Write;

/// Most places of the decimal point in plain notation.
const PLAIN_PLACES_MAX: i32 = 15;

/// Appends `number`, which is finite.
pub(super) fn write_double(number: f64, text: &mut String) {
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    // Where the point stands: 0.digits times 10 to the power of `point`.
    let point = if number == 0.0 { 1 } else { exponent + 1 };
    text.push_str(sign);
    let fraction = i32::try_from(digits.len()).is_ok_and(|digits| digits > point);
    if point > -PLAIN_PLACES_MAX && (point <= PLAIN_PLACES_MAX || fraction) {
        plain(&digits, point, text);
    } else {
        let (first, rest) = digits.split_at(1.min(digits.len()));
        text.push_str(first);
        if !rest.is_empty() {
            text.push('.');
            text.push_str(rest);
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "e{}", point - 1);
    }
}

fn plain(digits: &str, point: i32, text: &mut String) {
    if point <= 0 {
        text.push_str("0.");
        (point..0).for_each(|_| text.push('0'));
        text.push_str(digits);
        return;
    }
    let whole = point.unsigned_abs() as usize;
    match digits.split_at_checked(whole) {
        Some((before, after)) => {
            text.push_str(before);
            text.push('.');
            text.push_str(if after.is_empty() { "0" } else { after });
        }
        None => {
            text.push_str(digits);
            (digits.len()..whole).for_each(|_| text.push('0'));
            text.push_str(".0");
        }
    }
}
