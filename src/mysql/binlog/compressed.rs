//! What servers compress: MariaDB's events and columns (zlib), MySQL's transactions (zstd).
//!
//! Nothing is believed of a length that the bytes claim before as many bytes are there: memory grows
//! with what comes out, up to the limit of one event. A transaction is unpacked event by event, so
//! that its size does not matter. What does not unpack to exactly what was claimed is an error.
//! Sources: MariaDB `binlog_buf_compress`, "Storage-Engine Independent Column Compression"; MySQL
//! "Transaction_payload_event".

use std::io::Read;

use super::cursor::Cursor;
use super::event::{HEADER_BYTES, Header};
use crate::error::{Error, Kind, Result};

/// The largest unpacked event in bytes: the protocol's own limit on a packet.
const EVENT_BYTES_MAX: u64 = 1 << 30;
/// Memory that is kept from one event of a transaction to the next, in bytes.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// zstd's window as a power of two: its own default limit, 128 MiB; servers use up to 8 MiB.
const WINDOW_LOG_MAX: u32 = 27;

fn malformed(what: &str) -> Error {
    Error::new(Kind::Malformed, format!("{what} does not unpack"))
}

/// Unpacks the body of a compressed event of MariaDB: a head whose highest bit is set and whose next
/// three say the algorithm, the size, a zlib stream.
///
/// # Errors
/// `Unsupported` for another algorithm than zlib, `Malformed` for everything else.
pub(crate) fn event_body(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut cursor = Cursor::new(bytes);
    let head = cursor.u8()?;
    let algorithm = head >> 4 & 7;
    if head & 0x80 == 0 {
        return Err(malformed("a compressed event"));
    }
    if algorithm != 0 {
        let what = format!("the log holds an event compressed by algorithm {algorithm}");
        return Err(Error::new(Kind::Unsupported, what)
            .hint("set log_bin_compress = OFF on the source, then start anew"));
    }
    let size = size(&mut cursor, head)?;
    inflate(flate2::read::ZlibDecoder::new(cursor.rest()), size, "a compressed event")
}

/// Unpacks a value of a `COMPRESSED` column of MariaDB; `None` where it was stored as it is, behind
/// its head.
///
/// # Errors
/// `Unsupported` for another algorithm than zlib, `Malformed` for everything else.
pub(crate) fn column_value(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    const STORED: u8 = 0;
    const ZLIB: u8 = 8;
    const WITHOUT_HEADER: u8 = 8;
    let what = "a value of a COMPRESSED column";
    let mut cursor = Cursor::new(bytes);
    let head = cursor.u8()?;
    match head >> 4 {
        STORED => Ok(None),
        ZLIB => {
            let size = size(&mut cursor, head)?;
            let packed = cursor.rest();
            Ok(Some(if head & WITHOUT_HEADER == 0 {
                inflate(flate2::read::ZlibDecoder::new(packed), size, what)?
            } else {
                inflate(flate2::read::DeflateDecoder::new(packed), size, what)?
            }))
        }
        method => Err(Error::new(
            Kind::Unsupported,
            format!("the log holds {what} compressed by method {method}"),
        )),
    }
}

/// The unpacked size: big endian, in as many bytes as the low three bits of the head say.
fn size(cursor: &mut Cursor<'_>, head: u8) -> Result<u64> {
    match head & 7 {
        bytes @ 1..=4 => cursor.uint_be(usize::from(bytes)),
        _ => Err(malformed("the size of something compressed")),
    }
}

/// Reads `size` bytes and not one more.
fn inflate(packed: impl Read, size: u64, what: &str) -> Result<Vec<u8>> {
    if size > EVENT_BYTES_MAX {
        return Err(malformed(what));
    }
    let mut unpacked = Vec::new();
    let read = packed.take(size + 1).read_to_end(&mut unpacked);
    read.map_err(|error| malformed(what).caused_by(error))?;
    if unpacked.len() as u64 == size { Ok(unpacked) } else { Err(malformed(what)) }
}

/// The events of a compressed transaction of MySQL, unpacked one by one.
pub(crate) struct Payload<'a> {
    unpacked: Box<dyn Read + Send + 'a>,
    /// Bytes still to come, as claimed.
    left: u64,
    body: Vec<u8>,
}

impl<'a> Payload<'a> {
    /// Reads the fields in front of the payload: pairs of number and value with its length, ended by
    /// field 0.
    ///
    /// # Errors
    /// `Unsupported` by name for another compression than zstd or none, `Malformed` for wrong bytes.
    pub(crate) fn open(body: &'a [u8]) -> Result<Payload<'a>> {
        const ZSTD: u64 = 0;
        const NONE: u64 = 255;
        let mut cursor = Cursor::new(body);
        let (mut packed_size, mut algorithm, mut size) = (None, None, None);
        loop {
            let field = cursor.packed()?;
            if field == 0 {
                break;
            }
            let mut value = Cursor::new(cursor.packed_bytes()?);
            match field {
                1 => packed_size = Some(value.packed()?),
                2 => algorithm = Some(value.packed()?),
                3 => size = Some(value.packed()?),
                _ => {}
            }
        }
        let packed = cursor.rest();
        if packed_size != Some(packed.len() as u64) {
            return Err(malformed("a compressed transaction"));
        }
        let (unpacked, left): (Box<dyn Read + Send>, _) = match (algorithm, size) {
            (Some(ZSTD), Some(size)) => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed);
                let cannot = |error| malformed("a compressed transaction").caused_by(error);
                let mut decoder = decoder.map_err(cannot)?;
                decoder.window_log_max(WINDOW_LOG_MAX).map_err(cannot)?;
                (Box::new(decoder), size)
            }
            (Some(NONE), size) => (Box::new(packed), size.unwrap_or(packed.len() as u64)),
            (Some(other), _) => {
                let what = format!("the log holds a transaction compressed by algorithm {other}");
                return Err(Error::new(Kind::Unsupported, what).hint(
                    "set binlog_transaction_compression = OFF on the source, then start anew",
                ));
            }
            _ => return Err(malformed("a compressed transaction")),
        };
        Ok(Payload { unpacked, left, body: Vec::new() })
    }

    /// The next event: its header and all bytes after it (there is no checksum); `None` at the end.
    ///
    /// # Errors
    /// `Malformed` for bytes that do not unpack, or to more or less than was claimed.
    pub(crate) fn next(&mut self) -> Result<Option<(Header, &[u8])>> {
        if self.body.capacity() > KEPT_BYTES_MAX {
            self.body = Vec::new();
        }
        let header = self.take(HEADER_BYTES as u64, true)?;
        if header.is_empty() {
            return Ok(None);
        }
        let header = Header::read(&mut Cursor::new(header))?;
        let bytes = u64::from(header.size).checked_sub(HEADER_BYTES as u64);
        let bytes = bytes.filter(|bytes| *bytes <= EVENT_BYTES_MAX);
        let bytes = bytes.ok_or_else(|| malformed("an event of a compressed transaction"))?;
        let body = self.take(bytes, false)?;
        Ok(Some((header, body)))
    }

    /// Exactly `count` bytes; nothing at the very end, where that is allowed.
    fn take(&mut self, count: u64, may_end: bool) -> Result<&[u8]> {
        let broken = || malformed("a compressed transaction");
        self.body.clear();
        let read = (&mut self.unpacked).take(count).read_to_end(&mut self.body);
        let read = read.map_err(|error| broken().caused_by(error))? as u64;
        let ended = may_end && read == 0 && self.left == 0;
        self.left = self.left.checked_sub(read).ok_or_else(broken)?;
        if read == count || ended { Ok(&self.body) } else { Err(broken()) }
    }
}

impl std::fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payload").field("left", &self.left).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn headed(head: u8, size: &[u8], packed: &[u8]) -> Vec<u8> {
        [&[head], size, packed].concat()
    }

    /// A payload of events of these sizes, its fields as given.
    fn payload(sizes: &[usize], algorithm: u8, claim: impl Fn(u64) -> u64) -> Vec<u8> {
        let mut events = Vec::new();
        for size in sizes {
            let size = *size as u32 + 19;
            events.extend([0, 0, 0, 0, 30, 1, 0, 0, 0]);
            events.extend(size.to_le_bytes());
            events.extend([0; 6]);
            events.resize(events.len() + size as usize - 19, 7);
        }
        let packed = match algorithm {
            0 => zstd::encode_all(events.as_slice(), 3).expect("memory"),
            _ => events.clone(),
        };
        let number = |value: u64| [&[254][..], &value.to_le_bytes()].concat();
        let mut body = Vec::new();
        let fields = [
            (2, number(u64::from(algorithm))),
            (3, number(claim(events.len() as u64))),
            (1, number(packed.len() as u64)),
        ];
        for (field, value) in fields {
            body.extend([field, value.len() as u8]);
            body.extend(value);
        }
        body.push(0);
        body.extend(packed);
        body
    }

    fn sizes_of(body: &[u8]) -> Result<Vec<usize>> {
        let mut payload = Payload::open(body)?;
        let mut sizes = Vec::new();
        while let Some((_, event)) = payload.next()? {
            sizes.push(event.len());
        }
        Ok(sizes)
    }

    /// Broken if what MariaDB compressed came out otherwise, or a size that is not so were believed.
    #[test]
    fn zlib_of_events_and_columns() {
        let text = b"a text of some length, a text of some length";
        let size = [text.len() as u8];
        let whole = headed(0x81, &size, &zlib(text));
        assert_eq!(event_body(&whole).expect("whole"), text);
        assert_eq!(column_value(&whole).expect("whole").expect("packed"), text);
        assert_eq!(column_value(b"\0abc").expect("stored"), None);
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(text).expect("memory");
        let raw = headed(0x89, &size, &raw.finish().expect("memory"));
        assert_eq!(column_value(&raw).expect("whole").expect("packed"), text);
        for wrong in [size[0] - 1, size[0] + 1] {
            let error = event_body(&headed(0x81, &[wrong], &zlib(text))).expect_err("a lie");
            assert_eq!(error.kind(), Kind::Malformed);
        }
        let huge = headed(0x84, &[0xFF; 4], &zlib(text));
        assert_eq!(event_body(&huge).expect_err("too large").kind(), Kind::Malformed);
        assert_eq!(
            event_body(&headed(0x91, &size, &[])).expect_err("lzma").kind(),
            Kind::Unsupported
        );
    }

    /// Broken if a compressed transaction lost an event, or one that is cut, longer or shorter than it
    /// says were taken for whole.
    #[test]
    fn transactions_are_whole_or_an_error() {
        let sizes = [0, 5, 3_000_000, 1];
        for algorithm in [0, 255] {
            let whole = payload(&sizes, algorithm, |size| size);
            assert_eq!(sizes_of(&whole).expect("whole"), sizes);
            for lie in [|size| size - 1, |size| size + 1, |_| u64::MAX] {
                let error = sizes_of(&payload(&sizes, algorithm, lie)).expect_err("a lie");
                assert_eq!(error.kind(), Kind::Malformed);
            }
            assert!(sizes_of(&whole[..whole.len() - 1]).is_err());
        }
        let other = sizes_of(&payload(&sizes, 3, |size| size)).expect_err("unknown");
        assert!(other.to_string().contains("algorithm 3"), "{other}");
    }

    proptest! {
        /// Broken if any bytes made weir panic, or take memory that they only claim.
        #[test]
        fn no_bytes_panic(
            noise in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0usize..200,
            byte in any::<u8>(),
        ) {
            let _ = (event_body(&noise), column_value(&noise), sizes_of(&noise));
            let mut damaged = payload(&[10, 2_000], 0, |size| size);
            let end = damaged.len();
            damaged[at % end] = byte;
            let _ = sizes_of(&damaged);
        }
    }
}
