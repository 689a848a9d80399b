//! The tables of character sets: how they lie in the file, and a look into them.
//!
//! The file holds, for each name of the list, four blocks: the codes of MySQL, what is other with
//! MariaDB, and for each of the two the characters that take other bytes than their shortest code has,
//! 0 where they do not come back. A block is runs of following codes, each character as the difference
//! to the one before. All of it is compressed, 64 kB. A set is unpacked when it is first used.

use std::io::Read;
use std::sync::OnceLock;

use flate2::read::DeflateDecoder;

/// A character set with a table.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// As the servers call it.
    pub name: &'static str,
    /// Bytes per character at most.
    pub bytes: u8,
    /// Whether MariaDB's table is another than MySQL's.
    pub differs: bool,
}

const fn set(name: &'static str, bytes: u8) -> Named {
    Named { name, bytes, differs: false }
}

/// All of them, in the order of the file: those that are alike follow each other.
pub const NAMES: [Named; 33] = [
    set("latin1", 1),
    set("latin2", 1),
    set("latin5", 1),
    set("latin7", 1),
    set("cp1250", 1),
    set("cp1251", 1),
    set("cp1256", 1),
    set("cp1257", 1),
    set("cp850", 1),
    set("cp852", 1),
    set("cp866", 1),
    set("koi8r", 1),
    set("koi8u", 1),
    set("greek", 1),
    set("hebrew", 1),
    set("tis620", 1),
    set("macce", 1),
    set("macroman", 1),
    set("armscii8", 1),
    set("geostd8", 1),
    set("dec8", 1),
    set("hp8", 1),
    set("swe7", 1),
    set("keybcs2", 1),
    set("sjis", 2),
    set("cp932", 2),
    set("ujis", 3),
    set("eucjpms", 3),
    set("euckr", 2),
    set("big5", 2),
    set("gb2312", 2),
    set("gbk", 2),
    set("gb18030", 4),
];

/// Blocks per name: codes of MySQL, MariaDB's others, and odd lengths of either.
const BLOCKS: usize = 4;
/// A place of the table that has no character: half a surrogate pair is none.
const NONE: u16 = 0xD800;
/// The first code of four bytes in the file; they are counted from here.
const FOUR: u32 = 0x0100_0000;
/// Codes of four bytes for characters of the basic plane (GB 18030); from [`SUPPLEMENTARY`] on they follow
/// the order of Unicode.
const FOUR_BASIC: usize = 39_420;
const SUPPLEMENTARY: u32 = 189_000;

static FILE: &[u8] = include_bytes!("tables.bin");

/// One character set, unpacked.
#[derive(Debug)]
pub(super) struct Table {
    /// By code of one byte.
    one: Vec<u16>,
    /// By code of two bytes; empty where there are none.
    two: Vec<u16>,
    /// By the two bytes after 8F; empty where there are none.
    three: Vec<u16>,
    /// By the number of a code of four bytes; empty where there are none.
    four: Vec<u16>,
    /// By character of the basic plane, how many bytes it takes; 0 is not in the set.
    lengths: Vec<u8>,
    ascii: bool,
    /// Whether ASCII takes a byte for each character: sjis writes a backslash in two.
    ascii_is_short: bool,
}

/// The table of the name at `index` of the list.
pub(super) fn table(index: usize, mariadb: bool) -> &'static Table {
    static TABLES: [[OnceLock<Table>; 2]; NAMES.len()] =
        [const { [OnceLock::new(), OnceLock::new()] }; NAMES.len()];
    static EMPTY: OnceLock<Table> = OnceLock::new();
    match TABLES.get(index).and_then(|of_servers| of_servers.get(usize::from(mariadb))) {
        Some(table) => table.get_or_init(|| Table::unpack(index, mariadb)),
        None => EMPTY.get_or_init(|| Table::of(std::iter::empty(), std::iter::empty())),
    }
}

/// The file, decompressed.
fn unpacked() -> &'static [u8] {
    static UNPACKED: OnceLock<Vec<u8>> = OnceLock::new();
    UNPACKED.get_or_init(|| {
        let mut bytes = Vec::new();
        // A file that does not unpack leaves sets without characters, which nothing passes; a test reads it.
        match DeflateDecoder::new(FILE).read_to_end(&mut bytes) {
            Ok(_) => bytes,
            Err(_) => Vec::new(),
        }
    })
}

/// The block `at` of the name at `index`: pairs of a code and its character.
fn block(index: usize, at: usize) -> impl Iterator<Item = (u32, u32)> {
    let mut rest = unpacked();
    let mut found: &[u8] = &[];
    for _ in 0..=index * BLOCKS + at {
        let Some((length, after)) = rest.split_first_chunk::<4>() else { break };
        let length = u32::from_le_bytes(*length) as usize;
        let Some((own, others)) = after.split_at_checked(length) else { break };
        (found, rest) = (own, others);
    }
    Runs { rest: found, left: 0, code: 0, character: 0 }
}

/// Runs of codes that follow each other.
struct Runs {
    rest: &'static [u8],
    left: u32,
    code: u32,
    character: u32,
}

impl Runs {
    fn number(&mut self) -> Option<u32> {
        let mut number = 0;
        for shift in (0..32).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

impl Iterator for Runs {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        while self.left == 0 {
            self.code = self.code.wrapping_add(self.number()?);
            self.left = self.number()?;
        }
        let zigzag = self.number()?;
        let step = (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
        self.character = self.character.wrapping_add(1).wrapping_add(step);
        let pair = (self.code, self.character);
        self.code = self.code.wrapping_add(1);
        self.left -= 1;
        Some(pair)
    }
}

impl Table {
    fn unpack(index: usize, mariadb: bool) -> Table {
        let own = mariadb.then(|| block(index, 1)).into_iter().flatten();
        Table::of(block(index, 0).chain(own), block(index, 2 + usize::from(mariadb)))
    }

    /// Of pairs of a code and its character, later ones over earlier ones, and of the characters that take
    /// other bytes than their shortest code has.
    fn of(pairs: impl Iterator<Item = (u32, u32)>, odd: impl Iterator<Item = (u32, u32)>) -> Table {
        let mut table = Table {
            one: vec![NONE; 0x100],
            two: Vec::new(),
            three: Vec::new(),
            four: Vec::new(),
            lengths: vec![0; 0x1_0000],
            ascii: false,
            ascii_is_short: false,
        };
        for (code, character) in pairs {
            table.put(code, u16::try_from(character).unwrap_or(NONE));
        }
        let lists = [(&table.one, 1), (&table.two, 2), (&table.three, 3), (&table.four, 4)];
        for (list, bytes) in lists {
            for character in list.iter().filter(|character| **character != NONE) {
                match table.lengths.get_mut(usize::from(*character)) {
                    Some(known) if *known == 0 => *known = bytes,
                    _ => {}
                }
            }
        }
        for (character, length) in odd {
            if let Some(known) = table.lengths.get_mut(character as usize) {
                *known = u8::try_from(length).unwrap_or(0);
            }
        }
        table.ascii =
            table.one.iter().take(0x80).enumerate().all(|(at, known)| at == usize::from(*known));
        table.ascii_is_short = table.ascii && table.lengths.iter().take(0x80).all(|one| *one == 1);
        table
    }

    fn put(&mut self, code: u32, character: u16) {
        let (list, length, at) = match code {
            0..0x100 => (&mut self.one, 0x100, code),
            0x100..0x1_0000 => (&mut self.two, 0x1_0000, code),
            FOUR.. => (&mut self.four, FOUR_BASIC, code - FOUR),
            _ => (&mut self.three, 0x1_0000, code & 0xFFFF),
        };
        list.resize(length, NONE);
        if let Some(place) = list.get_mut(at as usize) {
            *place = character;
        }
    }

    /// Whether its first 128 codes are those of ASCII.
    pub(super) fn has_ascii(&self) -> bool {
        self.ascii
    }

    /// Whether ASCII takes a byte for each character.
    pub(super) fn has_short_ascii(&self) -> bool {
        self.ascii_is_short
    }

    /// Whether it has characters of the basic plane only.
    pub(super) fn is_basic(&self) -> bool {
        self.four.is_empty()
    }

    /// How many bytes the character takes; 0 is not in the set.
    pub(super) fn bytes_of(&self, character: char) -> u8 {
        match self.lengths.get(character as usize) {
            Some(length) => *length,
            None if self.is_basic() => 0,
            None => 4,
        }
    }

    /// The text of these bytes; `None` where they are none.
    pub(super) fn text(&self, bytes: &[u8]) -> Option<String> {
        let mut text = String::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some((character, after)) = self.first(rest) {
            text.push(character);
            rest = after;
        }
        rest.is_empty().then_some(text)
    }

    /// The first character and what follows it.
    fn first<'a>(&self, bytes: &'a [u8]) -> Option<(char, &'a [u8])> {
        let known = |list: &[u16], at: usize| {
            let unit = list.get(at).copied().filter(|unit| *unit != NONE)?;
            char::from_u32(u32::from(unit))
        };
        let (lead, after) = bytes.split_first()?;
        if let Some(character) = known(&self.one, usize::from(*lead)) {
            return Some((character, after));
        }
        let (second, after) = after.split_first()?;
        let pair = usize::from(*lead) << 8 | usize::from(*second);
        if let Some(character) = known(&self.two, pair) {
            return Some((character, after));
        }
        let (third, after) = after.split_first()?;
        if *lead == 0x8F && !self.three.is_empty() {
            let character = known(&self.three, usize::from(*second) << 8 | usize::from(*third))?;
            return Some((character, after));
        }
        let (fourth, after) = after.split_first()?;
        if self.four.is_empty() {
            return None;
        }
        let number = number_of([*lead, *second, *third, *fourth])?;
        let character = match number.checked_sub(SUPPLEMENTARY) {
            Some(above) => char::from_u32(0x1_0000 + above)?,
            None => known(&self.four, number as usize)?,
        };
        Some((character, after))
    }
}

/// The number of a code of four bytes of GB 18030.
fn number_of(code: [u8; 4]) -> Option<u32> {
    let digit = |byte: u8, from: u8, count: u32| {
        byte.checked_sub(from).map(u32::from).filter(|digit| *digit < count)
    };
    let (first, second) = (digit(code[0], 0x81, 126)?, digit(code[1], 0x30, 10)?);
    let (third, fourth) = (digit(code[2], 0x81, 126)?, digit(code[3], 0x30, 10)?);
    Some(((first * 10 + second) * 126 + third) * 10 + fourth)
}
