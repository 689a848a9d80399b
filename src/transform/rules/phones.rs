//! The step `phone`: numbers as they are written, or in the international form of E.164 (`+4930123456`).
//!
//! Nothing is guessed. A number of a country is taken where it has what the country dials in front of numbers
//! at home (`trunk`), or where the country dials nothing there, and as many digits as it has. An
//! international one is taken with `+`, or with what the country dials for abroad. Anything else is
//! rejected. Not here: whether anybody has the number.

use super::literal::Literal;
use super::registry::Params;
use super::step::Step;
use super::texts::never_a_number;
use crate::transform::Reason;

/// Digits of a number in E.164, its country's code included.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// How a country writes its numbers.
struct Country {
    /// ISO 3166.
    name: &'static str,
    code: &'static str,
    trunk: Trunk,
    /// What is dialled for abroad; some have several things, of which none is told from a number for sure.
    abroad: &'static [&'static str],
    /// Fewest and most digits of a number without code and trunk.
    digits: (usize, usize),
}

/// What is dialled in front of a number at home.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trunk {
    /// Nothing: numbers are whole.
    None,
    /// This; a number without it lacks its area.
    Needed(&'static str),
    /// This, or nothing.
    Maybe(&'static str),
}

use Trunk::{Maybe, Needed, None as Whole};

const ZEROS: &[&str] = &["00"];

const fn country(
    name: &'static str,
    code: &'static str,
    trunk: Trunk,
    abroad: &'static [&'static str],
    digits: (usize, usize),
) -> Country {
    Country { name, code, trunk, abroad, digits }
}

/// The countries that are known, by name. Codes, and what is dialled in front at home, are those of libphonenumber
/// 9.0.33, but for the 0 of Liechtenstein, which is long gone; the numbers of digits are narrower, since what has other
/// lengths (short numbers, machines among themselves) is no number to be called by.
const COUNTRIES: &[Country] = &[
    country("AE", "971", Needed("0"), ZEROS, (8, 9)),
    country("AL", "355", Needed("0"), ZEROS, (8, 9)),
    country("AT", "43", Needed("0"), ZEROS, (4, 13)),
    country("AU", "61", Needed("0"), &["0011"], (9, 9)),
    country("BA", "387", Needed("0"), ZEROS, (8, 9)),
    country("BE", "32", Needed("0"), ZEROS, (8, 9)),
    country("BG", "359", Needed("0"), ZEROS, (7, 9)),
    country("BR", "55", Maybe("0"), &[], (10, 11)),
    country("CA", "1", Maybe("1"), &["011", "00"], (10, 10)),
    country("CH", "41", Needed("0"), ZEROS, (9, 9)),
    country("CY", "357", Whole, ZEROS, (8, 8)),
    country("CZ", "420", Whole, ZEROS, (9, 9)),
    country("DE", "49", Needed("0"), ZEROS, (4, 13)),
    country("DK", "45", Whole, ZEROS, (8, 8)),
    country("EE", "372", Whole, ZEROS, (7, 8)),
    country("EG", "20", Needed("0"), ZEROS, (8, 10)),
    country("ES", "34", Whole, ZEROS, (9, 9)),
    country("FI", "358", Needed("0"), ZEROS, (5, 12)),
    country("FR", "33", Needed("0"), ZEROS, (9, 9)),
    country("GB", "44", Needed("0"), ZEROS, (7, 10)),
    country("GH", "233", Needed("0"), ZEROS, (9, 9)),
    country("GR", "30", Whole, ZEROS, (10, 10)),
    country("HK", "852", Whole, &[], (8, 8)),
    country("HR", "385", Needed("0"), ZEROS, (8, 9)),
    country("HU", "36", Needed("06"), ZEROS, (8, 9)),
    country("IE", "353", Needed("0"), ZEROS, (7, 9)),
    country("IL", "972", Needed("0"), ZEROS, (8, 9)),
    country("IN", "91", Maybe("0"), ZEROS, (10, 10)),
    country("IS", "354", Whole, ZEROS, (7, 7)),
    // The 0 of an Italian number is a part of it.
    country("IT", "39", Whole, ZEROS, (6, 11)),
    country("JP", "81", Needed("0"), &["010"], (9, 10)),
    country("KR", "82", Needed("0"), &[], (8, 10)),
    country("LI", "423", Whole, ZEROS, (7, 7)),
    country("LU", "352", Whole, ZEROS, (4, 11)),
    country("LV", "371", Whole, ZEROS, (8, 8)),
    country("MA", "212", Needed("0"), ZEROS, (9, 9)),
    country("ME", "382", Needed("0"), ZEROS, (8, 8)),
    country("MK", "389", Needed("0"), ZEROS, (8, 8)),
    country("MT", "356", Whole, ZEROS, (8, 8)),
    country("MX", "52", Whole, ZEROS, (10, 10)),
    country("MY", "60", Needed("0"), ZEROS, (8, 10)),
    country("NL", "31", Needed("0"), ZEROS, (7, 11)),
    country("NO", "47", Whole, ZEROS, (8, 8)),
    country("NZ", "64", Needed("0"), ZEROS, (8, 10)),
    country("PH", "63", Needed("0"), ZEROS, (8, 10)),
    country("PK", "92", Needed("0"), ZEROS, (9, 10)),
    country("PL", "48", Whole, ZEROS, (9, 9)),
    country("PT", "351", Whole, ZEROS, (9, 9)),
    country("RO", "40", Needed("0"), ZEROS, (9, 9)),
    country("RS", "381", Needed("0"), ZEROS, (8, 9)),
    country("RU", "7", Needed("8"), &["810"], (10, 10)),
    country("SA", "966", Needed("0"), ZEROS, (8, 9)),
    country("SE", "46", Needed("0"), ZEROS, (7, 10)),
    country("SG", "65", Whole, &[], (8, 8)),
    country("SI", "386", Needed("0"), ZEROS, (8, 8)),
    country("SK", "421", Needed("0"), ZEROS, (9, 9)),
    country("TH", "66", Needed("0"), &[], (8, 9)),
    country("TN", "216", Whole, ZEROS, (8, 8)),
    country("TR", "90", Needed("0"), ZEROS, (10, 10)),
    country("TW", "886", Needed("0"), &[], (8, 9)),
    country("UA", "380", Needed("0"), ZEROS, (9, 9)),
    country("US", "1", Maybe("1"), &["011", "00"], (10, 10)),
    country("VN", "84", Needed("0"), ZEROS, (9, 10)),
    country("ZA", "27", Needed("0"), ZEROS, (9, 9)),
];

pub(super) fn phone(params: &Params<'_>) -> Result<Step, String> {
    if let Literal::Table(_) = params.written {
        let table = params.table(&["e164"])?;
        let name = table.text("e164")?.ok_or("`e164` is missing")?;
        let country = COUNTRIES.iter().find(|country| country.name == name);
        let country = country.ok_or_else(|| {
            let known: Vec<&str> = COUNTRIES.iter().map(|country| country.name).collect();
            format!(
                "weir does not know how numbers of \"{name}\" are written; it knows {}",
                known.join(", ")
            )
        })?;
        return Ok(never_a_number(|text| international(text, country).ok_or(Reason::Parse)));
    }
    params.word(&["keep_leading_zeros"])?;
    Ok(never_a_number(|text| Ok(text.chars().filter(|character| !is_drawn(*character)).collect())))
}

/// What people put between the digits.
fn is_drawn(character: char) -> bool {
    character.is_whitespace() || matches!(character, '.' | '-' | '/' | '(' | ')')
}

/// The text without it, and without the dashes of typesetters.
fn tidied(text: &str) -> String {
    let is_dash = |character| matches!(character, '\u{2010}'..='\u{2015}');
    text.chars().filter(|character| !is_drawn(*character) && !is_dash(*character)).collect()
}

/// A number in the form of E.164, if it is one for sure.
fn international(text: &str, home: &Country) -> Option<String> {
    let tidy = tidied(text);
    let digits = match (foreign(&tidy, home), text.split_once("(0)")) {
        (None, _) => at_home(&tidy, home)?,
        (Some(digits), None) => digits.to_owned(),
        // +49 (0)30: in brackets is what is dialled at home only.
        (Some(_), Some((code, rest))) => {
            let code = tidied(code);
            let code = foreign(&code, home)?;
            let zero = |country: &Country| country.code == code && country.trunk.is("0");
            COUNTRIES.iter().any(zero).then(|| format!("{code}{}", tidied(rest)))?
        }
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    // No number of such a country begins with what is dialled in front of it.
    let is_odd = COUNTRIES.iter().any(|country| {
        let rest = digits.strip_prefix(country.code);
        country.trunk.begins_with_zero() && rest.is_some_and(|rest| rest.starts_with('0'))
    });
    (plain && !is_odd && DIGITS.contains(&digits.len())).then(|| format!("+{digits}"))
}

/// What follows `+`, or what is dialled for abroad.
fn foreign<'a>(tidy: &'a str, home: &Country) -> Option<&'a str> {
    let dialled = || home.abroad.iter().find_map(|prefix| tidy.strip_prefix(prefix));
    tidy.strip_prefix('+').or_else(dialled)
}

/// A number as it is dialled at home, with its country's code.
fn at_home(tidy: &str, home: &Country) -> Option<String> {
    let number = match home.trunk {
        Whole => tidy,
        Needed(trunk) => tidy.strip_prefix(trunk)?,
        Maybe(trunk) => tidy.strip_prefix(trunk).unwrap_or(tidy),
    };
    let (least, most) = home.digits;
    let bytes = number.as_bytes();
    // In North America neither the area nor the exchange begins with 0 or 1.
    let areas = [0, 3].iter().all(|at| bytes.get(*at).is_some_and(|digit| *digit >= b'2'));
    let begins = home.name == "IT" || !number.starts_with('0');
    let fits = (least..=most).contains(&bytes.len()) && (home.code != "1" || areas);
    (begins && fits && bytes.iter().all(u8::is_ascii_digit))
        .then(|| format!("{}{number}", home.code))
}

impl Trunk {
    fn is(self, digits: &str) -> bool {
        matches!(self, Needed(trunk) | Maybe(trunk) if trunk == digits)
    }

    fn begins_with_zero(self) -> bool {
        matches!(self, Needed(trunk) | Maybe(trunk) if trunk.starts_with('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(home: &str, text: &str) -> Option<String> {
        let home = COUNTRIES.iter().find(|country| country.name == home).expect("a country");
        international(text, home)
    }

    /// Broken if a number became another one.
    #[test]
    fn numbers_get_their_countrys_code() {
        for (home, text, expected) in [
            ("DE", "030 / 123-45.6", "+4930123456"),
            ("DE", "(0)30 123456", "+4930123456"),
            ("DE", "+49 (0)30 123456", "+4930123456"),
            ("DE", "0049 30 123456", "+4930123456"),
            ("DE", "+43 1 5880", "+4315880"),
            ("DE", "+1\u{2013}212\u{2013}555\u{2013}0100", "+12125550100"),
            ("AT", "01 58858", "+43158858"),
            ("US", "(212) 555-0100", "+12125550100"),
            ("US", "1 212 555 0100", "+12125550100"),
            ("US", "011 49 30 123456", "+4930123456"),
            ("GB", "020 7946 0000", "+442079460000"),
            ("FR", "01 23 45 67 89", "+33123456789"),
            ("IT", "06 1234 5678", "+390612345678"),
            ("IT", "+39 06 1234 5678", "+390612345678"),
            ("ES", "612 34 56 78", "+34612345678"),
            ("HU", "06 1 234 5678", "+3612345678"),
            ("RU", "8 (800) 555-35-35", "+78005553535"),
            ("RU", "8 10 49 30 123456", "+4930123456"),
            ("AU", "0011 49 30 123456", "+4930123456"),
            ("BR", "(11) 91234-5678", "+5511912345678"),
        ] {
            assert_eq!(of(home, text).as_deref(), Some(expected), "{home} {text}");
        }
    }

    /// Broken if weir made up a number where the text leaves it open.
    #[test]
    fn what_is_not_sure_is_no_number() {
        for (home, text) in [
            ("DE", ""),
            ("DE", "+"),
            ("DE", "123456"),
            ("DE", "49 30 123456"),
            ("DE", "+49 030 123456"),
            ("DE", "030 123456 ext. 7"),
            ("DE", "030 12+3456"),
            ("DE", "++49 30 123456"),
            ("DE", "+49 (0)(0)30 123"),
            ("DE", "0123"),
            ("DE", "+0049301234"),
            ("DE", "+39 (0)6 12345678"),
            ("DE", "+4930123456789012"),
            ("DE", "０３０１２３４５６"),
            ("ES", "34 612 34 56 78"),
            ("US", "555-0100"),
            ("US", "112 555 0100"),
            ("US", "212 155 0100"),
            ("AU", "00 49 30 123456"),
            ("JP", "0033 010 49 30 123456"),
            ("FR", "123456789"),
        ] {
            assert_eq!(of(home, text), None, "{home} {text}");
        }
    }

    /// Broken if a country were there twice, or its numbers could never fit.
    #[test]
    fn the_table_is_sound() {
        assert!(COUNTRIES.is_sorted_by(|one, next| one.name < next.name));
        for country in COUNTRIES {
            let (least, most) = country.digits;
            assert!(least <= most && country.code.len() + most <= 15, "{}", country.name);
            assert!(country.code.bytes().all(|byte| byte.is_ascii_digit()), "{}", country.name);
        }
    }
}
