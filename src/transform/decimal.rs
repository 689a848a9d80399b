//! Exact decimals as text: fit check and the one spelling that the target gives a value.
//!
//! No arithmetic and no fixed width: DECIMAL(65,30) and numeric of any size pass alike. A value
//! that already has the target's spelling is not copied. Nothing is rounded.

use bytestring::ByteString;

use crate::transform::Reason;
use crate::transform::conversion::{DecimalDigits, DecimalFit};

/// A decimal in its parts; the digits before the point without leading zeros.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, Reason> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !plain(whole) || !plain(fraction) || whole.len() + fraction.len() == 0 {
            return Err(Reason::Parse);
        }
        Ok(Parts { negative, whole: whole.trim_start_matches('0'), fraction })
    }

    fn is_zero(&self) -> bool {
        self.whole.is_empty() && is_zeros(self.fraction)
    }
}

fn is_zeros(digits: &str) -> bool {
    digits.bytes().all(|byte| byte == b'0')
}

/// The decimal in the target's spelling: as many digits after the point as its scale says, or none
/// too many where it has no scale.
pub(crate) fn fit(text: &ByteString, fit: &DecimalFit) -> Result<ByteString, Reason> {
    let parts = Parts::of(text)?;
    let zero = parts.is_zero();
    if parts.negative && !zero && !fit.negative {
        return Err(Reason::OutOfRange);
    }
    let fraction_digits = match fit.size {
        None => parts.fraction.trim_end_matches('0').len(),
        Some(_) if zero => fit.size.map_or(0, |size| usize::try_from(size.scale).unwrap_or(0)),
        Some(size) => sized(&parts, size)?,
    };
    Ok(spell(text, &parts, zero, fraction_digits))
}

/// Checks the digits of a value other than zero; returns how many stand after the point.
fn sized(parts: &Parts<'_>, size: DecimalDigits) -> Result<usize, Reason> {
    let digits = |count: i32| usize::try_from(count).unwrap_or(0);
    if parts.whole.len() > digits(size.whole_max) {
        return Err(Reason::OutOfRange);
    }
    // numeric(3,5): the first digits after the point must be zero.
    let leading = parts.fraction.get(..digits(-size.whole_max)).unwrap_or(parts.fraction);
    if !is_zeros(leading) {
        return Err(Reason::OutOfRange);
    }
    let scale = digits(size.scale);
    if !is_zeros(parts.fraction.get(scale..).unwrap_or("")) {
        return Err(Reason::PrecisionLoss);
    }
    // numeric(3,-2): the last digits before the point must be zero.
    let rounded = parts.whole.len().saturating_sub(digits(-size.scale));
    if !is_zeros(parts.whole.get(rounded..).unwrap_or("")) {
        return Err(Reason::PrecisionLoss);
    }
    Ok(scale)
}

fn spell(text: &ByteString, parts: &Parts<'_>, zero: bool, fraction_digits: usize) -> ByteString {
    let negative = parts.negative && !zero;
    let whole = if parts.whole.is_empty() { "0" } else { parts.whole };
    let point = usize::from(fraction_digits > 0);
    let length = usize::from(negative) + whole.len() + point + fraction_digits;
    // Same length and same kinds of parts: it is that spelling already.
    if text.len() == length
        && parts.negative == negative
        && parts.fraction.len() == fraction_digits
        && (point == 1) == text.contains('.')
    {
        return text.clone();
    }
    let mut spelled = String::with_capacity(length);
    if negative {
        spelled.push('-');
    }
    spelled.push_str(whole);
    if fraction_digits > 0 {
        spelled.push('.');
        let kept = parts.fraction.get(..fraction_digits).unwrap_or(parts.fraction);
        spelled.push_str(kept);
        spelled.extend(std::iter::repeat_n('0', fraction_digits - kept.len()));
    }
    ByteString::from(spelled)
}

/// A decimal without a fraction as an integer.
pub(crate) fn whole(text: &str) -> Result<i128, Reason> {
    let parts = Parts::of(text)?;
    if !is_zeros(parts.fraction) {
        return Err(Reason::PrecisionLoss);
    }
    if parts.whole.is_empty() {
        return Ok(0);
    }
    let value: i128 = parts.whole.parse().map_err(|_| Reason::OutOfRange)?;
    Ok(if parts.negative { -value } else { value })
}
