//! Exact decimal numbers as digits: compared, moved and rounded without any loss.
//!
//! As long as their text, and no longer: work and memory are bounded by the value that came in.

use std::cmp::Ordering;
use std::fmt;

/// Most digits that a number may get by a step.
pub(super) const DIGITS_MAX: usize = 200_000;

/// A number: `0.DIGITS × 10^point`, negative or not; no zeros in front or behind. Zero has no digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Number {
    negative: bool,
    /// ASCII digits.
    digits: Vec<u8>,
    point: i64,
}

/// How a number is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    HalfUp,
    HalfEven,
    HalfDown,
    Up,
    Down,
    Floor,
    Ceil,
}

impl Number {
    /// A number in plain notation: an optional sign, digits, and a fraction.
    pub(super) fn parse(text: &str) -> Option<Number> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || !plain(whole) || !plain(fraction) {
            return None;
        }
        let digits = whole.bytes().chain(fraction.bytes()).collect();
        Some(Number { negative, digits, point: whole.len() as i64 }.trimmed())
    }

    fn trimmed(mut self) -> Number {
        let leading = self.digits.iter().take_while(|digit| **digit == b'0').count();
        self.digits.drain(..leading);
        self.point -= leading as i64;
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            return Number { negative: false, digits: Vec::new(), point: 0 };
        }
        self
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// The same number with the other sign.
    pub(super) fn negated(self) -> Number {
        Number { negative: !self.negative && !self.digits.is_empty(), ..self }
    }

    /// × 10^n; `None` where it would have too many digits.
    pub(super) fn moved(mut self, places: i64) -> Option<Number> {
        if self.is_zero() {
            return Some(self);
        }
        self.point = self.point.checked_add(places)?;
        let length = self.digits.len() as i64;
        let span = self.point.max(0) + (length - self.point).max(0);
        (span <= DIGITS_MAX as i64).then_some(self)
    }

    /// Rounded to `scale` digits behind the point (in front of it, where it is below zero).
    pub(super) fn rounded(&self, scale: i64, mode: Mode) -> Number {
        let keep = self.point + scale;
        if keep >= self.digits.len() as i64 {
            return self.clone();
        }
        // All that stays, and what decides: the first digit that goes, and whether more follow.
        let kept = usize::try_from(keep).unwrap_or(0);
        let first = if keep < 0 { b'0' } else { self.digits.get(kept).copied().unwrap_or(b'0') };
        let more = if keep < 0 { true } else { self.digits.len() > kept + 1 };
        let half = match first {
            b'5' if !more => Ordering::Equal,
            b'5'..=b'9' => Ordering::Greater,
            _ => Ordering::Less,
        };
        let odd = kept > 0 && self.digits.get(kept - 1).is_some_and(|digit| digit % 2 == 1);
        let away = match mode {
            Mode::HalfUp => half != Ordering::Less,
            Mode::HalfDown => half == Ordering::Greater,
            Mode::HalfEven => half == Ordering::Greater || half == Ordering::Equal && odd,
            Mode::Up => true,
            Mode::Down => false,
            Mode::Floor => self.negative,
            Mode::Ceil => !self.negative,
        };
        let mut digits: Vec<u8> = self.digits.iter().take(kept).copied().collect();
        // What is left of the digits ends at this place, whatever stood before.
        let mut point = if keep < 0 { -scale } else { self.point };
        if away {
            match digits.iter().rposition(|digit| *digit != b'9') {
                Some(at) => {
                    digits.truncate(at + 1);
                    if let Some(digit) = digits.last_mut() {
                        *digit += 1;
                    }
                }
                None => {
                    digits = vec![b'1'];
                    point += 1;
                }
            }
        }
        Number { negative: self.negative, digits, point }.trimmed()
    }

    /// As a whole number, if it is one and fits.
    pub(super) fn whole(&self) -> Option<i64> {
        if self.is_zero() {
            return Some(0);
        }
        (self.point >= self.digits.len() as i64 && self.point <= 19)
            .then(|| self.to_string().parse().ok())?
    }

    pub(super) fn compare(&self, other: &Number) -> Ordering {
        let sign = |number: &Number| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        sign(self).cmp(&sign(other)).then_with(|| {
            let size = self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits));
            if self.negative { size.reverse() } else { size }
        })
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        if self.negative {
            f.write_str("-")?;
        }
        let digits = std::str::from_utf8(&self.digits).unwrap_or("");
        let length = self.digits.len() as i64;
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
        if self.point <= 0 {
            return write!(f, "0.{}{digits}", zeros(-self.point));
        }
        if self.point >= length {
            return write!(f, "{digits}{}", zeros(self.point - length));
        }
        let (whole, fraction) = digits.split_at(usize::try_from(self.point).unwrap_or(0));
        write!(f, "{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    /// Broken if a price were rounded to another cent than its mode says.
    #[test]
    fn numbers_round_by_their_mode() {
        for (text, scale, mode, expected) in [
            ("1.235", 2, Mode::HalfUp, "1.24"),
            ("-1.235", 2, Mode::HalfUp, "-1.24"),
            ("1.235", 2, Mode::HalfDown, "1.23"),
            ("1.2351", 2, Mode::HalfDown, "1.24"),
            ("1.225", 2, Mode::HalfEven, "1.22"),
            ("1.235", 2, Mode::HalfEven, "1.24"),
            ("0.5", 0, Mode::HalfEven, "0"),
            ("1.5", 0, Mode::HalfEven, "2"),
            ("1.001", 2, Mode::Up, "1.01"),
            ("1.009", 2, Mode::Down, "1"),
            ("-1.001", 2, Mode::Floor, "-1.01"),
            ("-1.009", 2, Mode::Ceil, "-1"),
            ("1.001", 2, Mode::Ceil, "1.01"),
            ("9.995", 2, Mode::HalfUp, "10"),
            ("0.004", 2, Mode::HalfUp, "0"),
            ("0.0004", 2, Mode::Up, "0.01"),
            ("-0.0004", 2, Mode::Floor, "-0.01"),
            ("0.06", 1, Mode::HalfUp, "0.1"),
            ("1250", -2, Mode::HalfEven, "1200"),
            ("50", -2, Mode::HalfUp, "100"),
            ("50", -2, Mode::HalfEven, "0"),
            ("49", -2, Mode::HalfUp, "0"),
            ("4", -2, Mode::Up, "100"),
            ("1.5", 3, Mode::HalfUp, "1.5"),
        ] {
            assert_eq!(number(text).rounded(scale, mode).to_string(), expected, "{text} {mode:?}");
        }
    }

    /// Broken if 1.10 were another number than 1.1, or a text that is none were taken for one.
    #[test]
    fn numbers_are_read_and_written() {
        for (text, expected) in
            [("001.10", "1.1"), ("-0.0", "0"), (".5", "0.5"), ("+7.", "7"), ("1000", "1000")]
        {
            assert_eq!(number(text).to_string(), expected);
        }
        for text in ["", "-", ".", "1e5", "1,5", " 1", "--1", "0x1"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
        assert_eq!(number("12.5").moved(-3).unwrap().to_string(), "0.0125");
        assert_eq!(number("0.25").moved(2).unwrap().whole(), Some(25));
        assert_eq!(number("1").moved(i64::MAX), None);
        assert_eq!(number("9223372036854775808").whole(), None);
        assert_eq!(number("-9223372036854775808").whole(), Some(i64::MIN));
    }

    proptest! {
        /// Broken if the order of numbers, or a move and its way back, changed a value.
        #[test]
        fn numbers_behave_as_numbers(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000, n in -20_i64..20) {
            let (x, y) = (number(&a.to_string()), number(&b.to_string()));
            prop_assert_eq!(x.compare(&y), a.cmp(&b));
            let back = x.clone().moved(n).and_then(|moved| moved.moved(-n)).unwrap();
            prop_assert_eq!(back, x.clone());
            let rounded = x.clone().moved(-3).unwrap().rounded(0, Mode::Floor);
            prop_assert_eq!(rounded.whole(), Some(a.div_euclid(1000)));
        }
    }
}
