//! The steps `encrypt` and `decrypt`: values that only who has the key can read, under AES with 256 bits.
//!
//! Encryption is deterministic: one value has one form under one key, so that match keys meet and both sides can
//! be compared; that two values are the same is what it tells. What was not made with the key, or belongs elsewhere
//! (`aad`), is rejected, never guessed.
//!
//! What is stored: under `aes_256_siv` what RFC 5297 calls Z, the synthetic IV (16 bytes) and the ciphertext, its
//! associated data the names in `aad`, each one string. Under `aes_256_gcm_siv` (RFC 8452) a nonce (12 bytes) that is
//! made of the value, the ciphertext and the tag (16 bytes); its associated data are the names, each after its length
//! as four bytes, greatest first. As bytes, or as text in base64 or hex.

use std::sync::Arc;

use aes_gcm_siv::aead::{Aead as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit as _, Nonce};
use aes_siv::siv::Aes256Siv;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::bind::Bound;
use super::kind::Kind;
use super::registry::{Params, Table};
use super::secrets::{KEY_BYTES, KEY_SOURCES, hexed, unhexed};
use super::spelled;
use super::step::Step;
use crate::model::{Type, Value};
use crate::transform::Reason;

const NONCE_BYTES: usize = 12;

/// A cipher with its key.
#[derive(Clone)]
enum Cipher {
    GcmSiv { cipher: Arc<Aes256GcmSiv>, nonces: Arc<[u8; 32]> },
    Siv(Arc<[u8; 64]>),
}

impl Cipher {
    fn new(siv: bool, key: &[u8]) -> Result<Cipher, String> {
        let wrong = |bytes: usize| {
            format!(
                "the key is {bytes} bytes, and this is not: write {} hex digits or {} characters of base64",
                bytes * 2,
                bytes.div_ceil(3) * 4
            )
        };
        let text = std::str::from_utf8(key).map(str::trim).unwrap_or_default();
        let bytes = if siv { 64 } else { 32 };
        let key = match text.len() == bytes * 2 {
            true => unhexed(text),
            false => STANDARD.decode(text).ok(),
        };
        let key = key.filter(|key| key.len() == bytes).ok_or_else(|| wrong(bytes))?;
        if siv {
            let key = <[u8; 64]>::try_from(key.as_slice()).map_err(|_| wrong(bytes))?;
            return Ok(Cipher::Siv(Arc::new(key)));
        }
        let nonces = blake3::derive_key("weir column encryption, nonces", &key);
        let cipher = Aes256GcmSiv::new_from_slice(&key).map_err(|_| wrong(bytes))?;
        Ok(Cipher::GcmSiv { cipher: Arc::new(cipher), nonces: Arc::new(nonces) })
    }

    fn seal(&self, aad: &[String], plain: &[u8]) -> Result<Vec<u8>, Reason> {
        match self {
            Cipher::Siv(key) => {
                let mut cipher =
                    Aes256Siv::new_from_slice(&**key).map_err(|_| Reason::Validation)?;
                cipher.encrypt(aad, plain).map_err(|_| Reason::TooLong)
            }
            Cipher::GcmSiv { cipher, nonces } => {
                let aad = framed(aad);
                let mut hasher = blake3::Hasher::new_keyed(nonces);
                hasher.update(&(aad.len() as u64).to_be_bytes()).update(&aad).update(plain);
                let mut nonce = [0; NONCE_BYTES];
                hasher.finalize_xof().fill(&mut nonce);
                let payload = Payload { msg: plain, aad: &aad };
                let sealed = cipher.encrypt(&Nonce::from(nonce), payload);
                Ok([&nonce[..], &sealed.map_err(|_| Reason::TooLong)?].concat())
            }
        }
    }

    fn open(&self, aad: &[String], sealed: &[u8]) -> Result<Vec<u8>, Reason> {
        match self {
            Cipher::Siv(key) => {
                let mut cipher =
                    Aes256Siv::new_from_slice(&**key).map_err(|_| Reason::Validation)?;
                cipher.decrypt(aad, sealed).map_err(|_| Reason::Parse)
            }
            Cipher::GcmSiv { cipher, .. } => {
                let (nonce, sealed) =
                    sealed.split_first_chunk::<NONCE_BYTES>().ok_or(Reason::Parse)?;
                let payload = Payload { msg: sealed, aad: &framed(aad) };
                cipher.decrypt(&Nonce::from(*nonce), payload).map_err(|_| Reason::Parse)
            }
        }
    }
}

/// Names, none of which can be taken for a part of another.
fn framed(aad: &[String]) -> Vec<u8> {
    let mut framed = Vec::new();
    for name in aad {
        framed.extend_from_slice(&(name.len() as u32).to_be_bytes());
        framed.extend_from_slice(name.as_bytes());
    }
    framed
}

/// How bytes stand in a column.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Bytes,
    Base64,
    Hex,
}

impl Form {
    fn of(kind: Kind, text: Form) -> Form {
        if kind == Kind::Bytes { Form::Bytes } else { text }
    }

    fn kind(self) -> Kind {
        if self == Form::Bytes { Kind::Bytes } else { Kind::Text }
    }

    fn write(self, bytes: Vec<u8>) -> Value {
        match self {
            Form::Bytes => Value::Bytes(bytes.into()),
            Form::Base64 => Value::Text(STANDARD.encode(bytes).into()),
            Form::Hex => Value::Text(hexed(&bytes).into()),
        }
    }

    fn read(self, value: &Value) -> Result<Vec<u8>, Reason> {
        match (self, value) {
            (Form::Bytes, Value::Bytes(bytes)) => Ok(bytes.to_vec()),
            (Form::Base64, Value::Text(text)) => {
                STANDARD.decode(text.as_bytes()).map_err(|_| Reason::Parse)
            }
            (Form::Hex, Value::Text(text)) => unhexed(text).ok_or(Reason::Parse),
            _ => Err(Reason::PairNeedsRule),
        }
    }
}

/// What both steps are told.
#[derive(Clone)]
struct Settings {
    cipher: Cipher,
    form: Form,
    /// Whether the names of the table and of the column belong to a value.
    names: (bool, bool),
}

fn settings(table: &Table<'_>) -> Result<Settings, String> {
    let key = match (table.need("key")?, table.text(KEY_BYTES)?) {
        (_, Some(hex)) => unhexed(hex).ok_or(KEY_SOURCES)?,
        _ => return Err(KEY_SOURCES.to_owned()),
    };
    table.need("algo")?;
    let siv = table.word("algo", &["aes_256_gcm_siv", "aes_256_siv"])? == "aes_256_siv";
    let form = match table.word("encoding", &["base64", "hex"])? {
        "hex" => Form::Hex,
        _ => Form::Base64,
    };
    let aad = table.texts("aad")?;
    if let Some(name) = aad.iter().find(|name| !["table", "column"].contains(&name.as_str())) {
        return Err(format!("`aad` holds \"table\" and \"column\", not \"{name}\""));
    }
    let names = (aad.iter().any(|name| name == "table"), aad.iter().any(|name| name == "column"));
    Ok(Settings { cipher: Cipher::new(siv, &key)?, form, names })
}

impl Settings {
    /// The names that belong to a value, where it is encrypted.
    fn aad(&self, table: &str, column: &str) -> Vec<String> {
        let table = self.names.0.then_some(table);
        let column = self.names.1.then_some(column);
        table.into_iter().chain(column).map(str::to_owned).collect()
    }
}

pub(super) fn encrypt(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["algo", "key", "aad", "encoding", KEY_BYTES])?;
    let settings = settings(&table)?;
    Ok(Step::of(move |ground| {
        if ground.kind == Kind::Other {
            return Err(format!("does not take {}", ground.kind));
        }
        let form = Form::of(ground.wanted, settings.form);
        let (table, column) = ground.target;
        let aad = settings.aad(&table.name.table, &column.name);
        let (cipher, kind) = (settings.cipher.clone(), ground.kind);
        let (opening, names) = (cipher.clone(), aad.clone());
        let seal = move |value: Value| {
            cipher.seal(&aad, &spelled::spelled(&value, kind)?).map(|sealed| form.write(sealed))
        };
        let open =
            move |value: Value| spelled::read(&opening.open(&names, &form.read(&value)?)?, kind);
        Ok(Bound::of(form.kind(), seal).back(open))
    }))
}

pub(super) fn decrypt(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["algo", "key", "aad", "encoding", "as", KEY_BYTES])?;
    let settings = settings(&table)?;
    let text = table.word("as", &["target", "text"])? == "text";
    Ok(Step::of(move |ground| {
        if !matches!(ground.kind, Kind::Text | Kind::Bytes) {
            return Err(format!("takes text or bytes, and gets {}", ground.kind));
        }
        let form = Form::of(ground.kind, settings.form);
        let kind = match (text, ground.wanted) {
            (true, _) | (_, Kind::Enum) => Kind::Text,
            (_, Kind::Other) => return Err("makes no value of the target's type".to_owned()),
            (_, wanted) => wanted,
        };
        let aad = settings.aad(&ground.table.name.table, &ground.column.name);
        let (cipher, single) = (settings.cipher.clone(), ground.target.1.ty == Type::F32);
        let (sealing, names) = (cipher.clone(), aad.clone());
        let open = move |value: Value| {
            let plain = cipher.open(&aad, &form.read(&value)?)?;
            match spelled::read(&plain, kind)? {
                // Its shortest digits are those of the narrow float.
                Value::F64(_) if single => {
                    let text = std::str::from_utf8(&plain).map_err(|_| Reason::Parse)?;
                    text.parse().map(Value::F32).map_err(|_| Reason::Parse)
                }
                read => Ok(read),
            }
        };
        let seal = move |value: Value| {
            sealing.seal(&names, &spelled::spelled(&value, kind)?).map(|sealed| form.write(sealed))
        };
        Ok(Bound::of(kind, open).back(seal))
    }))
}

/// A name of a key, which tells nothing of it: a change of the key is a change of the step.
pub(super) fn key_name(key: &[u8]) -> String {
    hexed(&blake3::derive_key("weir column encryption, name of a key", key)[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        unhexed(text).unwrap()
    }

    /// Broken if what weir stores were not what the standards say, so that no other program could read it.
    #[test]
    fn ciphers_are_those_of_the_standards() {
        // The example of RFC 5297, A.1, with a key of 512 bits.
        let key = "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f06f6e6d6c6b6a69686766656463626160\
                   f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f";
        let siv = Cipher::new(true, key.as_bytes()).unwrap();
        let name = unhex("101112131415161718191a1b1c1d1e1f2021222324252627");
        let names = [String::from_utf8(name).unwrap()];
        let sealed = siv.seal(&names, &unhex("112233445566778899aabbccddee")).unwrap();
        let stored = "f125274c598065cfc26b0e71575029088b035217e380cac8919ee800c126";
        assert_eq!(hexed(&sealed), stored);
        // RFC 8452, appendix C.2: a plaintext of 8 bytes.
        let key = format!("01{}", "00".repeat(31));
        let Cipher::GcmSiv { cipher, .. } = Cipher::new(false, key.as_bytes()).unwrap() else {
            panic!("another cipher");
        };
        let nonce = Nonce::from(<[u8; 12]>::try_from(unhex("030000000000000000000000")).unwrap());
        let plain = unhex("0100000000000000");
        let sealed = cipher.encrypt(&nonce, plain.as_slice()).unwrap();
        assert_eq!(hexed(&sealed), "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28");
    }

    /// Broken if one value had two forms, if two fields could be mixed up, or if what the key did not make
    /// were read.
    #[test]
    fn values_belong_to_their_key_and_place() {
        for (siv, bytes) in [(true, 64), (false, 32)] {
            let cipher = Cipher::new(siv, "0a".repeat(bytes).as_bytes()).unwrap();
            let other = Cipher::new(siv, "0b".repeat(bytes).as_bytes()).unwrap();
            let place = |names: &[&str]| -> Vec<String> {
                names.iter().map(|name| (*name).to_owned()).collect()
            };
            let here = place(&["person", "email"]);
            let sealed = cipher.seal(&here, b"a@b").unwrap();
            assert_eq!(cipher.seal(&here, b"a@b").unwrap(), sealed);
            assert_ne!(cipher.seal(&here, b"a@c").unwrap()[..16], sealed[..16]);
            assert_eq!(cipher.open(&here, &sealed), Ok(b"a@b".to_vec()));
            assert_eq!(other.open(&here, &sealed), Err(Reason::Parse));
            for names in [&["persone", "mail"][..], &["person"], &[]] {
                assert_eq!(cipher.open(&place(names), &sealed), Err(Reason::Parse), "{names:?}");
            }
            for (at, _) in sealed.iter().enumerate() {
                let mut bent = sealed.clone();
                bent[at] ^= 1;
                assert_eq!(cipher.open(&here, &bent), Err(Reason::Parse));
                assert_eq!(cipher.open(&here, &sealed[..at]), Err(Reason::Parse));
            }
            let empty = cipher.seal(&here, b"").unwrap();
            assert_eq!(cipher.open(&here, &empty), Ok(Vec::new()));
        }
    }

    /// Broken if a key of another length were taken, or one that is written otherwise were another key.
    #[test]
    fn keys_are_hex_or_base64() {
        let bytes = [7_u8; 32];
        let (hex, base64) = (hexed(&bytes), STANDARD.encode(bytes));
        let one = Cipher::new(false, hex.as_bytes()).unwrap().seal(&[], b"x").unwrap();
        assert_eq!(Cipher::new(false, base64.as_bytes()).unwrap().seal(&[], b"x"), Ok(one));
        for key in [&bytes[..], &hex.as_bytes()[2..], b"secret"] {
            assert!(Cipher::new(false, key).is_err());
            assert!(Cipher::new(true, key).is_err());
        }
    }
}
