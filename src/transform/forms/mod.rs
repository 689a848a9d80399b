//! Values of types that only one dialect has, on their way to another: texts of PostgreSQL's own types,
//! arrays and composites as JSON, bits, sets, addresses, geometry, vectors.
//!
//! A text is read in full before it is sent: what is none of its type is refused ([`Reason::Parse`]), never
//! left for the server to judge. Each form has one canonical text, by which values are compared. Nothing
//! here panics or takes memory by a length that a value claims. Not here: which pairs cross (`mapping`).

pub mod convert;
pub mod figures;
pub mod interval;
pub mod json;
pub mod labels;
pub mod network;
pub mod ranges;
pub mod structure;
pub mod vector;
pub mod wkb;

use crate::model::Type;
use crate::model::shape::Shape;
use crate::transform::Reason;

/// The one text of a value that PostgreSQL takes and prints as `shape`. JSON documents inside it are left
/// as they are spelled.
///
/// # Errors
/// `Parse` where the text is none of the type, and the reason where its limits do not hold it.
pub fn canonical(shape: &Shape, text: &str) -> Result<String, Reason> {
    match shape {
        Shape::Interval { .. } => Ok(interval::Interval::parse(text)?.to_string()),
        Shape::TimeTz { .. } => interval::time_with_zone(text).map(|(_, text)| text),
        Shape::Inet => network::inet(text, false),
        Shape::Cidr => network::inet(text, true),
        Shape::Mac { bytes } => network::mac(text, *bytes),
        Shape::Lsn => network::lsn(text),
        Shape::Ltree => ltree(text),
        Shape::Letter => letter(text),
        Shape::Unsigned { bits } => unsigned(text, *bits).map(|number| number.to_string()),
        Shape::Money { digits } => money(text, *digits),
        Shape::Bits { .. } | Shape::VarBits { .. } => bits(text).map(str::to_owned),
        Shape::Figure(figure) => figures::canonical(*figure, text),
        Shape::Range { element, discrete } => ranges::range(element, *discrete, text),
        Shape::Multirange { element, discrete } => ranges::multirange(element, *discrete, text),
        Shape::Array { .. } | Shape::Composite(_) | Shape::Hstore | Shape::Vector { .. } => {
            structure::respelled(shape, text)
        }
        Shape::Text { .. }
        | Shape::Printed
        | Shape::Opaque
        | Shape::Set(_)
        | Shape::Address { .. } => Ok(text.to_owned()),
        Shape::Geometry { .. } => {
            let geometry = wkb::Geometry::of_ewkb(&wkb::unhex(text)?)?;
            Ok(wkb::hex(&geometry.ewkb()))
        }
    }
}

/// The one text of a value of an element, bound or field: what [`canonical`] gives, and for plain types
/// numbers without what is no part of their value.
pub(crate) fn canonical_scalar(ty: &Type, text: &str) -> Result<String, Reason> {
    match ty {
        Type::Native { shape, .. } => canonical(shape, text),
        Type::Int { .. } => match text.parse::<i64>() {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(Reason::Parse),
        },
        Type::Decimal(_) => decimal(text),
        Type::F32 => float(text).map(|number| spell_float(f64::from(number as f32))),
        Type::F64 => float(text).map(spell_float),
        Type::Bool => boolean(text).map(|truth| if truth { "t" } else { "f" }.to_owned()),
        Type::Char { .. } => Ok(text.trim_end_matches(' ').to_owned()),
        Type::Uuid => {
            let uuid = crate::transform::text::parse_uuid(text, false)?;
            Ok(crate::transform::text::format_uuid(&uuid).to_string())
        }
        _ => Ok(text.to_owned()),
    }
}

/// A decimal without the zeros that are no part of its value.
fn decimal(text: &str) -> Result<String, Reason> {
    if matches!(text, "NaN" | "Infinity" | "-Infinity") {
        return Ok(text.to_owned());
    }
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || digits.ends_with('.') {
        return Err(Reason::Parse);
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    Ok(match (whole, fraction) {
        ("0", "") => "0".to_owned(),
        (whole, "") => format!("{sign}{whole}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction}"),
    })
}

/// A float as PostgreSQL prints it.
pub(crate) fn float(text: &str) -> Result<f64, Reason> {
    match text {
        "NaN" => return Ok(f64::NAN),
        "Infinity" => return Ok(f64::INFINITY),
        "-Infinity" => return Ok(f64::NEG_INFINITY),
        _ => {}
    }
    let plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if !text.bytes().all(plain) {
        return Err(Reason::Parse);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) => Err(Reason::OutOfRange),
        Err(_) => Err(Reason::Parse),
    }
}

/// One text per float, which PostgreSQL reads as the same bits; -0 is 0.
pub(crate) fn spell_float(number: f64) -> String {
    match number {
        number if number.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        0.0 => "0".to_owned(),
        number if (1e-5..1e15).contains(&number.abs()) => number.to_string(),
        number => format!("{number:e}"),
    }
}

pub(crate) fn boolean(text: &str) -> Result<bool, Reason> {
    match text {
        "t" | "true" => Ok(true),
        "f" | "false" => Ok(false),
        _ => Err(Reason::Parse),
    }
}

/// A number without sign of so many bits.
pub(crate) fn unsigned(text: &str, bits: u8) -> Result<u64, Reason> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Reason::Parse);
    }
    let number: u64 = text.parse().map_err(|_| Reason::OutOfRange)?;
    let fits = bits >= 64 || number >> bits == 0;
    if fits { Ok(number) } else { Err(Reason::OutOfRange) }
}

/// The digits 0 and 1.
pub(crate) fn bits(text: &str) -> Result<&str, Reason> {
    let plain = text.bytes().all(|byte| matches!(byte, b'0' | b'1'));
    if plain { Ok(text) } else { Err(Reason::Parse) }
}

/// Money in whatever locale's spelling, as a plain decimal: its digits are the count of the smallest unit,
/// and a minus or parentheses are its sign.
pub(crate) fn money(text: &str, digits: u8) -> Result<String, Reason> {
    let negative = text.contains(['-', '(', '\u{2212}']);
    let number: String = text.chars().filter(char::is_ascii_digit).collect();
    let number = number.trim_start_matches('0');
    if !text.bytes().any(|byte| byte.is_ascii_digit()) || number.len() > 19 {
        return Err(Reason::Parse);
    }
    let digits = usize::from(digits);
    let padded = format!("{number:0>width$}", width = digits + 1);
    let (whole, fraction) = padded.split_at(padded.len() - digits);
    let sign = if negative && !number.is_empty() { "-" } else { "" };
    let point = if digits > 0 { "." } else { "" };
    Ok(format!("{sign}{whole}{point}{fraction}"))
}

/// Labels of letters, digits, underscores and hyphens, with points between them.
fn ltree(text: &str) -> Result<String, Reason> {
    const LABEL_MAX: usize = 1000;
    let fits = |label: &str| {
        let letters = label.chars().all(|letter| letter.is_alphanumeric() || "_-".contains(letter));
        !label.is_empty() && letters && label.chars().count() <= LABEL_MAX
    };
    let fine = text.is_empty() || text.split('.').all(fits);
    if fine { Ok(text.to_owned()) } else { Err(Reason::Parse) }
}

fn letter(text: &str) -> Result<String, Reason> {
    match text.len() {
        0 | 1 if text.is_ascii() && text != "\0" => Ok(text.to_owned()),
        _ => Err(Reason::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if two texts of one number became two values, or money lost its sign or scale.
    #[test]
    fn plain_texts_have_one_spelling() {
        for (text, expected) in
            [("1.10", "1.1"), ("-0.00", "0"), ("007", "7"), ("-12.5", "-12.5"), ("NaN", "NaN")]
        {
            assert_eq!(decimal(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, digits, expected) in [
            ("$1,234.56", 2, "1234.56"),
            ("-$0.05", 2, "-0.05"),
            ("($1.00)", 2, "-1.00"),
            ("1.234,56 €", 2, "1234.56"),
            ("¥1,234", 0, "1234"),
            ("$0.00", 2, "0.00"),
        ] {
            assert_eq!(money(text, digits).as_deref(), Ok(expected), "{text}");
        }
        for (number, expected) in
            [(-0.0, "0"), (1.5, "1.5"), (1e300, "1e300"), (f64::NEG_INFINITY, "-Infinity")]
        {
            assert_eq!(spell_float(number), expected);
        }
    }

    /// Broken if a text that is no value of its type were sent.
    #[test]
    fn what_is_no_value_is_refused() {
        let refused = |shape: Shape, text: &str| canonical(&shape, text).unwrap_err();
        assert_eq!(refused(Shape::Ltree, "a..b"), Reason::Parse);
        assert_eq!(refused(Shape::Letter, "ab"), Reason::TooLong);
        assert_eq!(refused(Shape::Unsigned { bits: 32 }, "4294967296"), Reason::OutOfRange);
        assert_eq!(refused(Shape::Unsigned { bits: 64 }, "-1"), Reason::Parse);
        assert_eq!(refused(Shape::VarBits { max: None }, "012"), Reason::Parse);
        for text in ["", "1.", ".5", "1e5", "--1"] {
            assert_eq!(decimal(text), Err(Reason::Parse), "{text}");
        }
    }
}
