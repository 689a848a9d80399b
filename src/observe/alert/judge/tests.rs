//! What is told of sequences of looks.

use proptest::prelude::*;

use super::*;
use crate::error::{Error, Kind};
use crate::link::ledger::HaltRecord;
use crate::link::notes::OpenNotes;
use crate::link::ports::Retention;
use crate::link::status::{Counters, LinkState, SetAside};
use crate::verify::report::{Counts, Summary};

const S: i64 = 1_000_000;
const INTERVAL: Duration = Duration::from_secs(300);

fn link(target: &str) -> LinkName {
    LinkName { source: "crm".to_owned(), target: target.to_owned() }
}

/// A link that has run for long.
fn running() -> LinkStatus {
    let since_us = -3_600 * S;
    let mut status = LinkStatus { state: LinkState::Running, since_us, ..LinkStatus::default() };
    status.lag.streaming = true;
    status.lag.caught_up_at_us = Some(i64::MAX);
    status
}

fn halted(since_s: i64) -> LinkStatus {
    let error = Error::new(Kind::Constraint, "refused").hint("correct it");
    let error = Some(HaltRecord::of(&error, since_s * S));
    LinkStatus { state: LinkState::Halted, since_us: since_s * S, error, ..LinkStatus::default() }
}

fn retrying(since_s: i64) -> LinkStatus {
    let error = Some(HaltRecord::of(&Error::new(Kind::Connection, "away"), 0));
    let state = LinkState::Retrying;
    LinkStatus { state, since_us: since_s * S, error, ..LinkStatus::default() }
}

struct Scene {
    judge: Judge,
    bounds: AlertBounds,
    room: Room,
}

impl Scene {
    fn new() -> Scene {
        let room = Room { free: Some(1 << 40), min: Some(128 << 20) };
        Scene { judge: Judge::default(), bounds: AlertBounds::default(), room }
    }

    fn look(&mut self, now_s: i64, links: &[(LinkName, LinkStatus)]) -> Vec<Alert> {
        self.judge.look(links, self.room, &self.bounds, INTERVAL, now_s * S)
    }

    /// Kind, state and count of what is told of the link `crm:dwh`.
    fn told(&mut self, now_s: i64, status: LinkStatus) -> Vec<(&'static str, AlertState, u64)> {
        let alerts = self.look(now_s, &[(link("dwh"), status)]);
        alerts.iter().map(|alert| (alert.key.0.name(), alert.state, alert.count)).collect()
    }
}

use AlertState::{Open, Resolved};

/// Broken if nobody were told that a database writes what it does not own, every such write were a message, or one
/// that goes on passed for over.
#[test]
fn flagged_writes_are_told_with_a_count_until_it_is_quiet() {
    let mut scene = Scene::new();
    let wrote = |last_s: i64, flagged| {
        let counters = Counters { flagged, ..Counters::default() };
        LinkStatus { flagged_us: Some(last_s * S), counters, ..running() }
    };
    assert_eq!(scene.told(0, running()), []);
    assert_eq!(scene.told(1, wrote(1, 3)), [("flagged_writes", Open, 3)]);
    assert_eq!(scene.told(2, wrote(2, 50)), []);
    assert_eq!(scene.told(301, wrote(2, 50)), [("flagged_writes", Open, 47)]);
    assert_eq!(scene.told(601, wrote(2, 50)), []);
    assert_eq!(scene.told(602, wrote(2, 50)), [("flagged_writes", Resolved, 0)]);
    assert_eq!(scene.told(9_000, wrote(9_000, 51)), [("flagged_writes", Open, 1)]);
}

/// Broken if a halt were not told at once, were told every second, or if its end were told before the
/// link streams again, or not at all.
#[test]
fn a_halt_is_told_once_and_once_more_when_it_is_over() {
    let mut scene = Scene::new();
    assert_eq!(scene.told(0, running()), []);
    let alerts = scene.look(10, &[(link("dwh"), halted(9))]);
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].since_us, alerts[0].count), (9 * S, 1));
    assert_eq!(alerts[0].text, "link crm:dwh has halted: refused");
    assert_eq!((alerts[0].hint.as_str(), alerts[0].until_us), ("correct it", None));
    for now in 11..2_000 {
        assert_eq!(scene.told(now, halted(9)), [], "at {now}");
    }
    let starting = LinkStatus { state: LinkState::Starting, ..LinkStatus::default() };
    let starting = LinkStatus { since_us: 2_000 * S, ..starting };
    assert_eq!(scene.told(2_000, starting), []);
    let alerts = scene.look(2_001, &[(link("dwh"), running())]);
    assert_eq!(
        (alerts[0].state, alerts[0].since_us, alerts[0].until_us),
        (Resolved, 9 * S, Some(2_001 * S))
    );
    assert_eq!((alerts[0].text.as_str(), alerts[0].hint.as_str()), ("link crm:dwh runs again", ""));
    assert_eq!(scene.told(2_002, running()), []);
}

/// Broken if a link that is resumed and halts again and again were told of each time, or the times that
/// were kept back were forgotten.
#[test]
fn what_happens_again_is_counted() {
    let mut scene = Scene::new();
    assert_eq!(scene.told(1, halted(1)), [("link_halted", Open, 1)]);
    assert_eq!(scene.told(2, running()), [("link_halted", Resolved, 0)]);
    for now in [10, 20, 30] {
        assert_eq!(scene.told(now, halted(now)), []);
        assert_eq!(scene.told(now + 1, running()), []);
    }
    assert_eq!(scene.told(40, halted(40)), []);
    // Resumed and halted again between two looks.
    assert_eq!(scene.told(41, halted(41)), []);
    assert_eq!(scene.told(301, halted(41)), []);
    assert_eq!(scene.told(302, halted(41)), [("link_halted", Open, 5)]);
    assert_eq!(scene.told(310, halted(310)), []);
    assert_eq!(scene.told(602, halted(310)), [("link_halted", Open, 1)]);
    assert_eq!(scene.told(603, running()), [("link_halted", Resolved, 0)]);
    assert_eq!(scene.told(610, halted(610)), []);
    assert_eq!(scene.told(611, running()), []);
    assert_eq!(scene.told(903, running()), [("link_halted", Resolved, 1)], "it was, and is over");
}

/// Broken if a restart of a server were told of, a server that is away were not, or a link that runs
/// for a moment at each try were told to run.
#[test]
fn a_link_that_tries_for_long_is_told_of() {
    let mut scene = Scene::new();
    scene.bounds.lag_max = None;
    assert_eq!(scene.told(60, retrying(1)), []);
    let alerts = scene.look(61, &[(link("dwh"), retrying(1))]);
    assert_eq!((alerts[0].key.0, alerts[0].since_us), (AlertKind::LinkRetrying, S));
    assert_eq!(alerts[0].text, "link crm:dwh has not got on for 60 s: away");
    assert_eq!(scene.told(90, retrying(1)), []);
    let moment = LinkStatus { since_us: 91 * S, ..running() };
    assert_eq!(scene.told(95, moment.clone()), []);
    assert_eq!(scene.told(96, moment), [("link_retrying", Resolved, 0)]);
    let starting = LinkStatus { since_us: 1_000 * S, ..LinkStatus::default() };
    assert_eq!(scene.told(1_059, starting.clone()), []);
    assert_eq!(scene.told(1_060, starting), [("link_retrying", Open, 1)]);
    let alerts = scene.look(1_061, &[(link("dwh"), halted(1_061))]);
    assert_eq!(alerts.len(), 2);
    assert_eq!(alerts[1].text, "link crm:dwh is halted");
}

/// Broken if rows that are set aside were not told of, or not how many and when all are gone.
#[test]
fn rows_set_aside_are_told_of() {
    let mut scene = Scene::new();
    let aside = |rows: u64, happened: u64| {
        let set_aside = SetAside { rows, letters: rows, since_us: Some(S) };
        let counters = Counters { dead_letters: happened, ..Counters::default() };
        let open_notes = Some(OpenNotes::default());
        LinkStatus { set_aside, counters, open_notes, ..running() }
    };
    let alerts = scene.look(9, &[(link("dwh"), aside(10_000, 10_000))]);
    assert_eq!((alerts[0].key.0, alerts[0].count), (AlertKind::DeadLetters, 10_000));
    assert_eq!(alerts[0].text, "10000 rows of link crm:dwh set aside");
    assert_eq!(scene.told(10, aside(1, 10_000)), []);
    assert_eq!(scene.told(11, running()), [], "not known");
    assert_eq!(scene.told(12, aside(3, 10_002)), []);
    assert_eq!(scene.told(309, aside(3, 10_002)), [("dead_letters", Open, 2)]);
    let alerts = scene.look(310, &[(link("dwh"), aside(0, 10_002))]);
    assert_eq!(alerts[0].text, "no row of link crm:dwh is set aside any more");
}

/// Broken if a lag were told of within its bound, or one that is not known counted as none.
#[test]
fn lag_is_told_beyond_its_bound() {
    let mut scene = Scene::new();
    let behind = |at_s: i64| {
        let mut status = running();
        status.lag.oldest_unapplied_us = Some(at_s * S);
        status
    };
    assert_eq!(scene.told(1_000, behind(700)), []);
    let alerts = scene.look(1_001, &[(link("dwh"), behind(700))]);
    assert_eq!(alerts[0].key.0, AlertKind::Lag);
    assert_eq!(alerts[0].text, "dwh is 301 s behind crm, more than 300 s");
    assert_eq!(
        scene.told(1_002, LinkStatus { since_us: 1_002 * S, ..LinkStatus::default() }),
        [],
        "not known"
    );
    assert_eq!(scene.told(1_003, behind(1_000)), [("lag", Resolved, 0)]);
}

/// Broken if log that runs out were not told of in time, or were only while the link runs.
#[test]
fn log_that_runs_out_is_told_of() {
    let mut scene = Scene::new();
    let keeps = |retention: Retention| LinkStatus { retention, ..halted(0) };
    let slot = |safe: i64| keeps(Retention { safe_bytes: Some(safe), ..Retention::default() });
    let told = scene.told(1, slot(1 << 30));
    assert_eq!(told, [("link_halted", Open, 1)]);
    assert_eq!(scene.told(2, slot((1 << 30) - 1)), [("log_retention", Open, 1)]);
    assert_eq!(scene.told(3, keeps(Retention::default())), [], "not known");
    let unbounded = Retention { retained_bytes: Some(9), ..Retention::default() };
    assert_eq!(scene.told(4, keeps(unbounded)), [("log_retention", Resolved, 0)]);
    for (safe, expected) in [(0, "its slot is lost"), (-5, "at any time")] {
        let mut scene = Scene::new();
        let alerts = scene.look(1, &[(link("dwh"), slot(safe))]);
        assert!(alerts[1].text.contains(expected), "{alerts:?}");
    }
    let mut scene = Scene::new();
    let file = |hours: u64| {
        let purge_eta = Some(Duration::from_secs(hours * 3600));
        keeps(Retention { purge_eta, ..Retention::default() })
    };
    scene.told(1, file(6));
    assert_eq!(scene.told(2, file(5)), [("log_retention", Open, 1)]);
    scene.bounds.binlog_left_min = None;
    assert_eq!(scene.told(3, file(5)), [("log_retention", Resolved, 0)]);
}

/// Broken if a disk that fills up were not told of, or one that cannot be looked at were full.
#[test]
fn a_disk_that_fills_up_is_told_of() {
    let mut scene = Scene::new();
    scene.room.free = None;
    assert_eq!(scene.look(1, &[]), []);
    scene.room.free = Some((1 << 30) - 1);
    let alerts = scene.look(2, &[]);
    assert_eq!(alerts[0].key, (AlertKind::DiskSpace, None));
    assert!(alerts[0].hint.ends_with("below 128 MiB every link halts"), "{:?}", alerts[0]);
    scene.room.free = Some(1 << 30);
    assert_eq!(scene.look(3, &[])[0].state, Resolved);
}

/// Broken if what was told of a link that is gone since stayed open for ever at whoever was told.
#[test]
fn a_link_that_is_gone_has_no_trouble() {
    let mut scene = Scene::new();
    assert_eq!(scene.told(1, halted(1)).len(), 1);
    let alerts = scene.look(2, &[]);
    assert_eq!((alerts[0].state, alerts[0].text.as_str()), (Resolved, "no longer configured"));
    assert!(scene.look(302, &[]).is_empty() && scene.judge.topics.is_empty());
}

/// A look at a count that only grows.
fn counted(happened: u64) -> Reading {
    let occurrence = 0;
    Reading::Bad(Finding { occurrence, happened, ..Finding::default() })
}

/// Broken if ten thousand dead letters were ten thousand alerts, or not told as so many.
#[test]
fn ten_thousand_are_one() {
    let key = || (AlertKind::DeadLetters, Some(link("dwh")));
    let interval = 300 * S;
    let mut topic = Topic::default();
    let mut told = Vec::new();
    for happened in 1..=10_000 {
        let now = happened as i64 * 10_000;
        topic.note(counted(happened), now);
        told.extend(topic.tell(key(), interval, now));
    }
    topic.note(counted(10_000), 1_000 * S);
    told.extend(topic.tell(key(), interval, 1_000 * S));
    assert_eq!(told.iter().map(|alert| alert.count).collect::<Vec<_>>(), [1, 9_999]);
    topic.note(Reading::Good(String::new()), 1_001 * S);
    assert_eq!(topic.tell(key(), interval, 1_001 * S).map(|alert| alert.state), Some(Resolved));
    assert!(!topic.is_settled(interval, 9_000 * S), "the count goes on");
    topic.note(counted(10_001), 9_000 * S);
    assert_eq!(topic.tell(key(), interval, 9_000 * S).map(|alert| alert.count), Some(1));
}

proptest! {
    /// Broken if anything that happens were not counted, if one topic were told of more often than
    /// twice in the interval, if what is told contradicted itself, or if it were not in the end what is.
    #[test]
    fn nothing_is_forgotten_and_nothing_told_twice(
        looks in proptest::collection::vec((1..200i64, 0..4u8, 0..5u64), 1..80)
    ) {
        let interval = 300 * S;
        let (mut topic, mut told) = (Topic::default(), Vec::new());
        let (mut now, mut happened, mut bad, mut all) = (0, 0, false, 0);
        let mut look = |now: i64, what: u8, more: u64, bad: &mut bool, all: &mut u64| {
            let reading = match what {
                0 => Reading::Unknown,
                1 => Reading::Good(String::new()),
                _ => {
                    happened += more;
                    *all += if *bad { more } else { more.max(1) };
                    counted(happened)
                }
            };
            if what > 0 {
                *bad = what > 1;
            }
            topic.note(reading, now);
            told.extend(topic.tell((AlertKind::Test, None), interval, now).map(|alert| (now, alert)));
        };
        for (pause, what, more) in looks {
            now += pause * S;
            look(now, what, more, &mut bad, &mut all);
        }
        look(now + interval, 0, 0, &mut bad, &mut all);
        prop_assert_eq!(told.iter().map(|(_, alert)| alert.count).sum::<u64>(), all);
        for window in told.windows(3) {
            prop_assert!(window[2].0 - window[0].0 >= interval, "{:?}", window);
        }
        for pair in told.windows(2) {
            let (before, after) = (pair[0].1.state, pair[1].1.state);
            prop_assert!(after == Open || before == Open || pair[1].1.count > 0);
        }
        if let Some((_, last)) = told.last() {
            prop_assert_eq!(last.state == Open, bad);
        }
    }
}

/// Broken if rows that differ were told only once a long comparison is over, were told to be over when
/// another begins, or a mended row were still told of.
#[test]
fn differences_are_told_from_the_first_to_an_equal_comparison() {
    let compared = |differing, mended, ended_us: Option<i64>| {
        let counts = Counts { differing, mended, ..Counts::default() };
        let compared = Some(Summary { going: ended_us.is_none(), ended_us, counts });
        LinkStatus { compared, ..running() }
    };
    let mut scene = Scene::new();
    assert_eq!(scene.told(0, compared(0, 0, None)), []);
    assert_eq!(scene.told(1, compared(2, 0, None)), [("differences", Open, 1)]);
    assert_eq!(scene.told(2, compared(2, 0, Some(2))), []);
    assert_eq!(scene.told(400, compared(0, 0, None)), [], "another has begun");
    assert_eq!(scene.told(401, compared(2, 2, Some(3))), [("differences", Resolved, 0)]);
}
