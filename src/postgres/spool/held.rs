//! The messages of one open transaction: a buffer in memory, and a file once they are more than that.
//!
//! The file is `WEIRSPOOL`, a version byte and the transaction id, then chunks: length, CRC-32 and
//! entries. An entry is a (sub)transaction id, a length and a message as it reads outside a block;
//! numbers are big-endian. A chunk that does not fit its checksum is an error and nothing of it is
//! used. Only its owner can read the file (mode 0600); it is removed when this value is dropped, and
//! whatever else was left behind at the next start. Nothing is synced: no crash needs it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hashbrown::HashSet;
use tokio::task::spawn_blocking;

use super::failed;
use crate::error::{Error, Kind, Result};

/// From this size on what is kept goes to disk, in bytes.
pub(super) const CHUNK_BYTES: usize = 256 << 10;
/// Length and checksum before the entries of a chunk.
const CHUNK_HEADER_BYTES: usize = 8;
const ENTRY_HEADER_BYTES: usize = 8;
const MAGIC: &[u8; 10] = b"WEIRSPOOL\x01";
const HEADER_BYTES: usize = MAGIC.len() + 4;

/// What is kept of one transaction.
#[derive(Debug)]
pub(super) struct Held {
    xid: u32,
    path: PathBuf,
    used: Arc<AtomicU64>,
    /// The newest entries, behind room for the header of their chunk.
    buffer: BytesMut,
    disk: Option<OnDisk>,
    aborted: HashSet<u32>,
}

/// A file; it and its share of the bytes used go when this is dropped.
#[derive(Debug)]
struct OnDisk {
    file: Arc<File>,
    path: PathBuf,
    bytes: u64,
    used: Arc<AtomicU64>,
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a spool file is not removed");
        }
    }
}

impl Held {
    /// Nothing yet of transaction `xid`, for which `path` is to be used.
    pub(super) fn new(xid: u32, path: PathBuf, used: Arc<AtomicU64>) -> Self {
        let (buffer, aborted) = (BytesMut::new(), HashSet::new());
        Held { xid, path, used, buffer, disk: None, aborted }
    }

    /// Keeps a message of `subxid`.
    pub(super) fn push(&mut self, subxid: u32, tag: u8, body: &[u8]) -> Result<()> {
        let length = u32::try_from(body.len() + 1)
            .map_err(|_| Error::new(Kind::Malformed, "a message of more than 4 GiB"))?;
        if self.buffer.is_empty() {
            self.buffer.put_bytes(0, CHUNK_HEADER_BYTES);
        }
        self.buffer.put_u32(subxid);
        self.buffer.put_u32(length);
        self.buffer.put_u8(tag);
        self.buffer.put_slice(body);
        Ok(())
    }

    /// Bytes in memory.
    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Leaves what `subxid` did out; of how many that is so now.
    pub(super) fn abort(&mut self, subxid: u32) -> usize {
        self.aborted.insert(subxid);
        self.aborted.len()
    }

    /// Moves what is in memory to disk. The inner error is that of the disk.
    pub(super) async fn write_out(&mut self) -> Result<io::Result<()>> {
        if self.buffer.is_empty() {
            return Ok(Ok(()));
        }
        let mut chunk = std::mem::take(&mut self.buffer);
        seal(&mut chunk);
        let at = match self.disk.as_ref() {
            Some(disk) => Ok((Arc::clone(&disk.file), disk.bytes)),
            None => {
                let (path, xid) = (self.path.clone(), self.xid);
                let made = spawn_blocking(move || create(&path, xid)).await.map_err(failed)?;
                made.map(|file| {
                    let (file, bytes) = (Arc::new(file), HEADER_BYTES as u64);
                    self.used.fetch_add(bytes, Ordering::Relaxed);
                    let (path, used) = (self.path.clone(), Arc::clone(&self.used));
                    self.disk = Some(OnDisk { file: Arc::clone(&file), path, bytes, used });
                    (file, bytes)
                })
            }
        };
        let (file, offset) = match at {
            Ok(at) => at,
            Err(cause) => return Ok(Err(cause)),
        };
        let length = chunk.len() as u64;
        let written = spawn_blocking(move || file.write_all_at(&chunk, offset)).await;
        let written = written.map_err(failed)?;
        if let (Ok(()), Some(disk)) = (&written, &mut self.disk) {
            disk.bytes += length;
            self.used.fetch_add(length, Ordering::Relaxed);
        }
        Ok(written)
    }

    /// What was kept, from the beginning.
    pub(super) fn replay(self) -> Replay {
        Replay { held: self, offset: 0, chunk: Bytes::new() }
    }
}

/// Puts length and checksum into the room before the entries.
fn seal(chunk: &mut BytesMut) {
    let Some((header, entries)) = chunk.split_at_mut_checked(CHUNK_HEADER_BYTES) else { return };
    let length = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let (left, right) = header.split_at_mut(CHUNK_HEADER_BYTES / 2);
    left.copy_from_slice(&length.to_be_bytes());
    right.copy_from_slice(&crc32fast::hash(entries).to_be_bytes());
}

fn create(path: &Path, xid: u32) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all_at(&[MAGIC.as_slice(), &xid.to_be_bytes()].concat(), 0)?;
    Ok(file)
}

/// Makes `directory`, empty and for the owner alone.
pub(super) fn make_empty(directory: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// The messages of a transaction that has committed, one after the other.
#[derive(Debug)]
pub(in crate::postgres) struct Replay {
    held: Held,
    /// How much of the file was read.
    offset: u64,
    /// Entries that are in memory.
    chunk: Bytes,
}

impl Replay {
    /// The next message that was not rolled back; `None` when that was all.
    ///
    /// Errors: `Unavailable` where the file cannot be read or is not what was written.
    pub(in crate::postgres) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            while !self.chunk.is_empty() {
                let (subxid, message) =
                    entry(&mut self.chunk).ok_or_else(|| damaged(&self.held.path))?;
                if !self.held.aborted.contains(&subxid) {
                    return Ok(Some(message));
                }
            }
            if !self.load().await? {
                return Ok(None);
            }
        }
    }

    /// Reads the next chunk; false where there is none.
    async fn load(&mut self) -> Result<bool> {
        let Some(disk) = self.held.disk.as_ref().filter(|disk| self.offset < disk.bytes) else {
            let mut rest = std::mem::take(&mut self.held.buffer);
            if rest.is_empty() {
                return Ok(false);
            }
            rest.advance(CHUNK_HEADER_BYTES);
            self.chunk = rest.freeze();
            return Ok(true);
        };
        let (file, xid, offset, end) =
            (Arc::clone(&disk.file), self.held.xid, self.offset, disk.bytes);
        let read = spawn_blocking(move || read_chunk(&file, xid, offset, end)).await;
        let unreadable = |cause| damaged(&self.held.path).caused_by(cause);
        let (entries, offset) = read.map_err(failed)?.map_err(unreadable)?;
        (self.chunk, self.offset) = (entries, offset);
        Ok(true)
    }
}

/// The entries at `offset` of a file of `end` bytes, and where the next ones are.
fn read_chunk(file: &File, xid: u32, offset: u64, end: u64) -> io::Result<(Bytes, u64)> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "not what was written");
    let mut offset = offset;
    if offset == 0 {
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, 0)?;
        if header[..] != [MAGIC.as_slice(), &xid.to_be_bytes()].concat() {
            return Err(damaged());
        }
        offset = HEADER_BYTES as u64;
    }
    let mut header = [0; CHUNK_HEADER_BYTES];
    file.read_exact_at(&mut header, offset)?;
    let mut numbers = header.as_slice();
    let (length, checksum) = (numbers.get_u32(), numbers.get_u32());
    offset += CHUNK_HEADER_BYTES as u64;
    if offset + u64::from(length) > end {
        return Err(damaged());
    }
    let mut entries = vec![0; length as usize];
    file.read_exact_at(&mut entries, offset)?;
    if crc32fast::hash(&entries) != checksum {
        return Err(damaged());
    }
    Ok((entries.into(), offset + u64::from(length)))
}

/// The first entry, taken off.
pub(in crate::postgres) fn entry(chunk: &mut Bytes) -> Option<(u32, Bytes)> {
    if chunk.len() < ENTRY_HEADER_BYTES {
        return None;
    }
    let (subxid, length) = (chunk.get_u32(), chunk.get_u32() as usize);
    (length <= chunk.len()).then(|| (subxid, chunk.split_to(length)))
}

fn damaged(path: &Path) -> Error {
    let context = format!("the spool file {} cannot be read back", path.display());
    Error::new(Kind::Unavailable, context).hint(
        "check the disk; nothing is lost, weir reconnects and the source sends all of it anew; \
         streaming = \"off\" does without the spool",
    )
}
