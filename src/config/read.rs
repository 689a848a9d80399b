//! Reading parsed TOML into the file's shape, noting every problem on the way.
//!
//! serde stops at the first mistake; this reader notes it and goes on, so that one run shows all of
//! them. A value that cannot be used is noted once and then counts as absent. Messages name keys
//! and kinds of values, never the values themselves, since one of them may be a misplaced secret.

use std::ops::Deref;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::later;
use super::problem::{Place, Report};
use super::settings::Rate;
use super::suggest::did_you_mean;
use super::units;

/// A parsed value with its span.
pub(crate) type Node<'d> = Spanned<DeValue<'d>>;

/// A value and where it stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct At<T> {
    pub(crate) place: Place,
    pub(crate) value: T,
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A table with names of the user's choice, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Named<T>(pub(crate) Vec<(At<String>, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named(Vec::new())
    }
}

/// What can be read from the file.
pub(crate) trait Read: Sized {
    /// The value; `None` after a problem was noted.
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self>;
}

/// Reads one file.
pub(crate) struct Reader<'r, 's> {
    pub(crate) report: &'r mut Report<'s>,
    pub(crate) file: usize,
}

impl Reader<'_, '_> {
    /// The place of a span in this file.
    pub(crate) fn place<T>(&self, node: &Spanned<T>) -> Place {
        Place { file: self.file, offset: node.span().start }
    }

    /// Notes that a value is of another kind than expected, without showing it.
    pub(crate) fn mismatch(&mut self, node: &Node<'_>, expected: &str, hint: &str) {
        let message = format!("expected {expected}, found {}", kind_of(node.get_ref()));
        self.report.add(self.place(node), message, hint);
    }

    /// What a string in `node` is by its units; notes where it is none.
    fn written<T>(
        &mut self,
        node: &Node<'_>,
        what: &str,
        hint: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let DeValue::String(text) = node.get_ref() else {
            self.mismatch(node, what, hint);
            return None;
        };
        let read = parse(text);
        if read.is_none() {
            self.report.add(self.place(node), format!("not {what}"), hint);
        }
        read
    }

    /// The table in `node`, which is a section of the file.
    pub(crate) fn table<'n, 'd>(
        &mut self,
        node: &'n Node<'d>,
        section: &str,
    ) -> Option<&'n DeTable<'d>> {
        let hint = match section {
            "password" => {
                "a password never stands in this file: write { env = \"NAME\" }, \
                 { file = \"path\" } or { command = [\"program\"] }"
            }
            "replicate" => "write [[replicate]], in double brackets",
            _ => "",
        };
        match node.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                self.mismatch(node, "a table", hint);
                None
            }
        }
    }

    /// Reads one key of a section, if it is there.
    pub(crate) fn optional<T: Read>(&mut self, table: &DeTable<'_>, key: &str) -> Option<At<T>> {
        let (name, node) = table.get_key_value(key)?;
        let place = match node.get_ref() {
            DeValue::Table(_) => self.place(name),
            _ => self.place(node),
        };
        T::read(node, self).map(|value| At { place, value })
    }

    /// Reads one key of a section and notes if it is missing.
    pub(crate) fn required<T: Read>(
        &mut self,
        section: &Node<'_>,
        table: &DeTable<'_>,
        key: &str,
    ) -> Option<At<T>> {
        if !table.contains_key(key) {
            self.report.add(self.place(section), format!("`{key}` is missing"), "");
        }
        self.optional(table, key)
    }

    /// Notes every key of a section that is not one of `known`.
    pub(crate) fn refuse_other_keys(&mut self, table: &DeTable<'_>, section: &str, known: &[&str]) {
        for (key, _) in table.iter() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let place = self.place(key);
            match later::purpose(section, name) {
                Some(purpose) => self.report.add(
                    place,
                    format!("`{name}` is not supported by this version"),
                    format!("it is for {purpose}: remove it until weir can do that"),
                ),
                None => self.report.add(
                    place,
                    format!("unknown key `{name}`{}", place_in(section)),
                    did_you_mean(name, known),
                ),
            }
        }
    }
}

fn place_in(section: &str) -> String {
    match section {
        "" => String::new(),
        "replicate" => " in [[replicate]]".to_owned(),
        "column" => " of a column".to_owned(),
        "apply" => " in [apply] or [link]".to_owned(),
        _ => format!(" in [{section}]"),
    }
}

/// What a value is, in words.
pub(crate) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl Read for String {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        match node.get_ref() {
            DeValue::String(text) => Some(text.as_ref().to_owned()),
            // `shop.usr = "…"` is a table `shop` with a key `usr`.
            DeValue::Table(_) => {
                reader.mismatch(node, "a string", "a key with a dot is quoted, as in \"a.b\" = …");
                None
            }
            _ => {
                reader.mismatch(node, "a string", "write it in double quotes");
                None
            }
        }
    }
}

impl Read for bool {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        match node.get_ref() {
            DeValue::Boolean(truth) => Some(*truth),
            _ => {
                reader.mismatch(node, "true or false", "write it without quotes");
                None
            }
        }
    }
}

impl Read for u64 {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let number = match node.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => {
                reader.mismatch(node, "a whole number", "");
                return None;
            }
        };
        if number.is_none() {
            reader.report.add(reader.place(node), "the number is negative or too large", "");
        }
        number
    }
}

/// A size in bytes, written with its unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size(pub(crate) usize);

impl Read for Size {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        const HINT: &str = "write a whole number and B, KiB, MiB or GiB, as in \"8MiB\"";
        reader.written(node, "a size", HINT, units::parse_size).map(Size)
    }
}

/// A duration, written with its unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Period(pub(crate) std::time::Duration);

impl Read for Period {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        const HINT: &str = "write a whole number and ms, s, m, h or d, as in \"30s\"";
        reader.written(node, "a duration", HINT, units::parse_duration).map(Period)
    }
}

impl Read for Rate {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        const HINT: &str = "write a whole number, `/` and s, min or h, as in \"100/min\"";
        reader.written(node, "a rate", HINT, units::parse_rate)
    }
}

/// A bound, or the word `off`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OrOff<T> {
    Bound(T),
    Off,
}

impl<T: Read> Read for OrOff<T> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        match node.get_ref() {
            DeValue::String(text) if text == "off" => Some(OrOff::Off),
            _ => T::read(node, reader).map(OrOff::Bound),
        }
    }
}

impl<T: Read> Read for Vec<At<T>> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let DeValue::Array(items) = node.get_ref() else {
            let hint = match node.get_ref() {
                DeValue::Table(_) => "write the header in double brackets, as in [[replicate]]",
                _ => "write it in square brackets, as in [\"one\", \"two\"]",
            };
            reader.mismatch(node, "a list", hint);
            return None;
        };
        let mut read = Vec::new();
        for item in items.iter() {
            let place = reader.place(item);
            read.extend(T::read(item, reader).map(|value| At { place, value }));
        }
        Some(read)
    }
}

impl<T: Read> Read for Named<T> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let table = reader.table(node, "")?;
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut read = Vec::new();
        for (key, node) in entries {
            let name = At { place: reader.place(key), value: key.get_ref().as_ref().to_owned() };
            read.extend(T::read(node, reader).map(|value| (name, value)));
        }
        Some(Named(read))
    }
}
