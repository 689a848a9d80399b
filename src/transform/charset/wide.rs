//! Character sets of two and four bytes per unit: UCS-2, UTF-16, UTF-32.
//!
//! Nothing is replaced: half a surrogate pair or a byte too many is `None`.

/// UCS-2: the basic plane without surrogates, highest byte first.
pub(super) fn ucs2(bytes: &[u8]) -> Option<String> {
    units(bytes, u16::from_be_bytes)?.map(|unit| char::from_u32(u32::from(unit))).collect()
}

/// UTF-16 in the order of bytes that `unit` reads.
pub(super) fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    char::decode_utf16(units(bytes, unit)?).collect::<Result<String, _>>().ok()
}

/// UTF-32, highest byte first.
pub(super) fn utf32(bytes: &[u8]) -> Option<String> {
    let (whole, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then_some(())?;
    whole.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit))).collect()
}

fn units(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<impl Iterator<Item = u16>> {
    let (whole, rest) = bytes.as_chunks::<2>();
    rest.is_empty().then(|| whole.iter().map(move |pair| unit(*pair)))
}
