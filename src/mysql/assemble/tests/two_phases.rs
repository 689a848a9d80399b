//! Recordings of both servers with a mix of transactions in one phase and in two, names used again,
//! commits out of order, rollbacks, and on MariaDB two domains: taken up at every position.

use super::places::named;
use super::*;
use crate::position::Coordinates;

const MYSQL: &[u8] = include_bytes!("../../../../tests/fixtures/binlog/two_phases.mysql.bin");
const MARIADB: &[u8] = include_bytes!("../../../../tests/fixtures/binlog/two_phases.mariadb.bin");
const FORMAT: u8 = 15;

type Events = Vec<(Header, Vec<u8>)>;

/// The recording as a dump sends it.
fn dump(flavor: Flavor) -> Events {
    let file = if flavor == Flavor::Mysql { MYSQL } else { MARIADB };
    std::iter::once(named(4)).chain(without_checksums(file)).collect()
}

/// What the server sends after `asked`, by GTID.
fn after(events: &Events, flavor: Flavor, asked: &Position) -> Events {
    let asked = asked.clone().without_place();
    let mut sent = true;
    let wanted = |(header, body): &&(Header, Vec<u8>)| {
        let gtid = match parse(header, body, &Format::unknown(flavor)).expect("an event") {
            Event::MysqlGtid(gtid) => Gtid::Mysql(gtid.origin, gtid.number),
            Event::MariadbGtid { gtid, .. } => Gtid::Mariadb(gtid),
            _ => return sent,
        };
        sent = !asked.reaches(&gtid.after(empty_position(flavor)).expect("of this server"));
        sent
    };
    events.iter().filter(wanted).cloned().collect()
}

fn take(
    from: &Position,
    flavor: Flavor,
    by_place: bool,
    reviewed: Option<Position>,
    events: &Events,
) -> Result<Vec<Part>> {
    let end = events.last().map_or(4, |(header, _)| header.next.into());
    take_to(end, from, flavor, by_place, reviewed, events)
}

/// What is taken of a log that reached to `head` when it was asked for.
fn take_to(
    head: u64,
    from: &Position,
    flavor: Flavor,
    by_place: bool,
    reviewed: Option<Position>,
    events: &Events,
) -> Result<Vec<Part>> {
    let plan = assembler(flavor).plan;
    let server = Server { flavor, names_by_case: true, logs_cascades: false, by_place };
    let mut assembler = Assembler::new(plan, server, from.clone(), reviewed)?;
    assembler.begin_before(Some(Coordinates::new("b.000007", head)));
    let mut ready = Vec::new();
    for (header, body) in events {
        assembler.take(header, body, &mut ready)?;
    }
    Ok(ready)
}

fn positions(parts: &[Part]) -> Vec<Position> {
    parts.iter().filter_map(|part| Some(part.commit.as_ref()?.position.clone())).collect()
}

/// Takes the log up at every one of its positions; how many of them are held.
fn every_position(flavor: Flavor, by_place: bool) -> usize {
    let (events, place) = (dump(flavor), Coordinates::new("b.000007", 4));
    let start = match flavor {
        Flavor::Mysql => Position::Mysql(MysqlGtidSet::default(), Some(place)),
        Flavor::Mariadb => Position::Mariadb(MariadbGtidSet::default(), Some(place)),
    };
    let all = take(&start, flavor, by_place, None, &events).expect("a good log");
    let mut ends = Vec::new();
    for (at, part) in all.iter().enumerate() {
        ends.extend(part.commit.as_ref().map(|commit| (at, commit.position.clone())));
    }
    assert!(ends.len() > 60 && changes(&all).len() > 40);
    for (at, end) in &ends {
        let stored: Position = end.to_string().parse().expect("stored");
        assert_eq!(&stored, end);
        let restart = stored.restart();
        let rest = if by_place {
            let from = restart.coordinates().expect("a place").position;
            let rest = events
                .iter()
                .skip(1)
                .filter(|(header, _)| header.kind == FORMAT || u64::from(header.next) > from);
            std::iter::once(named(from)).chain(rest.cloned()).collect()
        } else {
            after(&events, flavor, restart)
        };
        let rest = take(&stored, flavor, by_place, None, &rest).expect("a good log");
        assert_eq!(changes(&rest), changes(&all[at + 1..]), "{end}");
        assert_eq!(positions(&rest), positions(&all[at + 1..]), "{end}");
    }
    ends.iter().filter(|(_, end)| end.held_by().is_some()).count()
}

/// Broken if a transaction that was prepared before the position and committed after it were lost, or
/// one that is applied came again.
#[test]
fn every_position_can_be_taken_up() {
    for (flavor, by_place) in
        [(Flavor::Mysql, false), (Flavor::Mysql, true), (Flavor::Mariadb, false)]
    {
        let held = every_position(flavor, by_place);
        assert!(held > 20, "{flavor:?}: {held} positions are held");
    }
}

/// Broken if rows that were prepared before the link's start, and committed after it, were lost in
/// silence; or if a person could not let the log be passed there.
#[test]
fn a_commit_of_what_was_not_read_halts() {
    for flavor in [Flavor::Mysql, Flavor::Mariadb] {
        let events = dump(flavor);
        let start = empty_position(flavor);
        let all = positions(&take(&start, flavor, false, None, &events).expect("a good log"));
        let held = all.iter().find(|position| position.held_by().is_some()).expect("a prepare");
        let from = held.applied();
        let rest = after(&events, flavor, from);
        let error = take(from, flavor, false, None, &rest).expect_err("unknown");
        assert_eq!(error.kind(), Kind::TableGap, "{}", error.chain());
        assert!(error.chain().contains("XA COMMIT of X'"), "{}", error.chain());
        let last = all.last().cloned();
        take(from, flavor, false, last, &rest).expect("a person has looked at it");
    }
}

/// Broken if a log that lacks what was applied were read on: all of it would be taken for applied.
#[test]
fn a_log_without_what_was_applied_is_refused() {
    let flavor = Flavor::Mariadb;
    let text = "mariadb:0-7-5000,5-7-5000@b.000007:4~mariadb:@b.000007:4~x@1";
    let (from, events) = (text.parse().expect("held"), dump(flavor));
    let taken = take(&from, flavor, false, None, &events).expect("it may come yet");
    assert!(taken.is_empty());
    let error = take_to(2_000, &from, flavor, false, None, &events).expect_err("another log");
    assert_eq!(error.kind(), Kind::Identity, "{}", error.chain());
}
