//! Gives a copied PostgreSQL data directory an identity of its own.
//!
//! Copies of one template share the system identifier, by which a replicator recognises "another server behind the
//! address". The identifier is the first word of `global/pg_control` (PostgreSQL source, `catalog/pg_control.h`), the
//! file's CRC-32C follows its last field; `pg_resetwal` then writes a log that carries the new one.
//! MySQL makes a new server_uuid by itself when `auto.cnf` is missing.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use super::account::Account;
use super::fetch::Installed;
use super::{Error, Kind, Result, template};

/// Changes the system identifier of the cleanly shut down cluster in `data`.
pub(crate) fn renew(installed: &Installed, account: Account, data: &Path) -> Result<()> {
    let path = data.join("global/pg_control");
    let lost = |e| Error::io("change the system identifier in pg_control", e);
    let mut file = fs::read(&path).map_err(lost)?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs());
    let identifier = (seconds & 0x7fff_ffff) << 32 | u64::from(fastrand::u32(..));
    if !change(&mut file, identifier) {
        return Err(Error::new(Kind::Server, "pg_control has no checksum that could be found"));
    }
    fs::write(&path, file).map_err(lost)?;
    let mut command = account.command(&installed.tool("pg_resetwal"));
    template::run(command.arg("-D").arg(data), "renew the write-ahead log", Stdio::null())
}

/// Writes the identifier and the checksum; false when no place holds the checksum of what is before it.
fn change(file: &mut [u8], identifier: u64) -> bool {
    let mut crc = Crc32c::new();
    let mut place = None;
    for (word, chunk) in file.chunks_exact(4).enumerate() {
        if word >= 32 && chunk == crc.value().to_ne_bytes() {
            place = Some(word * 4);
            break;
        }
        crc.add(chunk);
    }
    let Some((before, after)) = place.and_then(|place| file.split_at_mut_checked(place)) else {
        return false;
    };
    let (Some(first), Some(sum)) = (before.first_chunk_mut::<8>(), after.first_chunk_mut::<4>())
    else {
        return false;
    };
    *first = identifier.to_ne_bytes();
    let mut crc = Crc32c::new();
    crc.add(before);
    *sum = crc.value().to_ne_bytes();
    true
}

/// CRC-32C (Castagnoli), reflected, bit by bit: a few hundred bytes are all it ever sees.
struct Crc32c(u32);

impl Crc32c {
    fn new() -> Self {
        Self(u32::MAX)
    }

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 ^= u32::from(byte);
            for _ in 0..8 {
                let carry = self.0 & 1;
                self.0 = (self.0 >> 1) ^ (carry * 0x82f6_3b78);
            }
        }
    }

    fn value(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_castagnoli_one() {
        let mut crc = Crc32c::new();
        crc.add(b"123456789");
        assert_eq!(crc.value(), 0xe306_9283);
    }

    #[test]
    fn the_identifier_changes_and_the_checksum_follows() {
        let mut file: Vec<u8> = (0..288_u32).map(|i| (i % 251) as u8).collect();
        let mut crc = Crc32c::new();
        crc.add(&file);
        file.extend(crc.value().to_ne_bytes());
        file.resize(8192, 0);
        assert!(change(&mut file, 77));
        assert_eq!(file[..8], 77_u64.to_ne_bytes());
        let mut crc = Crc32c::new();
        crc.add(&file[..288]);
        assert_eq!(file[288..292], crc.value().to_ne_bytes());
        file[10] ^= 1;
        assert!(!change(&mut file, 78), "a file with a wrong checksum is not touched");
    }
}
