//! The character sets of MySQL and MariaDB, as those servers understand them: bytes to text, and
//! whether a text can be held exactly.
//!
//! Tables come from the servers themselves (`charset/tables.bin`, written and verified by the
//! end-to-end test `charsets`), not from an encoding library: those follow the rules of browsers,
//! where latin1, sjis, big5 and gbk are others. A character is held only if the server gives it back
//! after it has stored it. Bytes that are no text of the set are `None`, never replaced.
//! What a server does with a text beyond that (order, padding, case) is not in it.

mod collations;
mod table;
mod wide;

use bytes::Bytes;
use bytestring::ByteString;

pub use table::NAMES;
use table::{Table, table};

/// A character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// All of Unicode in UTF-8: `utf8mb4`, and what PostgreSQL holds.
    Utf8,
    /// The basic plane only, three bytes of UTF-8 at most.
    Utf8mb3,
    /// The basic plane in two bytes each, highest first.
    Ucs2,
    /// UTF-16, highest byte first.
    Utf16,
    /// UTF-16, lowest byte first.
    Utf16le,
    /// UTF-32, highest byte first.
    Utf32,
    /// U+0000 ..= U+007F.
    Ascii,
    /// Bytes without characters.
    Binary,
    /// One with a table.
    Tabled(Tabled),
}

/// A character set with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tabled {
    /// Its place in the list of names.
    index: u8,
    /// MariaDB's table where that is another than MySQL's.
    mariadb: bool,
}

impl Charset {
    /// The character set that a server calls `name`; `None` for one that weir does not know.
    pub fn named(name: &str, mariadb: bool) -> Option<Charset> {
        Some(match name {
            "utf8mb4" => Charset::Utf8,
            "utf8mb3" | "utf8" => Charset::Utf8mb3,
            "ucs2" => Charset::Ucs2,
            "utf16" => Charset::Utf16,
            "utf16le" => Charset::Utf16le,
            "utf32" => Charset::Utf32,
            "ascii" => Charset::Ascii,
            "binary" => Charset::Binary,
            other => {
                let index = NAMES.iter().position(|known| known.name == other)?;
                let differs = NAMES.get(index).is_some_and(|known| known.differs);
                let index = u8::try_from(index).ok()?;
                Charset::Tabled(Tabled { index, mariadb: mariadb && differs })
            }
        })
    }

    /// The name, as servers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Charset::Utf8 => "utf8mb4",
            Charset::Utf8mb3 => "utf8mb3",
            Charset::Ucs2 => "ucs2",
            Charset::Utf16 => "utf16",
            Charset::Utf16le => "utf16le",
            Charset::Utf32 => "utf32",
            Charset::Ascii => "ascii",
            Charset::Binary => "binary",
            Charset::Tabled(one) => {
                NAMES.get(usize::from(one.index)).map_or("unknown", |known| known.name)
            }
        }
    }

    /// Bytes per character at most, as column lengths are counted.
    pub fn bytes_per_char(self) -> u32 {
        match self {
            Charset::Utf8 | Charset::Utf16 | Charset::Utf16le | Charset::Utf32 => 4,
            Charset::Utf8mb3 => 3,
            Charset::Ucs2 => 2,
            Charset::Ascii | Charset::Binary => 1,
            Charset::Tabled(one) => {
                NAMES.get(usize::from(one.index)).map_or(1, |known| u32::from(known.bytes))
            }
        }
    }

    fn table(self) -> Option<&'static Table> {
        match self {
            Charset::Tabled(one) => Some(table(usize::from(one.index), one.mariadb)),
            _ => None,
        }
    }

    /// Bytes of this character set as text; `None` where they are none. UTF-8 is shared, not copied.
    pub fn text(self, bytes: Bytes) -> Option<ByteString> {
        match self {
            Charset::Utf8 => ByteString::try_from(bytes).ok(),
            Charset::Utf8mb3 => {
                ByteString::try_from(bytes).ok().filter(|text| text.bytes().all(in_three))
            }
            Charset::Ascii if bytes.is_ascii() => ByteString::try_from(bytes).ok(),
            Charset::Ascii | Charset::Binary => None,
            Charset::Ucs2 => wide::ucs2(&bytes).map(ByteString::from),
            Charset::Utf16 => wide::utf16(&bytes, u16::from_be_bytes).map(ByteString::from),
            Charset::Utf16le => wide::utf16(&bytes, u16::from_le_bytes).map(ByteString::from),
            Charset::Utf32 => wide::utf32(&bytes).map(ByteString::from),
            Charset::Tabled(_) => {
                let table = self.table()?;
                if table.has_ascii() && bytes.is_ascii() {
                    return ByteString::try_from(bytes).ok();
                }
                table.text(&bytes).map(ByteString::from)
            }
        }
    }

    /// Whether every character is in this set: it comes back as it is.
    pub fn holds(self, text: &str) -> bool {
        match self {
            Charset::Utf8 | Charset::Utf16 | Charset::Utf16le | Charset::Utf32 => true,
            Charset::Utf8mb3 | Charset::Ucs2 => text.bytes().all(in_three),
            Charset::Ascii => text.is_ascii(),
            Charset::Binary => false,
            Charset::Tabled(_) => self.table().is_some_and(|table| {
                (table.has_ascii() && text.is_ascii())
                    || text.chars().all(|one| table.bytes_of(one) > 0)
            }),
        }
    }

    /// How many bytes a text that this set holds takes in it.
    pub fn bytes_of(self, text: &str) -> usize {
        let wide = |one: char| 2 * one.len_utf16();
        match self {
            Charset::Utf8 | Charset::Utf8mb3 | Charset::Ascii | Charset::Binary => text.len(),
            Charset::Ucs2 | Charset::Utf16 | Charset::Utf16le => text.chars().map(wide).sum(),
            Charset::Utf32 => 4 * text.chars().count(),
            Charset::Tabled(_) => self.table().map_or(0, |table| {
                if table.has_short_ascii() && text.is_ascii() {
                    return text.len();
                }
                text.chars().map(|one| usize::from(table.bytes_of(one))).sum()
            }),
        }
    }

    /// Whether every character of this set is one of `other`'s.
    pub fn is_within(self, other: Charset) -> bool {
        match (self, other) {
            (_, Charset::Utf8 | Charset::Utf16 | Charset::Utf16le | Charset::Utf32) => true,
            (one, other) if one == other => true,
            (Charset::Utf8mb3 | Charset::Ucs2, Charset::Utf8mb3 | Charset::Ucs2) => true,
            (Charset::Ascii, Charset::Utf8mb3 | Charset::Ucs2) => true,
            (Charset::Ascii, Charset::Tabled(_)) => {
                other.table().is_some_and(|table| table.has_ascii())
            }
            (Charset::Tabled(_), Charset::Utf8mb3 | Charset::Ucs2) => {
                self.table().is_some_and(|table| table.is_basic())
            }
            _ => false,
        }
    }
}

/// Whether the byte may be in UTF-8 of the basic plane.
fn in_three(byte: u8) -> bool {
    byte < 0xF0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, bytes: &[u8]) -> Option<String> {
        let charset = Charset::named(name, false).expect(name);
        charset.text(Bytes::copy_from_slice(bytes)).map(|text| text.to_string())
    }

    /// Broken if a set followed a browser's rules, or bytes that are no text were passed on.
    #[test]
    fn sets_are_those_of_the_servers() {
        for (name, bytes, expected) in [
            ("latin1", &[0x80, 0x81, 0x8D, 0xE4][..], Some("€\u{81}\u{8D}ä")),
            ("gbk", &[0xC4, 0xE3, 0xBA, 0xC3, b'a'], Some("你好a")),
            ("euckr", &[0xB0, 0xA1], Some("가")),
            ("cp1251", &[0xE6], Some("ж")),
            ("ujis", &[0x8E, 0xB1, 0xA4, 0xA2, 0x8F, 0xB0, 0xA1], Some("ｱあ丂")),
            ("gb18030", &[0x81, 0x30, 0x81, 0x30, 0x90, 0x30, 0x81, 0x30], Some("\u{80}\u{10000}")),
            ("big5", &[0xA4, 0x40, 0xFF], None),
            ("sjis", &[0x82], None),
            ("tis620", &[0xA1], Some("ก")),
            ("utf8mb4", "😀".as_bytes(), Some("😀")),
            ("utf8mb4", &[0xE4], None),
            ("utf8mb3", "😀".as_bytes(), None),
            ("ascii", &[0x80], None),
            ("ucs2", &[0x00, 0xE9], Some("é")),
            ("ucs2", &[0xE9], None),
            ("utf16", &[0xD8, 0x3D, 0xDE, 0x00], Some("😀")),
            ("utf16", &[0xD8, 0x3D], None),
            ("utf16le", &[0x3D, 0xD8, 0x00, 0xDE], Some("😀")),
            ("utf32", &[0x00, 0x01, 0xF6, 0x00], Some("😀")),
            ("utf32", &[0x00, 0x11, 0x00, 0x00], None),
        ] {
            assert_eq!(text(name, bytes).as_deref(), expected, "{name} {bytes:X?}");
        }
        assert_eq!(Charset::named("klingon", false), None);
    }

    /// Broken if a character that a column would replace were sent to it, or one counted as shorter than it is.
    #[test]
    fn what_a_set_holds_and_how_long_it_is() {
        for (name, held, bytes, missing) in [
            ("latin1", "€é\u{81}", 3, "ж"),
            ("latin1", "", 0, "\u{80}"),
            ("gbk", "你a", 3, "가"),
            ("ucs2", "éa", 4, "😀"),
            ("ujis", "aあｱ丂", 8, "가"),
            ("ascii", "a~", 2, "é"),
            ("sjis", "a\\", 3, "가"),
            ("utf8mb3", "あ", 3, "😀"),
            ("gb2312", "a你", 3, "體"),
        ] {
            let charset = Charset::named(name, false).expect(name);
            assert!(charset.holds(held), "{name} {held}");
            assert_eq!(charset.bytes_of(held), bytes, "{name} {held}");
            assert!(!charset.holds(missing), "{name} {missing}");
        }
        let named = |name: &str| Charset::named(name, true).expect(name);
        assert!(named("gb18030").holds("a你\u{80}😀"));
        assert_eq!(named("gb18030").bytes_of("a你\u{80}😀"), 11);
        assert!(named("gbk").is_within(named("utf8mb3")));
        assert!(!named("gb18030").is_within(named("utf8mb3")));
        assert!(named("ascii").is_within(named("sjis")));
        assert!(!named("ascii").is_within(named("swe7")));
        assert!(!named("latin2").is_within(named("latin1")));
    }
}
