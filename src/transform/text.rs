//! Text and bytes: length in the target's units, characters that its character set lacks, padding.
//!
//! A value that fits passes without a copy. No normalisation, no re-coding: characters cross as
//! they are or not at all.

use bytes::Bytes;
use bytestring::ByteString;

use crate::transform::Reason;
use crate::transform::conversion::{Blanks, BytesFit, TextFit};

/// The text as the target holds it.
pub(crate) fn fit(text: &ByteString, fit: &TextFit) -> Result<ByteString, Reason> {
    let text = match fit.blanks {
        Blanks::Keep => text.clone(),
        Blanks::Refuse if text.ends_with(' ') => return Err(Reason::LengthChange),
        Blanks::Refuse => text.clone(),
        Blanks::Trim if text.ends_with(' ') => text.slice_ref(text.trim_end_matches(' ')),
        Blanks::Trim => text.clone(),
    };
    if !fit.nul && text.as_bytes().contains(&0) {
        return Err(Reason::NulChar);
    }
    if !fit.charset.holds(&text) {
        return Err(Reason::Charset);
    }
    let longer = |limit: Option<u64>, length: usize| limit.is_some_and(|max| length as u64 > max);
    // A text has at most as many characters as bytes: count only where that does not decide.
    if longer(fit.chars_max, text.len()) && longer(fit.chars_max, text.chars().count()) {
        return Err(Reason::TooLong);
    }
    // No character set takes more than four bytes for a character, nor for a byte of UTF-8.
    let most = text.len().saturating_mul(4);
    if longer(fit.bytes_max, most) && longer(fit.bytes_max, fit.charset.bytes_of(&text)) {
        return Err(Reason::TooLong);
    }
    Ok(text)
}

/// The bytes as the target holds them.
pub(crate) fn fit_bytes(bytes: &Bytes, fit: &BytesFit) -> Result<Bytes, Reason> {
    let bytes = match fit.pad_to {
        Some(length) if bytes.len() < length as usize => {
            let mut padded = Vec::with_capacity(length as usize);
            padded.extend_from_slice(bytes);
            padded.resize(length as usize, 0);
            Bytes::from(padded)
        }
        _ => bytes.clone(),
    };
    let length = bytes.len() as u64;
    match fit.bytes_exact.map(u64::from) {
        Some(exact) if length < exact => return Err(Reason::LengthChange),
        Some(exact) if length > exact => return Err(Reason::TooLong),
        _ => {}
    }
    if fit.bytes_max.is_some_and(|max| length > max) {
        return Err(Reason::TooLong);
    }
    Ok(bytes)
}

/// Positions of the dashes in a UUID's text.
const DASHES: [usize; 4] = [8, 13, 18, 23];

/// A UUID from its text with dashes.
pub(crate) fn parse_uuid(text: &str, lower_only: bool) -> Result<[u8; 16], Reason> {
    if text.len() != 36 || (lower_only && text.bytes().any(|byte| byte.is_ascii_uppercase())) {
        return Err(Reason::Parse);
    }
    let mut uuid = [0_u8; 16];
    let mut digits = 0_usize;
    for (position, byte) in text.bytes().enumerate() {
        if DASHES.contains(&position) {
            if byte != b'-' {
                return Err(Reason::Parse);
            }
            continue;
        }
        let digit = char::from(byte).to_digit(16).ok_or(Reason::Parse)?;
        let place = uuid.get_mut(digits / 2).ok_or(Reason::Parse)?;
        *place = *place << 4 | digit as u8;
        digits += 1;
    }
    Ok(uuid)
}

/// A UUID as lower-case text with dashes.
pub(crate) fn format_uuid(uuid: &[u8; 16]) -> ByteString {
    let mut text = String::with_capacity(36);
    for byte in uuid {
        if DASHES.contains(&text.len()) {
            text.push('-');
        }
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    ByteString::from(text)
}
