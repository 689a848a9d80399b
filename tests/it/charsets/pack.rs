//! Writes the file of tables (`src/transform/charset/tables.bin`), as its reader says.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use weir::transform::charset::NAMES;

use super::{Told, bytes_of};
use crate::harness::tree;

/// Stands for no character where the other server has one.
const NONE: u32 = 0xD800;

/// Writes all tables.
pub fn write(all: &BTreeMap<(usize, bool), Told>) {
    let mut file = Vec::new();
    for (at, set) in NAMES.iter().enumerate() {
        let mysql = &all[&(at, false)];
        let other = all.get(&(at, true)).unwrap_or(mysql);
        let mut overlay: BTreeMap<u32, u32> = BTreeMap::new();
        for code in mysql.codes.keys().chain(other.codes.keys()) {
            let (one, two) = (mysql.codes.get(code), other.codes.get(code));
            if one != two {
                overlay.insert(*code, two.copied().unwrap_or(NONE));
            }
        }
        let (odd, others_odd) = (odd_lengths(mysql), odd_lengths(other));
        let differs = !overlay.is_empty() || odd != others_odd;
        println!("{}: {} codes, {} others", set.name, mysql.codes.len(), overlay.len());
        println!("    of other lengths: {odd:X?}; {others_odd:X?}");
        assert_eq!(
            set.differs, differs,
            "{}: mark it in the list of names\n{overlay:X?}",
            set.name
        );
        for block in [&mysql.codes, &overlay, &odd, &others_odd] {
            let runs = runs(block);
            file.extend((runs.len() as u32).to_le_bytes());
            file.extend(runs);
        }
    }
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&file).expect("packed");
    let packed = packed.finish().expect("packed");
    println!("{} bytes, {} unpacked", packed.len(), file.len());
    assert!(packed.len() < 200_000, "{}", packed.len());
    std::fs::write(tree("src/transform/charset/tables.bin"), packed).expect("tables");
}

/// Characters whose bytes are not those of their shortest code; 0 is one that does not come back.
fn odd_lengths(told: &Told) -> BTreeMap<u32, u32> {
    let mut shortest: BTreeMap<u32, u32> = BTreeMap::new();
    for (code, character) in &told.codes {
        let length = bytes_of(*code).len() as u32;
        shortest
            .entry(*character)
            .and_modify(|known| *known = length.min(*known))
            .or_insert(length);
    }
    let own = |character: &u32| told.lengths.get(character).copied().map_or(0, u32::from);
    let odd = shortest.into_iter().filter(|(character, length)| own(character) != *length);
    odd.map(|(character, _)| (character, own(&character))).collect()
}

/// Pairs as runs of codes that follow each other.
fn runs(pairs: &BTreeMap<u32, u32>) -> Vec<u8> {
    let pairs: Vec<(u32, u32)> =
        pairs.iter().map(|(code, character)| (*code, *character)).collect();
    let (mut bytes, mut end, mut last) = (Vec::new(), 0, 0_u32);
    for run in pairs.chunk_by(|one, next| one.0 + 1 == next.0) {
        number(&mut bytes, run[0].0 - end);
        number(&mut bytes, run.len() as u32);
        for (code, character) in run {
            let step = character.wrapping_sub(last + 1) as i32;
            number(&mut bytes, ((step << 1) ^ (step >> 31)) as u32);
            (end, last) = (code + 1, *character);
        }
    }
    bytes
}

fn number(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
