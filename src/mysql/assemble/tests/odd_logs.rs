//! The recordings, rearranged as servers write them in rare cases, or read by another plan.

use super::*;

const FORMAT: u8 = 15;
const TABLE_MAP: u8 = 19;
const XID: u8 = 16;
const FILLER: u64 = 0xFF_FFFF;

fn take_all(assembler: &mut Assembler, events: &[(Header, Vec<u8>)]) -> Result<Vec<Part>> {
    let mut ready = Vec::new();
    for (header, body) in events {
        assembler.take(header, body, &mut ready)?;
    }
    Ok(ready)
}

fn is_rows(kind: u8) -> bool {
    matches!(kind, 23..=25 | 30..=32)
}

fn with_id(body: &mut [u8], id: u64) {
    body[..6].copy_from_slice(&id.to_le_bytes()[..6]);
}

/// Broken if the rows of a table were left out because it got the id that fillers have, or a
/// filler halted the link.
#[test]
fn a_table_may_have_the_id_of_fillers() {
    let mut events = without_checksums(MYSQL);
    let expected = take_all(&mut assembler(Flavor::Mysql), &events).expect("a good log");
    for (header, body) in &mut events {
        if header.kind == TABLE_MAP || is_rows(header.kind) {
            with_id(body, FILLER);
        }
    }
    let found = take_all(&mut assembler(Flavor::Mysql), &events).expect("a good log");
    assert_eq!(changes(&found), changes(&expected));

    let first = events.iter().position(|(header, _)| header.kind == TABLE_MAP).expect("a map");
    let header = Header { kind: 30, ..Header::default() };
    let mut filler = vec![0; 10];
    with_id(&mut filler, FILLER);
    filler[8] = 2;
    filler.extend([1, 1]);
    let mut assembler = assembler(Flavor::Mysql);
    take_all(&mut assembler, &events[..first]).expect("a good log");
    assembler.take(&header, &filler, &mut Vec::new()).expect("nothing to do");
    filler.push(0);
    let error = assembler.take(&header, &filler, &mut Vec::new()).expect_err("rows of no table");
    assert_eq!(error.kind(), Kind::Malformed, "{}", error.chain());
}

/// Broken if a file with very many tables halted the link between a table's map and its rows.
#[test]
fn very_many_tables_in_one_statement() {
    let events = without_checksums(MYSQL);
    let expected = take_all(&mut assembler(Flavor::Mysql), &events).expect("a good log");
    let at = events.iter().position(|(header, _)| is_rows(header.kind)).expect("rows");
    let (header, map) = events[..at].last().cloned().expect("a map");
    let others = (1_000_000..1_010_000).map(|id| {
        let mut map = map.clone();
        with_id(&mut map, id);
        (header, map)
    });
    let all: Vec<_> =
        events[..at].iter().cloned().chain(others).chain(events[at..].iter().cloned()).collect();
    let found = take_all(&mut assembler(Flavor::Mysql), &all).expect("a good log");
    assert_eq!(changes(&found), changes(&expected));
}

/// Broken if a transaction that the server gave up at a crash were applied, halted the link for
/// ever, or was left out after a part of it had been handed on.
#[test]
fn what_a_crash_left_unfinished_is_left_out() {
    let events = without_checksums(MARIADB);
    let whole = take_all(&mut assembler(Flavor::Mariadb), &events).expect("a good log");
    let end = events.iter().position(|(header, _)| header.kind == XID).expect("a commit");
    let mut format = events.iter().find(|(header, _)| header.kind == FORMAT).expect("one").clone();
    for (created, handed_on) in [(1, false), (0, false), (1, true)] {
        format.1[52..56].copy_from_slice(&u32::to_le_bytes(created));
        let mut assembler = assembler(Flavor::Mariadb);
        let before = take_all(&mut assembler, &events[..end]).expect("a good log");
        assembler.open.as_mut().expect("a transaction").handed_on = handed_on;
        let mut restarted = vec![format.clone()];
        restarted.extend_from_slice(&events[end + 1..]);
        let after = take_all(&mut assembler, &restarted);
        match (created, handed_on) {
            (1, false) => {
                let found = [changes(&before), changes(&after.expect("left out"))].concat();
                let expected = changes(&whole);
                assert!(!found.is_empty() && found.len() < expected.len());
                assert!(found.iter().all(|change| expected.contains(change)));
            }
            (_, handed_on) => {
                let error = after.expect_err("not understood");
                let kind = if handed_on { Kind::Unsupported } else { Kind::Malformed };
                assert_eq!(error.kind(), kind, "{}", error.chain());
            }
        }
    }
}
