//! A reader over bytes that never reads past their end: each method takes what it needs or says
//! that the event is too short.
//!
//! Integers are little endian unless the name says `be`. Packed integers are the protocol's
//! length-encoded integers.

use crate::error::{Error, Kind, Result};

/// The bytes still to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

/// The one error of a cursor.
fn too_short() -> Error {
    Error::new(Kind::Malformed, "a log event ends too early")
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes }
    }

    /// How many bytes are left.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left, without taking it.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// `Malformed` where fewer are left; so for every method below.
    #[inline]
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(too_short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes.
    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// `count` bytes (at most 8) as a little-endian integer.
    #[inline]
    pub(crate) fn uint(&mut self, count: usize) -> Result<u64> {
        let bytes = self.bytes(count)?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// `count` bytes (at most 8) as a big-endian integer.
    #[inline]
    pub(crate) fn uint_be(&mut self, count: usize) -> Result<u64> {
        let bytes = self.bytes(count)?;
        Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// A packed integer.
    #[inline]
    pub(crate) fn packed(&mut self) -> Result<u64> {
        match self.u8()? {
            small @ 0..=250 => Ok(u64::from(small)),
            252 => self.uint(2),
            253 => self.uint(3),
            254 => self.uint(8),
            _ => Err(Error::new(Kind::Malformed, "a packed integer has an unknown size")),
        }
    }

    /// A packed integer that counts bytes or items still to come; never more than are left.
    #[inline]
    pub(crate) fn packed_len(&mut self) -> Result<usize> {
        let count = self.packed()?;
        usize::try_from(count).ok().filter(|count| *count <= self.len()).ok_or_else(too_short)
    }

    /// Bytes after their packed length.
    #[inline]
    pub(crate) fn packed_bytes(&mut self) -> Result<&'a [u8]> {
        let count = self.packed_len()?;
        self.bytes(count)
    }

    /// An unsigned integer of MySQL's serialization library: the trailing one bits of the first
    /// byte count the bytes that follow.
    pub(crate) fn varint(&mut self) -> Result<u64> {
        let first = self.rest.first().copied().ok_or_else(too_short)?;
        let more = first.trailing_ones() as usize;
        if more == 8 {
            self.u8()?;
            return self.u64();
        }
        Ok(self.uint(more + 1)? >> (more + 1))
    }

    /// A signed integer of MySQL's serialization library: the lowest bit is the sign.
    pub(crate) fn varint_signed(&mut self) -> Result<i64> {
        let raw = self.varint()?;
        let magnitude = (raw >> 1) as i64;
        Ok(if raw & 1 == 1 { !magnitude } else { magnitude })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if an integer were read with the wrong width or order, or past the end.
    #[test]
    fn integers_are_read_by_width() {
        let mut cursor = Cursor::new(&[1, 2, 3, 252, 1, 1, 0xFE, 0xFF, 0xFF]);
        assert_eq!(cursor.uint(3).expect("3 bytes"), 0x03_02_01);
        assert_eq!(cursor.packed().expect("packed"), 257);
        assert_eq!(cursor.uint_be(3).expect("3 bytes"), 0xFE_FF_FF);
        assert_eq!(cursor.u8().expect_err("empty").kind(), Kind::Malformed);
        assert!(Cursor::new(&[254, 1, 0, 0, 0, 0, 0, 0, 1]).packed_bytes().is_err());
        assert_eq!(Cursor::new(&[0b0000_1001, 1]).varint().expect("2 bytes"), (0x0109 >> 2));
        assert_eq!(Cursor::new(&[0b0000_0110]).varint_signed().expect("1 byte"), !1);
    }
}
