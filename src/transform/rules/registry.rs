//! Every step by name, and how its parameters are read.
//!
//! One table: the configuration's reader, the schema and the messages about unknown steps follow it.
//! Steps that weir does not have are here with what to write instead, and are refused by name.

use super::literal::Literal;
use super::mend;
use super::step::Step;
use super::{
    ciphers, clock, dates, documents, expr, json_set, lookup, numbers, phones, secrets, texts,
    validate, words,
};
use crate::config::suggest::did_you_mean;

/// Largest list of words, values or columns in one step.
pub(super) const ITEMS_MAX: usize = 10_000;

/// A step that may be written.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Its parameters, for people.
    pub doc: &'static str,
    build: fn(&Params<'_>) -> Result<Step, String>,
}

const fn entry(
    name: &'static str,
    doc: &'static str,
    build: fn(&Params<'_>) -> Result<Step, String>,
) -> Entry {
    Entry { name, doc, build }
}

/// Every step.
pub const STEPS: &[Entry] = &[
    entry(
        "parse_date",
        "Text to date: a format (%d/%m/%Y), or { format, two_digit_year_pivot }.",
        dates::parse_date,
    ),
    entry("parse_time", "Text to time: a format (%H:%M), or { format }.", dates::parse_time),
    entry(
        "parse_datetime",
        "Text to timestamp: a format, or { format, two_digit_year_pivot, zone }.",
        dates::parse_datetime,
    ),
    entry("format_date", "Date to text: a format (%d/%m/%Y), or { format }.", dates::format_date),
    entry("format_time", "Time to text: a format (%H:%M:%S), or { format }.", dates::format_time),
    entry(
        "format_datetime",
        "Timestamp to text: a format, or { format, zone }.",
        dates::format_datetime,
    ),
    entry(
        "epoch",
        "Whole number to moment and back: { unit = \"s\", \"ms\", \"us\" or \"ns\" }.",
        clock::epoch,
    ),
    entry(
        "timezone",
        "Wall clock to moment { from = \"Europe/Berlin\" }, moment to wall clock { to }, or both; { ambiguous, nonexistent }.",
        clock::timezone,
    ),
    entry(
        "parse_number",
        "Text to decimal: { thousands, decimal, currency = [], negative = \"minus\" or \"parentheses\" }.",
        numbers::parse_number,
    ),
    entry(
        "round",
        "Rounds decimals and fractions of seconds: { scale, mode = \"half_up\", … }.",
        numbers::round,
    ),
    entry(
        "scale_by_power_of_ten",
        "Moves the decimal point: 2 makes units of cents… of amount × 10^n.",
        numbers::scale,
    ),
    entry("clamp", "Least and greatest value: { min, max }.", numbers::clamp),
    entry("trim", "Cuts blanks: \"both\", \"left\" or \"right\".", texts::trim),
    entry("collapse_whitespace", "Runs of blanks become one: true.", texts::collapse_whitespace),
    entry("case", "\"lower\", \"upper\" or \"title\".", texts::case),
    entry("normalize_unicode", "\"nfc\" or \"nfkc\".", texts::normalize_unicode),
    entry("substring", "Part of a text, in characters: { start, length }.", texts::substring),
    entry("truncate", "The first characters: a number, or { chars }.", texts::truncate),
    entry("pad_left", "Filled up in front: { width, char }.", texts::pad_left),
    entry(
        "split",
        "One part of a text: { separator, index, else = \"reject\" or \"null\" }.",
        texts::split,
    ),
    entry("concat", "Columns put together: { columns, separator, skip_null }.", texts::concat),
    entry("regex_replace", "Every match replaced: { pattern, with }.", texts::regex_replace),
    entry(
        "regex_extract",
        "The first match, or a group of it: { pattern, group }.",
        texts::regex_extract,
    ),
    entry("digits_only", "Digits and nothing else; zeros in front stay: true.", texts::digits_only),
    entry(
        "phone",
        "\"keep_leading_zeros\": blanks, dots, dashes, slashes and parentheses go; { e164 = \"DE\" }: as +4930123456.",
        phones::phone,
    ),
    entry("nul_char", "NUL characters: \"strip\" or \"replace\".", texts::nul_char),
    entry(
        "charset",
        "Bytes to text: { from, invalid = \"reject\" or \"replace\" }, or { fix_mojibake = \"cp1252\" }.",
        texts::charset,
    ),
    entry(
        "map",
        "One value for another: { values = { A = 1 }, else = \"reject\", \"null\", \"passthrough\" or { default } }.",
        words::map,
    ),
    entry(
        "lookup",
        "What a table says: { table = \"schema.table\", key = \"column\", value = \"column\", database, miss = \"reject\", \"null\", \"passthrough\" or { default } }.",
        lookup::lookup,
    ),
    entry(
        "bool_words",
        "Words to boolean: { true = [], false = [], else = \"reject\", \"null\" or a truth, ignore_case }.",
        words::bool_words,
    ),
    entry("default", "A value where there is none: the same as if_null.", words::if_null),
    entry("if_null", "A value where there is none.", words::if_null),
    entry("null_if", "Values that mean NULL: one, a list, or { values, trim }.", words::null_if),
    entry("constant", "A fixed value, whatever the source holds.", words::constant),
    entry(
        "json_path",
        "One scalar of a document: \"$.a.b[0]\", or { path, else = \"reject\" or \"null\" }.",
        documents::json_path,
    ),
    entry(
        "json_set",
        "One scalar put into a document: { path, value }, or { path, column }.",
        json_set::json_set,
    ),
    entry(
        "uuid",
        "16 bytes and text to uuid, and back: { layout = \"plain\" or \"time_swapped\" }.",
        documents::uuid,
    ),
    entry(
        "hash",
        "{ algo = \"sha256\", \"hmac_sha256\" or \"blake3\", key = { env }, encoding = \"hex\" or \"bytes\" }.",
        secrets::hash,
    ),
    entry(
        "encrypt",
        "{ algo = \"aes_256_gcm_siv\" or \"aes_256_siv\", key = { env }, aad = [\"table\", \"column\"], encoding = \"base64\" or \"hex\" }.",
        ciphers::encrypt,
    ),
    entry(
        "decrypt",
        "What `encrypt` made, with the same parameters; as = \"text\" where other steps follow.",
        ciphers::decrypt,
    ),
    entry("mask", "Characters hidden: { keep_first, keep_last, char }.", secrets::mask),
    entry(
        "expr",
        "An expression in CEL over the row: \"row.total > 1000 ? 'gold' : 'basic'\".",
        expr::expr,
    ),
    entry(
        "validate",
        "A check, and what becomes of others: { not_null, not_empty, range, length, regex, one_of, date_between, utf8_clean, unique_in_target, references, check, else }.",
        validate::validate,
    ),
];

/// Steps that weir does not have, and what to do instead.
const ABSENT: &[(&str, &str)] = &[
    ("drop", "to leave a column out, name it in `ignore`"),
    ("rename", "to name a column otherwise, write `in.DATABASE = \"its name there\"`"),
    ("add", "a column that only the target has can be given a default there"),
];

/// Reads one step.
///
/// # Errors
/// What is wrong with it, and a hint.
pub fn build(name: &str, written: &Literal) -> Result<Step, (String, String)> {
    if let Some(entry) = STEPS.iter().find(|entry| entry.name == name) {
        let params = Params { written };
        return match (entry.build)(&params) {
            Ok(step) => Ok(named(step, entry.name, written)),
            Err(message) => Err((format!("`{name}`: {message}"), entry.doc.to_owned())),
        };
    }
    if let Some(setting) = super::settings::setting(name).filter(|setting| setting.step) {
        return match mend::step(setting, &Params { written }) {
            Ok(step) => Ok(named(step, setting.name, written)),
            Err(message) => Err((message, String::new())),
        };
    }
    if let Some((_, hint)) = ABSENT.iter().find(|(absent, _)| *absent == name) {
        return Err((
            format!("step `{name}` is not supported by this version"),
            (*hint).to_owned(),
        ));
    }
    let settings = super::SETTINGS.iter().filter(|setting| setting.step);
    let known: Vec<&str> = STEPS.iter().map(|entry| entry.name).collect();
    let all: Vec<&str> =
        known.iter().copied().chain(settings.map(|setting| setting.name)).collect();
    Err((format!("there is no step `{name}`"), did_you_mean(name, &all)))
}

fn named(step: Step, name: &'static str, written: &Literal) -> Step {
    let text = format!("{{\"{name}\": {}}}", secrets::shown(name, written).json());
    Step { name, text, ..step }
}

/// The parameters of a step.
pub(super) struct Params<'a> {
    pub(super) written: &'a Literal,
}

impl<'a> Params<'a> {
    /// The table of parameters, of which no other than these may be there.
    pub(super) fn table(&self, known: &[&str]) -> Result<Table<'a>, String> {
        let Literal::Table(entries) = self.written else {
            return Err(format!("takes {{ {} }}, not {}", known.join(", "), self.written.kind()));
        };
        let unknown = entries.iter().find(|(name, _)| !known.contains(&name.as_str()));
        match unknown {
            Some((name, _)) => {
                Err(format!("unknown parameter `{name}`; {}", did_you_mean(name, known)))
            }
            None => Ok(Table(entries)),
        }
    }

    /// The same, where one parameter alone may be written without its name.
    pub(super) fn table_or(&self, short: &str, known: &[&str]) -> Result<Table<'a>, String> {
        match self.written {
            Literal::Table(_) => self.table(known),
            _ => Ok(Table(&[])),
        }
        .map_err(|why| format!("{why} (or `{short}` alone)"))
    }

    /// One of these words.
    pub(super) fn word(&self, words: &[&'static str]) -> Result<&'static str, String> {
        word_of(self.written, words)
    }

    /// `true`, which is all that some steps take.
    pub(super) fn is_true(&self) -> Result<(), String> {
        match self.written {
            Literal::Bool(true) => Ok(()),
            _ => Err("takes `true`; leave it out where it is not wanted".to_owned()),
        }
    }
}

fn word_of(literal: &Literal, words: &[&'static str]) -> Result<&'static str, String> {
    let found = match literal {
        Literal::Text(text) => words.iter().find(|word| *word == text),
        _ => None,
    };
    found.copied().ok_or_else(|| format!("is one of \"{}\"", words.join("\", \"")))
}

/// Parameters by name.
#[derive(Clone, Copy)]
pub(super) struct Table<'a>(&'a [(String, Literal)]);

impl<'a> Table<'a> {
    /// A parameter, if it is written.
    pub(super) fn get(&self, name: &str) -> Option<&'a Literal> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, literal)| literal)
    }

    /// A parameter that must be written.
    pub(super) fn need(&self, name: &str) -> Result<&'a Literal, String> {
        self.get(name).ok_or_else(|| format!("`{name}` is missing"))
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Literal::Text(text)) => Ok(Some(text)),
            Some(other) => Err(format!("`{name}` is a string, not {}", other.kind())),
        }
    }

    /// A whole number within bounds.
    pub(super) fn whole(&self, name: &str, min: i64, max: i64) -> Result<Option<i64>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Literal::Int(number)) if (min..=max).contains(number) => Ok(Some(*number)),
            Some(_) => Err(format!("`{name}` is a whole number from {min} to {max}")),
        }
    }

    /// A truth; false where nothing is written.
    pub(super) fn truth(&self, name: &str) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(false),
            Some(Literal::Bool(truth)) => Ok(*truth),
            Some(_) => Err(format!("`{name}` is true or false")),
        }
    }

    /// One of these words; the first where nothing is written.
    pub(super) fn word(&self, name: &str, words: &[&'static str]) -> Result<&'static str, String> {
        match self.get(name) {
            None => words.first().copied().ok_or_else(String::new),
            Some(literal) => word_of(literal, words).map_err(|why| format!("`{name}` {why}")),
        }
    }

    /// A list of texts; empty where nothing is written.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let wrong = || format!("`{name}` is a list of strings");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Literal::List(items)) if items.len() <= ITEMS_MAX => items
                .iter()
                .map(|item| match item {
                    Literal::Text(text) => Ok(text.clone()),
                    _ => Err(wrong()),
                })
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    /// One character.
    pub(super) fn character(&self, name: &str, default: char) -> Result<char, String> {
        let Some(text) = self.text(name)? else { return Ok(default) };
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(format!("`{name}` is one character")),
        }
    }
}
