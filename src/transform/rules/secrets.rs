//! Steps that keep values from being seen for good: hashes and masks. Neither has a way back; `ciphers` has.
//!
//! The key of a keyed hash comes from the environment, a file or a command, never from the configuration, and is
//! read by whoever reads the configuration: here are only its bytes. They are shown nowhere.

use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::bind::{Bound, Ground, text_to_text};
use super::ciphers;
use super::kind::Kind;
use super::literal::Literal;
use super::registry::Params;
use super::step::Step;
use super::values::text_of;
use crate::model::Value;
use crate::transform::Reason;

/// The name under which the reader of the configuration puts the bytes of a key, in hex.
pub const KEY_BYTES: &str = "\0key";
/// Where the key of a step may come from.
pub(super) const KEY_SOURCES: &str =
    "`key` is { env = \"NAME\" }, { file = \"/path\" } or { command = [\"program\", …] }";

#[derive(Clone)]
enum Algorithm {
    Sha256,
    HmacSha256(Arc<[u8]>),
    Blake3,
    Blake3Keyed(Arc<[u8; 32]>),
}

impl Algorithm {
    fn digest(&self, bytes: &[u8]) -> Result<[u8; 32], Reason> {
        Ok(match self {
            Algorithm::Sha256 => Sha256::digest(bytes).into(),
            Algorithm::HmacSha256(key) => {
                let mut mac =
                    Hmac::<Sha256>::new_from_slice(key).map_err(|_| Reason::Validation)?;
                mac.update(bytes);
                mac.finalize().into_bytes().into()
            }
            Algorithm::Blake3 => *blake3::hash(bytes).as_bytes(),
            Algorithm::Blake3Keyed(key) => *blake3::keyed_hash(key, bytes).as_bytes(),
        })
    }
}

pub(super) fn hash(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["algo", "key", "encoding", KEY_BYTES])?;
    let key = match (table.get("key"), table.text(KEY_BYTES)?) {
        (None, None) => None,
        (Some(_), Some(hex)) => Some(unhexed(hex).ok_or("the key cannot be read")?),
        _ => return Err(KEY_SOURCES.to_owned()),
    };
    table.need("algo")?;
    let algorithm = match (table.word("algo", &["sha256", "hmac_sha256", "blake3"])?, key) {
        ("sha256", None) => Algorithm::Sha256,
        ("sha256", Some(_)) => return Err("sha256 takes no key; hmac_sha256 does".to_owned()),
        ("hmac_sha256", None) => return Err("hmac_sha256 wants a `key`".to_owned()),
        ("hmac_sha256", Some(key)) => Algorithm::HmacSha256(key.into()),
        (_, None) => Algorithm::Blake3,
        // A key of any length becomes one of 32 bytes.
        (_, Some(key)) => {
            Algorithm::Blake3Keyed(Arc::new(blake3::derive_key("weir column hash", &key)))
        }
    };
    let hex = table.word("encoding", &["hex", "bytes"])? == "hex";
    Ok(Step::of(move |ground| bind_hash(ground, algorithm.clone(), hex)))
}

fn bind_hash(ground: &Ground<'_>, algorithm: Algorithm, hex: bool) -> Result<Bound, String> {
    if ground.kind == Kind::Other {
        return Err(format!("does not take {}", ground.kind));
    }
    let kind = if hex { Kind::Text } else { Kind::Bytes };
    Ok(Bound::of(kind, move |value| {
        let digest = match &value {
            Value::Bytes(bytes) => algorithm.digest(bytes)?,
            value => algorithm.digest(text_of(value).ok_or(Reason::PairNeedsRule)?.as_bytes())?,
        };
        Ok(match hex {
            true => Value::Text(hexed(&digest).into()),
            false => Value::Bytes(Bytes::copy_from_slice(&digest)),
        })
    }))
}

/// Bytes in hex.
pub fn hexed(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What hex digits say, two for each byte.
pub(super) fn unhexed(hex: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    hex.as_bytes().chunks(2).map(byte).collect()
}

/// The parameters without the bytes of a key, for people. Keys of ciphers are long and random: such a one gets a
/// name, so that another is seen.
pub(super) fn shown(step: &str, written: &Literal) -> Literal {
    match written {
        Literal::Table(entries) => {
            let named = |(name, value): &(String, Literal)| match value {
                Literal::Text(hex) if name == KEY_BYTES => {
                    let key = unhexed(hex).filter(|_| step != "hash")?;
                    Some(("key_name".to_owned(), Literal::Text(ciphers::key_name(&key))))
                }
                Literal::Table(source) if name == "key" => Some((name.clone(), program(source))),
                _ => Some((name.clone(), value.clone())),
            };
            Literal::Table(entries.iter().filter_map(named).collect())
        }
        other => other.clone(),
    }
}

/// Where a key comes from; of a command the program alone.
fn program(source: &[(String, Literal)]) -> Literal {
    let short = |(kind, of): &(String, Literal)| match of {
        Literal::List(words) => {
            (kind.clone(), Literal::List(words.iter().take(1).cloned().collect()))
        }
        of => (kind.clone(), of.clone()),
    };
    Literal::Table(source.iter().map(short).collect())
}

pub(super) fn mask(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["keep_first", "keep_last", "char"])?;
    let first = table.whole("keep_first", 0, 65_535)?.unwrap_or(0) as usize;
    let last = table.whole("keep_last", 0, 65_535)?.unwrap_or(0) as usize;
    let with = table.character("char", '*')?;
    Ok(Step::of(move |ground| {
        text_to_text(ground, move |text| {
            let length = text.chars().count();
            // A text of which all would be kept is hidden altogether.
            let (first, last) = if first + last >= length { (0, 0) } else { (first, last) };
            let hide = |(at, character)| match at < first || at >= length - last {
                true => character,
                false => with,
            };
            Ok(text.chars().enumerate().map(hide).collect())
        })
    }))
}
