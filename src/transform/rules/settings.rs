//! The settings of `[conversion]`: what becomes of values that a target cannot hold, and which types
//! stand for each other. Read in layers; the nearer one decides.

use std::collections::BTreeMap;

/// One setting: its words, whether a value may stand there instead, and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// The words it takes; the first is what holds where nothing is written.
    pub words: &'static [&'static str],
    /// Whether any other text is a value that is written instead.
    pub value: bool,
    /// Whether it may stand as a step of a column.
    pub step: bool,
    /// What it is for.
    pub doc: &'static str,
}

const fn mends(
    name: &'static str,
    words: &'static [&'static str],
    value: bool,
    doc: &'static str,
) -> Setting {
    Setting { name, words, value, step: true, doc }
}

const fn types(name: &'static str, words: &'static [&'static str], doc: &'static str) -> Setting {
    Setting { name, words, value: false, step: false, doc }
}

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    mends("zero_date", &["reject", "null"], true, "Dates 0000-00-00."),
    mends("partial_date", &["reject", "null", "first"], true, "Dates without month or day."),
    mends("infinity", &["reject", "null", "clamp"], true, "Infinite dates and times."),
    mends("non_finite", &["reject", "null"], true, "NaN and infinite numbers."),
    mends("nul_char", &["reject", "strip", "replace"], false, "NUL characters in text."),
    mends("too_long", &["reject", "truncate", "null"], false, "Text and bytes that are too long."),
    mends(
        "out_of_range",
        &["reject", "clamp", "null"],
        false,
        "Values outside the target's range.",
    ),
    mends("enum_invalid", &["reject", "null"], true, "MySQL's invalid enum value, the empty one."),
    mends("json_duplicate_keys", &["reject", "last", "first"], false, "A name twice in an object."),
    mends("array_bounds", &["reject", "drop"], false, "Arrays whose first index is not 1."),
    types("tinyint1", &["boolean", "smallint"], "What `weir ddl` makes of TINYINT(1)."),
    types(
        "timestamptz_as",
        &["datetime", "timestamp"],
        "What `weir ddl` makes of timestamptz: DATETIME in UTC, or TIMESTAMP, which ends in 2038.",
    ),
    types("time_as", &["time", "interval"], "What `weir ddl` makes of TIME."),
    types(
        "numeric_unconstrained",
        &["decimal", "text"],
        "numeric without limits: DECIMAL(65,30), or text with every digit.",
    ),
    types("json_as", &["json", "text"], "json and jsonb: JSON, or their text."),
    types("zerofill", &["number", "text"], "ZEROFILL: a number, or text with its zeros."),
    types(
        "naming",
        &["keep", "lower", "snake"],
        "What tables and columns are called at the target that the configuration does not name: as they are, in lower case, or customerID as customer_id.",
    ),
];

/// What a setting says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// One of its words.
    Word(&'static str),
    /// A value that is written instead.
    Value(String),
}

impl Choice {
    /// As it is written.
    pub fn text(&self) -> &str {
        match self {
            Choice::Word(word) => word,
            Choice::Value(text) => text,
        }
    }

    /// Whether nothing is mended.
    pub fn is_reject(&self) -> bool {
        *self == Choice::Word("reject")
    }
}

/// Settings of one layer, or of all layers together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(pub BTreeMap<&'static str, Choice>);

impl Settings {
    /// These settings where `nearer` says nothing.
    #[must_use]
    pub fn under(&self, nearer: &Settings) -> Settings {
        let mut all = self.clone();
        all.0.extend(nearer.0.iter().map(|(name, choice)| (*name, choice.clone())));
        all
    }

    /// Whether one says this word.
    pub fn says(&self, name: &str, word: &str) -> bool {
        matches!(self.get(name), Some(Choice::Word(said)) if *said == word)
    }

    /// What one says.
    pub fn get(&self, name: &str) -> Option<&Choice> {
        self.0.get(name)
    }
}

/// The setting called `name`.
pub fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// What `text` says for a setting.
///
/// # Errors
/// Where it is none of its words and no value may stand there.
pub fn choice(setting: &Setting, text: &str) -> Result<Choice, String> {
    match setting.words.iter().find(|word| **word == text) {
        Some(word) => Ok(Choice::Word(word)),
        None if setting.value && text.starts_with(|first: char| !first.is_ascii_alphabetic()) => {
            Ok(Choice::Value(text.to_owned()))
        }
        None if setting.value && setting.name == "enum_invalid" => {
            Ok(Choice::Value(text.to_owned()))
        }
        None => {
            let words = setting.words.join("\", \"");
            let or = if setting.value { ", or a value to write instead" } else { "" };
            Err(format!("`{}` is \"{words}\"{or}", setting.name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a default of all tables won over what is written for one column, or a typo were taken
    /// for a value.
    #[test]
    fn the_nearer_setting_decides() {
        let layer = |name, word| Settings(BTreeMap::from([(name, Choice::Word(word))]));
        let both = layer("zero_date", "null").under(&layer("zero_date", "reject"));
        assert!(both.get("zero_date").unwrap().is_reject());
        let zero = setting("zero_date").unwrap();
        assert!(choice(zero, "nul").is_err());
        assert_eq!(choice(zero, "1970-01-01"), Ok(Choice::Value("1970-01-01".to_owned())));
        assert_eq!(choice(zero, "null"), Ok(Choice::Word("null")));
        assert!(choice(setting("too_long").unwrap(), "12").is_err());
        assert!(layer("json_as", "text").says("json_as", "text"));
        assert!(!both.says("json_as", "json"), "what is not written says nothing");
    }
}
