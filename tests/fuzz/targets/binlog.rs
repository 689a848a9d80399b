//! The log of MySQL and MariaDB: whole files as a link reads them, and single tables with rows of every
//! type. The first byte says whose log it is.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use weir::mysql::probe;

use super::refused;
use crate::Target;

/// A row may be a bit per column and becomes a value per column; what is compressed may grow a
/// thousandfold, and is bounded by what it claims to be.
const MEMORY: (usize, usize) = (4096, 32 << 20);

/// Recorded files.
pub(super) const FILES: Target =
    Target { name: "binlog", seeds: files, words: &[], bytes_max: 24_000, memory: MEMORY, run };

/// A table map and an event of its rows.
pub(super) const ROWS: Target =
    Target { name: "rows", seeds: rows, words: &[], bytes_max: 4_000, memory: MEMORY, run };

fn run(input: &[u8]) -> Result<String, String> {
    let Some((flavor, file)) = input.split_first() else { return Ok(String::new()) };
    let mariadb = flavor & 1 == 1;
    let apart = probe::events_apart(file, mariadb);
    Ok(match probe::file(file, mariadb) {
        Ok(changes) => format!("ok {} {apart:?}", changes > 0),
        Err(error) => format!("{} {}", refused(&error), apart.0 > 0),
    })
}

fn files() -> Vec<Vec<u8>> {
    let mysql: [&[u8]; 2] = [
        include_bytes!("../../fixtures/binlog/mysql.bin"),
        include_bytes!("../../fixtures/binlog/two_phases.mysql.bin"),
    ];
    let mariadb: [&[u8]; 2] = [
        include_bytes!("../../fixtures/binlog/mariadb.bin"),
        include_bytes!("../../fixtures/binlog/two_phases.mariadb.bin"),
    ];
    let whose = |flavor: u8, file: &[u8]| [&[flavor], file].concat();
    let mysql = mysql.into_iter().map(|file| whose(0, file));
    mysql.chain(mariadb.into_iter().map(|file| whose(1, file))).collect()
}

/// An event with its header, and room for a checksum.
fn event(kind: u8, body: &[u8]) -> Vec<u8> {
    let size = body.len() as u32 + 23;
    let header = [&[0, 0, 0, 0, kind, 1, 0, 0, 0][..], &size.to_le_bytes(), &[0; 6]].concat();
    [&header, body, &[0; 4]].concat()
}

/// A column: its type in the log, what describes it, and a value.
type Column = (u8, &'static [u8], &'static [u8]);

const COLUMNS: &[Column] = &[
    (1, &[], &[0xFF]),
    (2, &[], &[1, 2]),
    (9, &[], &[1, 2, 0xFF]),
    (3, &[], &[1, 2, 3, 4]),
    (8, &[], &[1, 2, 3, 4, 5, 6, 7, 8]),
    (4, &[4], &[0, 0, 0x80, 0x3F]),
    (5, &[8], &[0, 0, 0, 0, 0, 0, 0xF0, 0x3F]),
    (246, &[20, 10], &[0x80, 0, 0, 0, 1, 0, 0, 0, 1, 0]),
    (10, &[], &[0x5D, 0xD0, 0x0F]),
    (13, &[], &[124]),
    (11, &[], &[0, 0, 0]),
    (12, &[], &[0, 0, 0, 0, 0, 0, 0, 0]),
    (7, &[], &[1, 0, 0, 0]),
    (19, &[2], &[0x80, 0x10, 0x41, 0x05]),
    (18, &[6], &[0x99, 0xB2, 0xBA, 0xC0, 0, 0, 0, 1]),
    (17, &[3], &[0x66, 0x5A, 0xF1, 0x20, 0x03, 0xE8]),
    (254, &[254, 20], b"\x02ab"),
    (254, &[254, 16], b"\x03ab\xFF"),
    (15, &[44, 1], b"\x02\0ab"),
    (252, &[2], b"\x02\0ab"),
    (245, &[4], b"\x02\0\0\0\x04\x01"),
    (254, &[247, 1], &[1]),
    (254, &[248, 1], &[3]),
    (16, &[2, 1], &[1, 1]),
    (255, &[4], b"\x02\0\0\0ab"),
    (242, &[4], b"\x04\0\0\0\0\0\0\0"),
    (140, &[2], b"\x03\0\0ab"),
];

/// A table of these columns: its map with all metadata.
fn map(columns: &[Column]) -> Vec<u8> {
    let count = columns.len() as u8;
    let details: Vec<u8> = columns.iter().flat_map(|column| column.1).copied().collect();
    let mut body = b"\x07\0\0\0\0\0\x01\0\x03app\0\x01t\0".to_vec();
    body.push(count);
    body.extend(columns.iter().map(|column| column.0));
    body.push(details.len() as u8);
    body.extend(details);
    body.extend(vec![0xFF; columns.len().div_ceil(8)]);
    let mut field = |kind: u8, value: &[u8]| {
        body.extend([kind, value.len() as u8]);
        body.extend(value);
    };
    field(1, &[0x55; 2]);
    field(2, &[255, 1, 63]);
    let names: Vec<u8> = (0..count).flat_map(|number| [1, b'A' + number]).collect();
    field(4, &names);
    field(5, b"\x02\x01x\x01y");
    field(6, b"\x02\x01a\x01b");
    field(10, &[255]);
    event(19, &body)
}

/// An event with two rows (before and after where it is an update).
fn rows_of(kind: u8, columns: &[Column]) -> Vec<u8> {
    let bitmap = vec![0xFF; columns.len().div_ceil(8)];
    let row: Vec<u8> = columns.iter().flat_map(|column| column.2).copied().collect();
    let row = [vec![0; bitmap.len()], row].concat();
    let is_update = matches!(kind, 24 | 31 | 39 | 167 | 170);
    let mut body = b"\x07\0\0\0\0\0\x01\0".to_vec();
    if matches!(kind, 30..=32 | 39 | 169..=171) {
        body.extend([2, 0]);
    }
    body.push(columns.len() as u8);
    body.extend(&bitmap);
    let after = if kind == 39 { [&[0], &row[..]].concat() } else { row.clone() };
    if is_update {
        body.extend(&bitmap);
    }
    let rows = if is_update { [row, after].concat() } else { [row.clone(), row].concat() };
    if kind >= 166 {
        body.extend([0x84]);
        body.extend((rows.len() as u32).to_be_bytes());
        let mut encoder = ZlibEncoder::new(body, Compression::fast());
        encoder.write_all(&rows).expect("memory");
        body = encoder.finish().expect("memory");
    } else {
        body.extend(rows);
    }
    event(kind, &body)
}

/// Every column in one table, and tables of a few.
fn rows() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let mut add = |flavor: u8, kind: u8, columns: &[Column]| {
        let file = [&[flavor], &b"\xFEbin"[..], &map(columns), &rows_of(kind, columns)].concat();
        seeds.push(file);
    };
    for (flavor, kind) in [(0, 30), (0, 31), (0, 39), (0, 32), (1, 23), (1, 24), (1, 166), (1, 167)]
    {
        add(flavor, kind, COLUMNS);
    }
    COLUMNS.chunks(3).for_each(|columns| add(0, 30, columns));
    seeds
}
