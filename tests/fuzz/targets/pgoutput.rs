//! Messages of `pgoutput`, each behind its length in two bytes: one by one, as a stream, and as a chunk of
//! the spool.
//!
//! Every tuple has the cells that it claims; what the spool has kept comes back as it was.

use bytes::{BufMut, Bytes, BytesMut};
use weir::postgres::probe;

use super::{hold, refused};
use crate::Target;

/// A cell may be one byte and becomes a value, of old and new row; relations become a plan twice over.
pub(super) const TARGET: Target = Target {
    name: "pgoutput",
    seeds,
    words: &[
        "B", "C", "R", "I", "U", "D", "T", "K", "O", "N", "n", "u", "t", "S", "E", "c", "A",
        "public\0",
    ],
    bytes_max: 20_000,
    memory: (512, 4 << 20),
    run,
};

fn run(input: &[u8]) -> Result<String, String> {
    let messages = split(input);
    for message in &messages {
        for (columns, cells) in probe::message(message).unwrap_or_default() {
            hold!(columns == cells, "a tuple of {columns} columns has {cells} cells");
        }
    }
    spooled(&messages)?;
    // What is no chunk of the spool.
    probe::spooled(Bytes::copy_from_slice(input));
    Ok(match probe::messages(&messages) {
        Ok(changes) => format!("ok, changes: {}", changes > 0),
        Err(error) => refused(&error),
    })
}

fn spooled(messages: &[Bytes]) -> Result<(), String> {
    let mut chunk = BytesMut::new();
    for (message, number) in messages.iter().zip(0..) {
        chunk.put_u32(number);
        chunk.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
        chunk.put_slice(message);
    }
    let kept = probe::spooled(chunk.freeze());
    let all = kept.iter().map(|(_, message)| message).eq(messages);
    hold!(all, "the spool brings other messages back");
    Ok(())
}

fn split(input: &[u8]) -> Vec<Bytes> {
    let mut messages = Vec::new();
    let mut rest = input;
    while let Some((length, more)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(more.len());
        let (message, more) = more.split_at(length);
        messages.push(Bytes::copy_from_slice(message));
        rest = more;
    }
    messages
}

fn joined<'a>(messages: impl Iterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut input = Vec::new();
    for message in messages {
        let Ok(length) = u16::try_from(message.len()) else { continue };
        input.extend(length.to_be_bytes());
        input.extend(message);
    }
    input
}

/// The recordings, without their longest values.
fn seeds() -> Vec<Vec<u8>> {
    let recorded = include_str!("../../fixtures/pgoutput/pg18.hex");
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).expect("hex");
        u8::from_str_radix(text, 16).expect("hex")
    };
    let messages = recorded.lines().map(|line| line.as_bytes().chunks(2).map(byte).collect());
    let messages: Vec<Vec<u8>> = messages.collect();
    let short: Vec<&Vec<u8>> = messages.iter().filter(|one| one.len() < 1000).collect();
    let mut seeds: Vec<Vec<u8>> = vec![joined(short.iter().copied())];
    // Each transaction by itself.
    let commits = short.split_inclusive(|message| message.first() == Some(&b'C'));
    seeds.extend(commits.map(|part| joined(part.iter().copied())));
    let block: Vec<Vec<u8>> = vec![
        [b"S".as_slice(), &7_u32.to_be_bytes(), &[1]].concat(),
        [b"I".as_slice(), &7_u32.to_be_bytes(), &9_u32.to_be_bytes(), b"N\0\x01n"].concat(),
        b"E".to_vec(),
        [b"c".as_slice(), &7_u32.to_be_bytes(), &[0; 25]].concat(),
        [b"A".as_slice(), &7_u32.to_be_bytes(), &8_u32.to_be_bytes()].concat(),
    ];
    seeds.push(joined(block.iter()));
    seeds
}
