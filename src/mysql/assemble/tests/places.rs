//! The recording of MySQL, read by place: where it is taken up, and when GTIDs count again.

use super::*;
use crate::position::Coordinates;

const ROTATE: u8 = 4;
const GTIDS: [u8; 2] = [33, 42];
const ANONYMOUS: u8 = 34;

/// The made-up event that begins a dump of the recording from `position` on.
pub(super) fn named(position: u64) -> (Header, Vec<u8>) {
    let header = Header { kind: ROTATE, flags: 0x20, ..Header::default() };
    (header, [position.to_le_bytes().as_slice(), b"b.000007"].concat())
}

/// The dump of the recording by place: from its start, with `kept` of its events.
fn dump(kept: impl Fn(&Header) -> bool) -> Vec<(Header, Vec<u8>)> {
    let events = without_checksums(MYSQL).into_iter().filter(|(header, _)| kept(header));
    std::iter::once(named(4)).chain(events).collect()
}

fn take(from: &str, events: &[(Header, Vec<u8>)]) -> Vec<Part> {
    let mut assembler = assembler(Flavor::Mysql);
    let from: Position = from.parse().expect(from);
    let server =
        Server { flavor: Flavor::Mysql, names_by_case: true, logs_cascades: false, by_place: true };
    assembler = Assembler::new(Arc::clone(&assembler.plan), server, from, None).expect("a plan");
    let mut ready = Vec::new();
    for (header, body) in events {
        assembler.take(header, body, &mut ready).expect("a good log");
    }
    ready
}

fn positions(parts: &[Part]) -> Vec<Position> {
    parts.iter().filter_map(|part| Some(part.commit.as_ref()?.position.clone())).collect()
}

/// Broken if a log without GTIDs were taken up anywhere else than behind the commit that was stored,
/// also where the file must be read from its start.
#[test]
fn a_place_is_taken_up_behind_its_commit() {
    let mut events = dump(|_| true);
    for (header, body) in &mut events {
        if header.kind == GTIDS[0] {
            header.kind = ANONYMOUS;
            body[1..25].fill(0);
        }
    }
    events.retain(|(header, _)| header.kind != 35);
    let last = events.iter().position(|(header, _)| header.kind == GTIDS[1]).expect("tagged");
    events.truncate(last);
    let all = take("mysql-place:@b.000007:4", &events);
    let places = positions(&all);
    assert!(places.len() > 4 && all.iter().all(|part| part.commit.is_some()));
    for (at, place) in places.iter().enumerate() {
        let text = place.to_string();
        assert!(text.starts_with("mysql-place:@b.000007:") && text.contains('#'), "{text}");
        let rest = take(&text, &events);
        assert_eq!(changes(&rest), changes(&all[at + 1..]), "{text}");
        assert_eq!(positions(&rest), places[at + 1..], "{text}");
        assert!(places[at + 1..].iter().all(|later| later.reaches(place)), "{text}");
    }
}

/// Broken if a link stayed bound to one server once every transaction has a GTID, or went by GTIDs
/// while some transactions have none.
#[test]
fn gtids_count_once_a_file_holds_nothing_else() {
    let whole = take("mysql-place:@b.000007:4", &dump(|_| true));
    let by_gtid = take("mysql:@b.000007:4", &dump(|_| true));
    assert_eq!(positions(&whole), positions(&by_gtid));
    assert!(positions(&whole).iter().all(|one| matches!(one, Position::Mysql(_, Some(_)))));
    assert_eq!(changes(&whole), changes(&by_gtid));

    let mut events = dump(|_| true);
    let first = events.iter().position(|(header, _)| header.kind == GTIDS[0]).expect("a GTID");
    events[first].0.kind = ANONYMOUS;
    let mixed = positions(&take("mysql-place:@b.000007:4", &events));
    assert!(mixed.iter().all(|one| matches!(one, Position::MysqlPlace(..))), "{mixed:?}");
}

/// Broken if a link that is taken up within a file, whose transactions all have a GTID, went by places
/// from there on: a row that is read again knows only GTIDs, and would be waited for for ever.
#[test]
fn gtids_go_on_counting_within_a_file() {
    const FORMAT: u8 = 15;
    let all = positions(&take("mysql:@b.000007:4", &dump(|_| true)));
    for (at, position) in all.iter().enumerate() {
        let start = position.coordinates().expect("a place").position;
        let rest = |header: &Header| header.kind == FORMAT || u64::from(header.next) > start;
        let mut events = dump(rest);
        events[0] = named(start);
        assert_eq!(positions(&take(&position.to_string(), &events)), all[at + 1..], "{position}");
    }
}

/// Broken if a place were given to GTIDs of which some come later in the log: going on from there
/// without GTIDs would apply these twice.
#[test]
fn a_place_is_not_told_before_it_is_certain() {
    let events = dump(|_| true);
    let mut assembler = assembler(Flavor::Mysql);
    let all = positions(&take("mysql:@b.000007:4", &events));
    let end = all.last().and_then(Position::coordinates).expect("a place").position;
    assembler.begin_before(Some(Coordinates::new("b.000007", end)));
    let mut ready = Vec::new();
    for (header, body) in &events {
        assembler.take(header, body, &mut ready).expect("a good log");
    }
    let (last, before) =
        positions(&ready).split_last().map(|(l, b)| (l.clone(), b.to_vec())).expect("commits");
    assert!(before.iter().all(|one| one.coordinates().is_none()));
    assert!(last.coordinates().is_some_and(|at| at.born.is_some()), "{last}");
}
