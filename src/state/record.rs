//! The envelope of everything stored: magic, version, payload, checksum.
//!
//! `WEIR | version u16 BE | payload (JSON) | crc32 u32 BE of all before`. A record whose checksum
//! is wrong is torn and never used; one of a later version is refused, so that an older weir never
//! misreads it.

use serde::Serialize;
use serde::de::DeserializeOwned;

const MAGIC: &[u8; 4] = b"WEIR";
const VERSION: u16 = 1;
const CRC_BYTES: usize = 4;

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// Bytes are missing or changed.
    #[error("the record is torn")]
    Torn,
    /// Written by a later weir.
    #[error("the record has version {0}, newer than this weir")]
    Newer(u16),
    /// The checksum is right, the content is not.
    #[error("the record does not have the expected fields")]
    Content(#[source] serde_json::Error),
}

/// Wraps `payload`.
pub(super) fn seal(payload: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    serde_json::to_writer(&mut bytes, payload)?;
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    Ok(bytes)
}

/// Checks and unwraps.
pub(super) fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    let body = bytes.len().checked_sub(CRC_BYTES).ok_or(Unreadable::Torn)?;
    let (body, crc) = bytes.split_at(body);
    if crc != crc32fast::hash(body).to_be_bytes() {
        return Err(Unreadable::Torn);
    }
    let rest = body.strip_prefix(MAGIC).ok_or(Unreadable::Torn)?;
    let (version, payload) = rest.split_first_chunk::<2>().ok_or(Unreadable::Torn)?;
    match u16::from_be_bytes(*version) {
        VERSION => serde_json::from_slice(payload).map_err(Unreadable::Content),
        newer if newer > VERSION => Err(Unreadable::Newer(newer)),
        _ => Err(Unreadable::Torn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Broken if a torn record were taken for a whole one: weir would resume anywhere.
        #[test]
        fn no_torn_record_opens(text in ".{0,40}", cut in 0usize..60, flip in 0usize..60) {
            let whole = seal(&text).expect("json");
            prop_assert_eq!(&open::<String>(&whole).expect("whole"), &text);
            if cut < whole.len() {
                prop_assert!(matches!(open::<String>(&whole[..cut]), Err(Unreadable::Torn)));
            }
            let mut changed = whole;
            if let Some(byte) = changed.get_mut(flip) {
                *byte ^= 0x40;
                prop_assert!(matches!(open::<String>(&changed), Err(Unreadable::Torn)));
            }
        }
    }

    /// Broken if an older weir read the record of a newer one as if it understood it.
    #[test]
    fn a_newer_version_is_refused() {
        let mut bytes = b"WEIR\x00\x02{}".to_vec();
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        assert!(matches!(open::<serde_json::Value>(&bytes), Err(Unreadable::Newer(2))));
    }
}
