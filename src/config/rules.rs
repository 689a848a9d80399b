//! Reading the rules of columns: `to.DATABASE = [ … ]` and `[conversion]`.
//!
//! What a step is and takes is known in `transform::rules`; here a step is brought into its shape, each
//! mistake with its place. The key of a hash or a cipher is read here, so that the rules know no environment.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt as _;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::ExposeSecret as _;
use toml::de::DeValue;

use super::later;
use super::read::{Node, Read, Reader};
use super::secret::refuse_open;
use super::settings::Secret;
use super::suggest::did_you_mean;
use crate::transform::rules::{
    self, KEY_BYTES, Literal, SETTINGS, STEPS, Settings, Step, hexed, settings,
};

/// Steps of one list at most.
const STEPS_MAX: usize = 100;
/// Largest key, in bytes.
const KEY_MAX: u64 = 64 * 1024;

/// The steps of a column towards one database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps(pub(crate) Vec<Step>);

impl Read for Steps {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        const HINT: &str =
            "write a list of steps, as in [{ trim = \"both\" }, { case = \"lower\" }]";
        let DeValue::Array(items) = node.get_ref() else {
            reader.mismatch(node, "a list", HINT);
            return None;
        };
        if items.len() > STEPS_MAX {
            let message = format!("more than {STEPS_MAX} steps");
            reader.report.add(reader.place(node), message, "");
        }
        let mut steps = Vec::new();
        for item in items.iter() {
            steps.extend(step(item, reader));
        }
        Some(Steps(steps))
    }
}

fn step(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Step> {
    let table = reader.table(node, "a step")?;
    let mut entries = table.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else {
        let message = format!("a step has one key, and this has {}", table.len());
        reader.report.add(reader.place(node), message, "write each step in braces of its own");
        return None;
    };
    let name = key.get_ref().as_ref();
    let mut literal = literal(value, reader)?;
    if matches!(name, "hash" | "encrypt" | "decrypt") {
        read_key(&mut literal, value, reader)?;
    }
    match rules::build(name, &literal) {
        Ok(step) => {
            let at = reader.report.at(reader.place(node));
            Some(step.standing_at(at))
        }
        Err((message, hint)) => {
            reader.report.add(reader.place(key), message, hint);
            None
        }
    }
}

fn literal(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Literal> {
    match node.get_ref() {
        DeValue::String(text) => Some(Literal::Text(text.as_ref().to_owned())),
        DeValue::Boolean(truth) => Some(Literal::Bool(*truth)),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix()).ok();
            if read.is_none() {
                reader.report.add(reader.place(node), "the number is too large", "");
            }
            read.map(Literal::Int)
        }
        DeValue::Float(number) => {
            let digits = number.as_str();
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
            if !plain {
                let hint = "write it in plain digits, as in 0.001";
                reader.report.add(reader.place(node), "not a plain number", hint);
            }
            plain.then(|| Literal::Number(digits.to_owned()))
        }
        DeValue::Datetime(_) => {
            reader.mismatch(node, "a string", "write dates in quotes, as in \"2024-12-31\"");
            None
        }
        DeValue::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| literal(item, reader)).collect();
            items.into_iter().collect::<Option<_>>().map(Literal::List)
        }
        DeValue::Table(table) => {
            let mut entries: Vec<_> = table.iter().collect();
            entries.sort_by_key(|(key, _)| key.span().start);
            let read = |(key, node): (&toml::Spanned<_>, _)| {
                let key: &Cow<'_, str> = key.get_ref();
                Some((key.as_ref().to_owned(), literal(node, reader)?))
            };
            let entries: Vec<_> = entries.into_iter().map(read).collect();
            entries.into_iter().collect::<Option<_>>().map(Literal::Table)
        }
    }
}

/// Puts the bytes of a step's key behind its parameters; notes where they cannot be had.
fn read_key(literal: &mut Literal, node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<()> {
    let Literal::Table(entries) = literal else { return Some(()) };
    let Some((_, key)) = entries.iter().find(|(name, _)| name == "key") else { return Some(()) };
    const HINT: &str = "a key never stands in this file: write { env = \"NAME\" }, { file = \"/path\" } or { command = [\"program\", …] }";
    let found = match key {
        Literal::Table(source) => match source.as_slice() {
            [(kind, Literal::Text(name))] if kind == "env" => std::env::var_os(name)
                .map(|value| value.as_bytes().to_vec())
                .ok_or_else(|| format!("environment variable `{name}` of the key is not set")),
            [(kind, Literal::Text(path))] if kind == "file" && path.starts_with('/') => {
                key_file(path).map_err(|why| format!("file `{path}` of the key: {why}"))
            }
            [(kind, Literal::List(words))] if kind == "command" => key_command(words),
            _ => Err("`key` names no source".to_owned()),
        },
        _ => Err("`key` is no source".to_owned()),
    };
    match found {
        Ok(bytes) if !bytes.is_empty() => {
            entries.push((KEY_BYTES.to_owned(), Literal::Text(hexed(&bytes))));
            Some(())
        }
        Ok(_) => {
            reader.report.add(reader.place(node), "the key is empty", HINT);
            None
        }
        Err(message) => {
            reader.report.add(reader.place(node), message, HINT);
            None
        }
    }
}

/// What a command prints, which is a key. It is waited for: the configuration is not read before.
fn key_command(words: &[Literal]) -> Result<Vec<u8>, String> {
    let word = |word: &Literal| match word {
        Literal::Text(word) => Some(word.clone()),
        _ => None,
    };
    let words: Option<Vec<String>> = words.iter().map(word).collect();
    let words = words.filter(|words| !words.is_empty());
    let secret = Secret::Command(words.ok_or("`command` is a list of strings")?);
    // A thread of its own: where this is called from may be a runtime already, or none.
    let reading = std::thread::spawn(move || -> Result<Vec<u8>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| cause.to_string())?;
        let key = runtime.block_on(secret.read_as("the key"));
        key.map(|key| key.expose_secret().as_bytes().to_vec()).map_err(|error| error.chain())
    });
    reading.join().unwrap_or_else(|_| Err("the key could not be read".to_owned()))
}

fn key_file(path: &str) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|cause| cause.to_string())?;
    let metadata = file.metadata().map_err(|cause| cause.to_string())?;
    refuse_open(path.as_ref(), &metadata).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(KEY_MAX + 1).read_to_end(&mut bytes).map_err(|cause| cause.to_string())?;
    if bytes.len() as u64 > KEY_MAX {
        return Err(format!("it holds more than {KEY_MAX} bytes"));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(bytes)
}

/// `[conversion]`, of all tables, one table or one column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conversion(pub(crate) Settings);

impl Read for Conversion {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let table = reader.table(node, "conversion")?;
        let mut read = Settings::default();
        for (key, node) in table.iter() {
            let name = key.get_ref().as_ref();
            let place = reader.place(key);
            let Some(setting) = settings::setting(name) else {
                let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
                match later::purpose("conversion", name) {
                    Some(purpose) => reader.report.add(
                        place,
                        format!("`{name}` is not supported by this version"),
                        format!("it is for {purpose}: remove it until weir can do that"),
                    ),
                    None => reader.report.add(
                        place,
                        format!("unknown key `{name}` in [conversion]"),
                        did_you_mean(name, &known),
                    ),
                }
                continue;
            };
            let text = match literal(node, reader)? {
                Literal::Text(text) => text,
                number @ (Literal::Int(_) | Literal::Number(_)) if setting.value => number.json(),
                other => {
                    let message = format!("expected a string, found {}", other.kind());
                    reader.report.add(reader.place(node), message, setting.doc);
                    continue;
                }
            };
            match settings::choice(setting, &text) {
                Ok(choice) => {
                    read.0.insert(setting.name, choice);
                }
                Err(message) => reader.report.add(reader.place(node), message, setting.doc),
            }
        }
        Some(Conversion(read))
    }
}

impl JsonSchema for Steps {
    fn schema_name() -> Cow<'static, str> {
        "Steps".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut properties = serde_json::Map::new();
        for step in STEPS {
            let any = serde_json::json!({ "description": step.doc });
            properties.insert(step.name.to_owned(), any);
        }
        for setting in SETTINGS.iter().filter(|setting| setting.step) {
            let entry = properties.entry(setting.name);
            entry.or_insert_with(|| words(setting));
        }
        json_schema!({
            "description": "Steps, in their order; each has one key.",
            "type": "array",
            "maxItems": STEPS_MAX,
            "items": {
                "type": "object",
                "properties": properties,
                "additionalProperties": false,
                "minProperties": 1,
                "maxProperties": 1,
            },
        })
    }
}

impl JsonSchema for Conversion {
    fn schema_name() -> Cow<'static, str> {
        "Conversion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let properties: serde_json::Map<_, _> =
            SETTINGS.iter().map(|setting| (setting.name.to_owned(), words(setting))).collect();
        json_schema!({
            "description": "What becomes of values that a target cannot hold, and which types stand for others; the first word of each holds where nothing is written.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

fn words(setting: &settings::Setting) -> serde_json::Value {
    match setting.value {
        true => serde_json::json!({
            "description": format!("{} One of {}, or a value.", setting.doc, setting.words.join(", ")),
            "type": ["string", "number"],
        }),
        false => serde_json::json!({
            "description": setting.doc,
            "type": "string",
            "enum": setting.words,
        }),
    }
}
