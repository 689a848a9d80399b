//! Packed values of MySQL's log: decimals, dates and times, binary JSON.
//!
//! What is packed from a text is read as that text; any document that is read is JSON.

use weir::mysql::probe;

use super::{hold, refused};
use crate::{MEMORY, Target};

/// Two bytes say which form and how many digits, the rest is the value; with the highest bit of the first,
/// the rest says which value is to be packed.
pub(super) const DECIMALS_AND_MOMENTS: Target = Target {
    name: "packed",
    seeds: packed_seeds,
    words: &[],
    bytes_max: 64,
    memory: MEMORY,
    run: packed,
};

pub(super) const JSON: Target = Target {
    name: "mysql_json",
    seeds: json_seeds,
    words: &["\0\0", "\u{1}\0", "\u{c}", "\u{f}", "\u{b}", "\u{4}\u{2}"],
    bytes_max: 20_000,
    memory: MEMORY,
    run: json,
};

/// Bytes of the digits that do not fill a group, by their number.
const PART_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

fn packed(input: &[u8]) -> Result<String, String> {
    let Some((&[kind, size], value)) = input.split_first_chunk::<2>() else {
        return Ok(String::new());
    };
    if kind & 0x80 != 0 {
        return match kind & 1 {
            0 => decimal_again(size, value),
            _ => moment_again(size, value),
        };
    }
    let read = match kind & 8 {
        0 => probe::packed_moment(value, kind, size),
        _ => {
            let precision = size % 65 + 1;
            let scale = value.first().map_or(0, |byte| byte % (precision + 1));
            probe::packed_decimal(value.get(1..).unwrap_or_default(), precision, scale)
        }
    };
    Ok(match read {
        Ok(text) => format!("{} {}", kind & 15, text.starts_with('-')),
        Err(error) => refused(&error),
    })
}

/// Packs a decimal as the server does.
fn decimal_again(size: u8, value: &[u8]) -> Result<String, String> {
    let precision = size % 65 + 1;
    let Some((&[sign, scale], digits)) = value.split_first_chunk::<2>() else {
        return Ok("short".to_owned());
    };
    let scale = scale % (precision.min(30) + 1);
    let digit = |at: u8| digits.get(usize::from(at)).map_or(0, |byte| byte % 10);
    let digits: Vec<u8> = (0..precision).map(digit).collect();
    let (whole, fraction) = digits.split_at(usize::from(precision - scale));
    let negative = sign & 1 == 1 && digits.iter().any(|digit| *digit != 0);
    let mut bytes: Vec<u8> = Vec::new();
    let mut group = |digits: &[u8]| {
        let number = digits.iter().fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
        bytes.extend(&number.to_be_bytes()[4 - PART_BYTES[digits.len()]..]);
    };
    let (first, rest) = whole.split_at(whole.len() % 9);
    group(first);
    rest.chunks(9).for_each(&mut group);
    fraction.chunks(9).for_each(&mut group);
    if negative {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
    }
    bytes[0] ^= 0x80;
    let text =
        |digits: &[u8]| digits.iter().map(|digit| char::from(b'0' + digit)).collect::<String>();
    let whole = text(whole);
    let whole = whole.trim_start_matches('0');
    let expected = format!(
        "{}{}{}{}",
        if negative { "-" } else { "" },
        if whole.is_empty() { "0" } else { whole },
        if scale > 0 { "." } else { "" },
        text(fraction)
    );
    let read = probe::packed_decimal(&bytes, precision, scale).map_err(|error| refused(&error))?;
    hold!(read == expected, "DECIMAL({precision},{scale}) {expected} is read as {read}");
    Ok(format!("decimal {negative}"))
}

/// Packs a TIME or a DATETIME as the server does.
fn moment_again(digits: u8, value: &[u8]) -> Result<String, String> {
    let digits = digits % 7;
    let byte = |at: usize| u64::from(value.get(at).copied().unwrap_or_default());
    let unit = 10_u64.pow(6 - u32::from(digits));
    let us = (byte(0) << 16 | byte(1) << 8 | byte(2)) % 1_000_000 / unit * unit;
    let (minute, second) = (byte(3) % 60, byte(4) % 60);
    let fraction = if digits == 0 { String::new() } else { format!(".{us:06}") };
    let fraction = &fraction[..fraction.len().min(usize::from(digits) + 1)];
    let fraction_bytes = usize::from(digits.div_ceil(2));
    let stored = us / 100_u64.pow(3 - fraction_bytes as u32);
    let bits = 8 * fraction_bytes;
    let (packed, bytes, kind, expected) = if byte(5) & 1 == 0 {
        let hour = (byte(5) << 8 | byte(6)) % 839;
        let zero = hour + minute + second + us == 0;
        let negative = byte(7) & 1 == 1 && !zero;
        let magnitude = ((hour << 12 | minute << 6 | second) << bits | stored) as i64;
        let signed = if negative { -magnitude } else { magnitude };
        let packed = signed + (1 << (23 + bits));
        let sign = if negative { "-" } else { "" };
        let text = format!("{sign}{hour:02}:{minute:02}:{second:02}{fraction}");
        (packed as u64, 3 + fraction_bytes, 1, text)
    } else {
        let (year, month, day) = ((byte(6) << 8 | byte(7)) % 10_000, byte(8) % 13, byte(9) % 32);
        let hour = byte(10) % 24;
        let date = (year * 13 + month) << 5 | day;
        let packed = (date << 17 | hour << 12 | minute << 6 | second | 1 << 39) << bits | stored;
        let text =
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}");
        (packed, 5 + fraction_bytes, 2, text)
    };
    let packed = &packed.to_be_bytes()[8 - bytes..];
    let read = probe::packed_moment(packed, kind, digits).map_err(|error| refused(&error))?;
    hold!(read == expected, "{expected} is read as {read}");
    Ok(format!("moment {kind} {digits}"))
}

fn json(input: &[u8]) -> Result<String, String> {
    match probe::binary_json(input) {
        Ok(text) => {
            let parsed: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&text);
            hold!(parsed.is_ok(), "no JSON ({parsed:?}): {text}");
            // Which kinds of values it holds.
            let kinds = input.iter().take(16).filter(|byte| **byte < 16);
            Ok(format!("ok {:?}", kinds.map(|kind| char::from(b'a' + kind)).collect::<String>()))
        }
        Err(error) => Ok(format!("{} {}", refused(&error), input.len().min(64) / 8)),
    }
}

fn packed_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        (0..7).map(|kind| [&[kind, 6], &[0x99_u8; 8][..]].concat()).collect();
    seeds.push([&[8, 20, 10], &[0x80_u8; 12][..]].concat());
    seeds.push([&[0x80, 20, 1, 10], &[9_u8; 20][..]].concat());
    seeds.push([&[0x81, 6], &[7_u8; 11][..]].concat());
    seeds.push([&[0x81, 3], &[8_u8; 11][..]].concat());
    seeds
}

fn json_seeds() -> Vec<Vec<u8>> {
    let opaque = |field: u8, value: &[u8]| [&[15, field, value.len() as u8], value].concat();
    vec![
        vec![],
        vec![4, 1],
        // {"a": [1, "b"], "c": null}
        vec![
            0, 2, 0, 38, 0, 18, 0, 1, 0, 19, 0, 1, 0, 2, 20, 0, 4, 0, 0, b'a', b'c', 2, 0, 18, 0,
            5, 1, 0, 12, 10, 0, 1, b'b', 0, 0, 0, 0, 0, 0,
        ],
        [&[11], &1e16_f64.to_le_bytes()[..]].concat(),
        [&[9], &i64::MIN.to_le_bytes()[..]].concat(),
        [&[12, 3], &b"a\"\x01"[..]].concat(),
        opaque(246, &[5, 2, 0x80, 1, 10]),
        opaque(10, &1_u64.to_le_bytes()),
        opaque(11, &(-1_i64).to_le_bytes()),
        opaque(12, &0x19B1_2345_6789_ABCD_u64.to_le_bytes()),
        opaque(252, &[1, 2, 3, 4]),
        // A large array of one number.
        [&[3, 1, 0, 0, 0, 13, 0, 0, 0, 7], &7_u32.to_le_bytes()[..]].concat(),
    ]
}
