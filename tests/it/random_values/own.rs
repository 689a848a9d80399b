//! Values of types that only one dialect has, made as those of [`super::values`] are.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::canon;
use super::kinds::Form;
use super::values::{Made, clock, date, words};

/// Written at PostgreSQL as a text of the type, at MySQL and MariaDB as what it reads there.
fn alike(text: &str) -> Made {
    let literal = format!("'{text}'");
    Made { postgres: literal.clone(), mysql: literal, read: Some(text.to_owned()) }
}

/// So many bits.
pub fn bits(random: &mut fastrand::Rng, count: usize) -> Made {
    let text: String = (0..count).map(|_| random.digit(2)).collect();
    let literal = format!("b'{text}'");
    Made { postgres: literal.clone(), mysql: literal, read: Some(text) }
}

/// So many bits at most, as text.
pub fn any_bits(random: &mut fastrand::Rng, max: usize) -> Made {
    let count = random.usize(0..=max);
    alike(&(0..count).map(|_| random.digit(2)).collect::<String>())
}

/// An address, or one in its network.
pub fn inet(random: &mut fastrand::Rng) -> Made {
    let address = match random.bool() {
        true => Ipv4Addr::from(random.u32(..)).to_string(),
        false => Ipv6Addr::from(random.u128(..) | 1 << 125).to_string(),
    };
    let mask = if random.bool() { format!("/{}", random.u8(0..32)) } else { String::new() };
    alike(&format!("{address}{mask}"))
}

/// A network.
pub fn cidr(random: &mut fastrand::Rng) -> Made {
    let bits = random.u32(1..=32);
    let network = Ipv4Addr::from(random.u32(..) >> (32 - bits) << (32 - bits));
    alike(&format!("{network}/{bits}"))
}

/// A hardware address of so many bytes.
pub fn mac(random: &mut fastrand::Rng, bytes: usize) -> Made {
    let bytes: Vec<String> = (0..bytes).map(|_| format!("{:02x}", random.u8(..))).collect();
    alike(&bytes.join(":"))
}

/// A place in the log.
pub fn lsn(random: &mut fastrand::Rng) -> Made {
    alike(&format!("{:X}/{:X}", random.u32(..), random.u32(..)))
}

/// A time with its zone.
pub fn time_of_zone(random: &mut fastrand::Rng) -> Made {
    let time = clock(random, 6).read.unwrap_or_default();
    let zone = *random.choice(&["+00", "+02", "-03:30", "+14", "-11"]).unwrap_or(&"+00");
    alike(&format!("{time}{zone}"))
}

/// A span of time as ISO 8601 writes it.
pub fn interval(random: &mut fastrand::Rng) -> Made {
    let mut part = |max: u32, unit: &str| match random.bool() {
        true => format!("{}{unit}", random.u32(1..max)),
        false => String::new(),
    };
    let days = [part(90, "Y"), part(12, "M"), part(900, "D")].concat();
    let clock = [part(900, "H"), part(60, "M"), part(60, "S")].concat();
    let clock = if clock.is_empty() { clock } else { format!("T{clock}") };
    let text = format!("P{days}{clock}");
    alike(if text == "P" { "PT0S" } else { &text })
}

/// A range of integers.
pub fn range(random: &mut fastrand::Rng) -> Made {
    let low = random.i32(-1000..1000);
    let high = low + random.i32(1..1000);
    let texts = [format!("[{low},{high})"), format!("(,{high})"), format!("[{low},)")];
    let text = random.choice(&texts).map_or("empty", String::as_str);
    alike(if random.u8(0..8) == 0 { "empty" } else { text })
}

/// Ranges of integers.
pub fn ranges(random: &mut fastrand::Rng) -> Made {
    let mut at = random.i32(-1000..1000);
    let mut range = |_| {
        let low = at + random.i32(1..50);
        at = low + random.i32(1..50);
        format!("[{low},{at})")
    };
    let ranges: Vec<String> = (0..3).map(&mut range).collect();
    alike(&format!("{{{}}}", ranges.join(",")))
}

/// A range of days.
pub fn days(random: &mut fastrand::Rng) -> Made {
    let mut days = [date(random), date(random)].map(|day| day.read.unwrap_or_default());
    days.sort();
    let [low, high] = days;
    alike(&if low == high { "empty".to_owned() } else { format!("[{low},{high})") })
}

/// An amount of money.
pub fn money(random: &mut fastrand::Rng) -> Made {
    let cents = random.i64(-9_000_000_000_000..9_000_000_000_000);
    let sign = if cents < 0 { "-" } else { "" };
    alike(&format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100))
}

/// A point.
pub fn point(random: &mut fastrand::Rng) -> Made {
    let [x, y] = [(); 2].map(|()| f64::from(random.i16(..)) / 4.0);
    Made {
        postgres: format!("'({x},{y})'"),
        mysql: format!("POINT({x}, {y})"),
        read: Some(format!("{x} {y}")),
    }
}

/// Labels of a set, in their order.
pub fn labels(random: &mut fastrand::Rng) -> Made {
    let chosen = ["a", "B c", "ä"].into_iter().filter(|_| random.bool());
    alike(&chosen.collect::<Vec<_>>().join(","))
}

/// A letter.
pub fn letter(random: &mut fastrand::Rng) -> Made {
    alike(&random.alphanumeric().to_string())
}

/// An array of integers, and of NULL.
pub fn integers(random: &mut fastrand::Rng) -> Made {
    let mut element = |_| match random.u8(0..6) {
        0 => "null".to_owned(),
        1 => i32::MIN.to_string(),
        _ => random.i32(..).to_string(),
    };
    let elements: Vec<String> = (0..5).map(&mut element).collect();
    let elements = elements[..random.usize(0..=5)].join(", ");
    Made {
        postgres: format!("'{{{elements}}}'"),
        mysql: format!("'[{elements}]'"),
        read: Some(canon(Form::Array, &format!("[{elements}]"))),
    }
}

/// An array of texts.
pub fn texts(random: &mut fastrand::Rng) -> Made {
    let count = random.usize(0..5);
    let all: Vec<serde_json::Value> =
        (0..count).map(|_| serde_json::Value::from(words(random, 9).into_inner())).collect();
    let document = serde_json::Value::from(all).to_string();
    let hex: String = document.bytes().map(|byte| format!("{byte:02x}")).collect();
    Made {
        postgres: format!(
            "(SELECT coalesce(array_agg(e ORDER BY n), '{{}}') FROM json_array_elements_text(\
             convert_from('\\x{hex}', 'UTF8')::json) WITH ORDINALITY AS a(e, n))"
        ),
        mysql: format!("CONVERT(X'{hex}' USING utf8mb4)"),
        read: Some(canon(Form::Array, &document)),
    }
}
