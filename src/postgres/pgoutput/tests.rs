//! Recorded messages of two server versions: read as they are, and cut or damaged without harm.

use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const RECORDED: [(&str, &str); 2] = [
    ("15", include_str!("../../../tests/fixtures/pgoutput/pg15.hex")),
    ("18", include_str!("../../../tests/fixtures/pgoutput/pg18.hex")),
];

static MESSAGES: LazyLock<Vec<Vec<Bytes>>> = LazyLock::new(|| {
    let read = |text: &str| text.lines().map(|line| unhex(line).into()).collect();
    RECORDED.iter().map(|(_, text)| read(text)).collect()
});

/// The recorded messages of one server version.
pub(in crate::postgres) fn recorded(version: &str) -> Vec<Bytes> {
    let at = RECORDED.iter().position(|(name, _)| *name == version).expect(version);
    MESSAGES[at].clone()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
    digits.chunks(2).map(|pair| byte(pair).expect("hex")).collect()
}

/// Broken if a message kind of a supported server version could not be read.
#[test]
fn recorded_messages_are_understood() {
    for (version, _) in RECORDED {
        let messages = recorded(version);
        let tags: String = messages.iter().map(|message| char::from(message[0])).collect();
        assert_eq!(tags, "BYYRIRIRIRICBUUUCBUUCBICBYYRICBODCBDDDYYRRRTC", "{version}");
        for message in &messages {
            parse(message).expect("recorded message");
        }
    }
}

/// Broken if the old key, unchanged TOAST or the identity flag of a column were read wrong.
#[test]
fn fields_of_recorded_messages() {
    let messages = recorded("15");
    let Ok(Message::Relation(relation)) = parse(&messages[3]) else { panic!("a relation") };
    assert_eq!((relation.schema, relation.table, relation.identity), ("public", "d", b'd'));
    let keys: Vec<_> =
        relation.columns.iter().filter(|column| column.key).map(|column| column.name).collect();
    assert_eq!((keys, relation.columns.len()), (vec!["id"], 7));
    let Ok(Message::Update { old: None, new, .. }) = parse(&messages[13]) else { panic!() };
    let cells: Vec<_> = new.cells().collect();
    assert_eq!(cells[..3], [Cell::Text(b"1"), Cell::Text(b"two"), Cell::Unchanged]);
    let Ok(Message::Update { old: Some(Old::Key(old)), .. }) = parse(&messages[18]) else {
        panic!()
    };
    assert_eq!(old.cells().next(), Some(Cell::Text(b"1")));
    assert_eq!(parse(&messages[31]).expect("origin"), Message::Origin { name: "o" });
    let Ok(Message::Truncate { relations }) = parse(&messages[43]) else { panic!("a truncate") };
    assert_eq!(relations.len(), 3);
}

/// Broken if a message that weir does not know were skipped.
#[test]
fn unknown_messages_are_refused_by_name() {
    for (tag, name) in [(b'P', "two-phase"), (b'?', "0x3f")] {
        let error = parse(&[tag, 0, 0, 0]).expect_err(name);
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// Broken if a message of a streamed block were read otherwise than outside of one, or what frames
/// a block were taken for something else.
#[test]
fn blocks_of_open_transactions() {
    for message in recorded("18").iter().filter(|message| !b"BC".contains(&message[0])) {
        let framed = match message[0] {
            b'O' => message.to_vec(),
            tag => [&[tag], 77u32.to_be_bytes().as_slice(), &message[1..]].concat(),
        };
        assert!(!frames_a_block(&framed));
        let (subxid, tag, body) = unframe(&framed).expect("a message");
        assert_eq!(subxid, (tag != b'O').then_some(77));
        assert_eq!([&[tag], body].concat(), *message);
    }
    assert!(unframe(b"I\0\0").is_err() && unframe(b"").is_err() && unframe(b"B").is_err());
    let start = parse(b"S\0\0\0\x07\x01").expect("a start");
    assert_eq!(start, Message::StreamStart { xid: 7, first: true });
    let abort = parse(b"A\0\0\0\x07\0\0\0\x08").expect("an abort");
    assert_eq!(abort, Message::StreamAbort { xid: 7, subxid: 8 });
    for cut in [b"S\0\0\0\x07".as_slice(), b"E\0", b"c\0\0\0\x07\0", b"A\0\0\0\x07"] {
        assert_eq!(parse(cut).expect_err("cut").kind(), Kind::Malformed);
    }
}

/// Broken if a cut message were taken for a whole one.
#[test]
fn every_cut_is_noticed() {
    for message in recorded("18") {
        for length in (0..message.len()).filter(|length| *length < 300 || length % 997 == 0) {
            assert!(parse(&message[..length]).is_err(), "{length} of {}", message.len());
        }
    }
}

proptest! {
    /// Broken if damaged bytes could stop weir.
    #[test]
    fn damage_never_panics(
        pick in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let messages = recorded("15");
        let mut message = messages[pick.index(messages.len())].to_vec();
        for (at, byte) in damage {
            let at = at.index(message.len().min(400));
            message[at] = byte;
        }
        match parse(&message) {
            Ok(Message::Insert { new, .. } | Message::Update { new, .. }) => {
                prop_assert_eq!(new.cells().count(), usize::from(new.columns));
            }
            Ok(_) => {}
            Err(error) => {
                prop_assert!(matches!(error.kind(), Kind::Malformed | Kind::Unsupported));
            }
        }
    }
}
