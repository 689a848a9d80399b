//! Values by chance: at the borders of their types as often as in between. Each knows how it is written at
//! either server and how it must read at the other.

use super::canon;
use super::kinds::Form;

/// A value.
#[derive(Debug)]
pub struct Made {
    /// How it is written at PostgreSQL.
    pub postgres: String,
    /// How it is written at MySQL or MariaDB.
    pub mysql: String,
    /// How it reads, in its one spelling; `None` for NULL.
    pub read: Option<String>,
}

/// NULL.
pub fn null() -> Made {
    Made { postgres: "NULL".to_owned(), mysql: "NULL".to_owned(), read: None }
}

fn alike(literal: String, read: String) -> Made {
    Made { postgres: literal.clone(), mysql: literal, read: Some(read) }
}

/// One of `borders` as often as not.
fn at_border<T: Copy>(random: &mut fastrand::Rng, borders: &[T]) -> Option<T> {
    if random.u8(0..3) == 0 { random.choice(borders).copied() } else { None }
}

/// An integer; 0 and 1 are written so that a boolean takes them.
pub fn integer(random: &mut fastrand::Rng, min: i128, max: i128) -> Made {
    let borders = [
        min,
        min + 1,
        max,
        max - 1,
        0_i128.clamp(min, max),
        1_i128.clamp(min, max),
        (-1_i128).clamp(min, max),
    ];
    let number = at_border(random, &borders).unwrap_or_else(|| {
        // Of every length.
        let bits = random.u32(1..=65);
        (i128::from(random.u64(..)) >> (65 - bits).min(63) ^ -i128::from(random.bool()))
            .clamp(min, max)
    });
    let text = number.to_string();
    Made { postgres: format!("'{text}'"), read: Some(text.clone()), mysql: text }
}

/// A year that YEAR has.
pub fn year(random: &mut fastrand::Rng) -> Made {
    let year = at_border(random, &[0, 1901, 2155]).unwrap_or_else(|| random.i64(1901..=2155));
    alike(year.to_string(), year.to_string())
}

/// A decimal of so many digits, `scale` of them after the point.
pub fn decimal(random: &mut fastrand::Rng, precision: usize, scale: usize) -> Made {
    let whole = random.usize(0..=precision - scale);
    let fraction = random.usize(0..=scale);
    let all_nines = random.u8(0..8) == 0;
    let mut digits = |count: usize| -> String {
        (0..count).map(|_| if all_nines { '9' } else { random.digit(10) }).collect()
    };
    let (whole, fraction) = (digits(whole), digits(fraction));
    let sign = if random.bool() { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { &whole };
    let point = if fraction.is_empty() { "" } else { "." };
    let text = format!("{sign}{whole}{point}{fraction}");
    alike(text.clone(), canon(Form::Number, &text))
}

/// A float of 32 bits.
pub fn single(random: &mut fastrand::Rng) -> Made {
    let borders = [
        0.0,
        -0.0,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        f32::EPSILON,
        0.1,
        16_777_216.0,
        1.0e-45,
    ];
    let number = at_border(random, &borders).unwrap_or_else(|| {
        loop {
            let number = f32::from_bits(random.u32(..));
            if number.is_finite() {
                return number;
            }
        }
    });
    let text = format!("{:e}", f64::from(number));
    Made { postgres: format!("'{text}'"), read: Some(canon(Form::Single, &text)), mysql: text }
}

/// A float of 64 bits.
pub fn float(random: &mut fastrand::Rng) -> Made {
    let borders = [
        0.0,
        -0.0,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        0.1,
        1e15,
        1e16,
        9_007_199_254_740_993.0,
    ];
    let number = at_border(random, &borders).unwrap_or_else(|| finite(random));
    let text = format!("{number:e}");
    Made { postgres: format!("'{text}'"), read: Some(canon(Form::Double, &text)), mysql: text }
}

fn finite(random: &mut fastrand::Rng) -> f64 {
    loop {
        let number = f64::from_bits(random.u64(..));
        if number.is_normal() {
            return number;
        }
    }
}

/// A text, not yet written.
pub struct Words(String);

impl Words {
    /// The text.
    pub fn into_inner(self) -> String {
        self.0
    }

    /// Without blanks at its end, which CHAR does not have.
    pub fn trimmed(self) -> Made {
        Words(self.0.trim_end_matches(' ').to_owned()).into()
    }
}

impl From<Words> for Made {
    fn from(words: Words) -> Made {
        let hex = hex(words.0.as_bytes());
        Made {
            postgres: format!("convert_from('\\x{hex}', 'UTF8')"),
            mysql: format!("CONVERT(X'{hex}' USING utf8mb4)"),
            read: Some(hex),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn letter(random: &mut fastrand::Rng) -> char {
    match random.u8(0..8) {
        0..=3 => char::from(random.u8(0x20..0x7F)),
        4 => *random
            .choice(&['\t', '\n', '\r', '\\', '\'', '"', '\u{1}', '\u{7f}', ' ', '\u{85}'])
            .unwrap_or(&' '),
        5 => *random
            .choice(&['é', 'ß', '€', 'Ω', '\u{301}', '\u{200d}', '\u{feff}', '\u{fffd}'])
            .unwrap_or(&' '),
        6 => {
            *random.choice(&['😀', '𝄞', '\u{10ffff}', '\u{e000}', '한', '\u{5d0}']).unwrap_or(&' ')
        }
        _ => random.char('\u{1}'..='\u{10ffff}'),
    }
}

fn count(random: &mut fastrand::Rng, max: usize) -> usize {
    at_border(random, &[0, 1, max]).unwrap_or_else(|| random.usize(0..=max))
}

/// A text of so many characters at most.
pub fn words(random: &mut fastrand::Rng, chars: usize) -> Words {
    Words((0..count(random, chars)).map(|_| letter(random)).collect())
}

/// The same.
pub fn text_chars(random: &mut fastrand::Rng, chars: usize) -> Made {
    words(random, chars).into()
}

/// A text of so many bytes at most.
pub fn text_bytes(random: &mut fastrand::Rng, bytes: usize) -> Made {
    let mut text = String::new();
    for _ in 0..count(random, bytes) {
        let letter = letter(random);
        if text.len() + letter.len_utf8() <= bytes {
            text.push(letter);
        }
    }
    Words(text).into()
}

/// A text of any length, short as a rule.
pub fn any_text(random: &mut fastrand::Rng) -> Made {
    let chars = if random.u8(0..20) == 0 { 5_000 } else { 60 };
    text_chars(random, chars)
}

/// A text of characters that latin1 has.
pub fn words_of_latin1(random: &mut fastrand::Rng, chars: usize) -> Made {
    let letter = |random: &mut fastrand::Rng| match random.u8(0..3) {
        0 => char::from(random.u8(0xA0..=0xFF)),
        1 => *random
            .choice(&[
                '€', '‚', 'ƒ', '„', '…', '†', '‡', 'Š', '“', '”', '™', 'Ÿ', '\u{81}', '\u{9d}',
            ])
            .unwrap_or(&'€'),
        _ => char::from(random.u8(0x20..0x7F)),
    };
    Words((0..count(random, chars)).map(|_| letter(random)).collect()).into()
}

/// So many bytes at most.
pub fn bytes_up_to(random: &mut fastrand::Rng, max: usize) -> Made {
    let count = count(random, max);
    bytes_of(random, count)
}

/// So many bytes.
pub fn bytes_of(random: &mut fastrand::Rng, count: usize) -> Made {
    let zeros = random.u8(0..6) == 0;
    let bytes: Vec<u8> = (0..count).map(|_| if zeros { 0 } else { random.u8(..) }).collect();
    let hex = hex(&bytes);
    Made { postgres: format!("'\\x{hex}'"), mysql: format!("X'{hex}'"), read: Some(hex) }
}

fn day(random: &mut fastrand::Rng) -> String {
    let borders =
        ["0001-01-01", "9999-12-31", "1582-10-10", "1900-02-28", "2000-02-29", "1969-12-31"];
    if let Some(border) = at_border(random, &borders) {
        return border.to_owned();
    }
    format!("{:04}-{:02}-{:02}", random.u16(1..=9999), random.u8(1..=12), random.u8(1..=28))
}

fn time(random: &mut fastrand::Rng, digits: usize) -> String {
    let at = match random.u8(0..4) {
        0 => "23:59:59.999999".to_owned(),
        1 => "00:00:00.000001".to_owned(),
        _ => {
            let (hour, minute, second) = (random.u8(0..24), random.u8(0..60), random.u8(0..60));
            format!("{hour:02}:{minute:02}:{second:02}.{:06}", random.u32(0..1_000_000))
        }
    };
    let end = if digits == 0 { 8 } else { 9 + digits };
    at[..end].to_owned()
}

/// A date.
pub fn date(random: &mut fastrand::Rng) -> Made {
    let date = day(random);
    alike(format!("'{date}'"), date)
}

/// A time of day, with so many digits of a second.
pub fn clock(random: &mut fastrand::Rng, digits: usize) -> Made {
    let time = if random.u8(0..20) == 0 { "24:00:00".to_owned() } else { time(random, digits) };
    alike(format!("'{time}'"), canon(Form::Clock, &time))
}

/// A date and time; of TIMESTAMP, whose range is small, in UTC.
pub fn moment(random: &mut fastrand::Rng, digits: usize, instant: bool) -> Made {
    let day = match instant {
        false => day(random),
        true => {
            format!("{}-{:02}-{:02}", random.u16(1971..=2037), random.u8(1..=12), random.u8(1..=28))
        }
    };
    let border = at_border(random, &["1970-01-01 00:00:01", "2038-01-19 03:14:07"]);
    let text = match border.filter(|_| instant) {
        Some(border) => border.to_owned(),
        None => format!("{day} {}", time(random, digits)),
    };
    let zone = if instant { "+00" } else { "" };
    let read = canon(Form::Clock, &text);
    Made { postgres: format!("'{text}{zone}'"), mysql: format!("'{text}'"), read: Some(read) }
}

/// A UUID.
pub fn uuid(random: &mut fastrand::Rng) -> Made {
    let number = at_border(random, &[0, u128::MAX]).unwrap_or_else(|| random.u128(..));
    let hex = format!("{number:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    let text = parts.join("-");
    alike(format!("'{text}'"), text)
}

/// A label of the enum.
pub fn enum_label(random: &mut fastrand::Rng) -> Made {
    let label = *random.choice(&["a", "B c", "ä", ""]).unwrap_or(&"a");
    alike(format!("'{label}'"), hex(label.as_bytes()))
}

/// A document.
pub fn json(random: &mut fastrand::Rng) -> Made {
    let text = document(random, 4).to_string();
    let hex = hex(text.as_bytes());
    Made {
        postgres: format!("convert_from('\\x{hex}', 'UTF8')::json"),
        mysql: format!("CONVERT(X'{hex}' USING utf8mb4)"),
        read: Some(canon(Form::Json, &text)),
    }
}

fn document(random: &mut fastrand::Rng, depth: u8) -> serde_json::Value {
    use serde_json::Value;
    match random.u8(0..if depth == 0 { 7 } else { 10 }) {
        0 => Value::Null,
        1 => Value::Bool(random.bool()),
        2 => Value::from(
            at_border(random, &[0, i64::MIN, i64::MAX]).unwrap_or_else(|| random.i64(..)),
        ),
        3 => Value::from(u64::MAX - random.u64(0..3)),
        // Of so few digits that every reader of JSON takes them for the same float.
        4 => Value::from(f64::from(random.i32(..)) * 1e9),
        5 => Value::from(f64::from(random.i32(..)) / 1_000.0),
        6 => Value::from(words(random, 12).0),
        7 => (0..random.u8(0..5)).map(|_| document(random, depth - 1)).collect(),
        _ => {
            let members =
                (0..random.u8(0..5)).map(|_| (words(random, 6).0, document(random, depth - 1)));
            Value::Object(members.collect())
        }
    }
}
